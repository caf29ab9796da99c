//! A subscriber that keeps what it is told.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// Names and values.
pub(crate) type Fields = BTreeMap<&'static str, String>;

/// An event, or a span that is over.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    pub(crate) level: Level,
    pub(crate) target: &'static str,
    /// The message of an event, the name of a span.
    pub(crate) text: String,
    pub(crate) fields: Fields,
    /// The methods of the spans around it, the innermost first.
    pub(crate) within: Vec<String>,
}

impl Note {
    /// The value of a field; empty where there is none.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

/// What was told to a subscriber.
#[derive(Clone, Default)]
pub(crate) struct Notes {
    events: Arc<Mutex<Vec<Note>>>,
    spans: Arc<Mutex<Vec<Note>>>,
}

/// Keeps all of Dora's that is told on this thread, down to `level`, and of
/// others what a handler says here, until the guard is dropped.
pub(crate) fn capture(level: LevelFilter) -> (Notes, DefaultGuard) {
    let notes = Notes::default();
    let subscriber = Registry::default().with(Capture { notes: notes.clone(), level });
    (notes, tracing::subscriber::set_default(subscriber))
}

impl Notes {
    /// The events with this message.
    pub(crate) fn events(&self, text: &str) -> Vec<Note> {
        self.events.lock().iter().filter(|event| event.text == text).cloned().collect()
    }

    /// The only event with this message.
    pub(crate) fn event(&self, text: &str) -> Note {
        match &self.events(text)[..] {
            [event] => event.clone(),
            others => panic!("{} events {text:?} among {:#?}", others.len(), self.events.lock()),
        }
    }

    /// The spans of a target that are over.
    pub(crate) fn spans(&self, target: &str) -> Vec<Note> {
        self.spans.lock().iter().filter(|span| span.target == target).cloned().collect()
    }

    /// Waits until so many events with this message were told.
    pub(crate) async fn wait_for(&self, text: &str, count: usize) -> Vec<Note> {
        for _ in 0..3000 {
            let events = self.events(text);
            if events.len() >= count {
                return events;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{text:?} was not told {count} times: {:#?}", self.events.lock());
    }

    /// Waits until so many spans of a target are over.
    pub(crate) async fn wait_for_spans(&self, target: &str, count: usize) -> Vec<Note> {
        for _ in 0..3000 {
            let spans = self.spans(target);
            if spans.len() >= count {
                return spans;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{count} spans of {target} are not over: {:#?}", self.spans.lock());
    }
}

struct Capture {
    notes: Notes,
    level: LevelFilter,
}

/// The fields of a span that is not over.
struct Open(Fields);

impl<S> Layer<S> for Capture
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let ours = ["dora::", "logs"].iter().any(|target| metadata.target().starts_with(target));
        ours && *metadata.level() <= self.level
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::new();
        attributes.record(&mut Writing(&mut fields));
        let span = context.span(id).expect("it is new");
        span.extensions_mut().insert(Open(fields));
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        let span = context.span(id).expect("it is open");
        if let Some(open) = span.extensions_mut().get_mut::<Open>() {
            record.record(&mut Writing(&mut open.0));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::new();
        event.record(&mut Writing(&mut fields));
        let metadata = event.metadata();
        self.notes.events.lock().push(Note {
            level: *metadata.level(),
            target: metadata.target(),
            text: fields.remove("message").unwrap_or_default(),
            fields,
            within: context.event_scope(event).into_iter().flatten().map(|span| described(&span)).collect(),
        });
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let span = context.span(&id).expect("it was open");
        let fields = span.extensions_mut().remove::<Open>().map(|open| open.0).unwrap_or_default();
        self.notes.spans.lock().push(Note {
            level: *span.metadata().level(),
            target: span.metadata().target(),
            text: span.metadata().name().to_owned(),
            fields,
            within: span.scope().skip(1).map(|span| described(&span)).collect(),
        });
    }
}

/// A span's name, and its method if it says one.
fn described<'a, S: LookupSpan<'a>>(span: &tracing_subscriber::registry::SpanRef<'a, S>) -> String {
    let extensions = span.extensions();
    let method = extensions.get::<Open>().and_then(|open| open.0.get("rpc.method"));
    method.map_or_else(|| span.name().to_owned(), |method| format!("{} {method}", span.name()))
}

struct Writing<'a>(&'a mut Fields);

impl Visit for Writing<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

//! Which trace a call belongs to, as W3C's Trace Context says it.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::metadata::Metadata;

const PARENT: &str = "traceparent";
const STATE: &str = "tracestate";
/// What every implementation is to hand on at least; ours hands on no more.
const LONGEST_STATE: usize = 512;
const SAMPLED: u8 = 1;

thread_local! {
    static CURRENT: RefCell<Option<TraceContext>> = const { RefCell::new(None) };
}

/// The place of a call in a trace that spans processes: the ids of the trace and of its own
/// span. It travels in the metadata, under `traceparent` and `tracestate`, as
/// [W3C's Trace Context](https://www.w3.org/TR/trace-context/) has it.
///
/// A [`TraceContextLayer`](crate::middleware::trace_context::TraceContextLayer) carries it on.
///
/// ```
/// use dora::Metadata;
/// use dora::trace::TraceContext;
///
/// let mut metadata = Metadata::new();
/// metadata.insert("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
/// let caller = TraceContext::read(&metadata).expect("a valid one");
/// assert_eq!(caller.span_id(), 0x00f0_67aa_0ba9_02b7);
///
/// let next = caller.child();
/// assert_eq!(next.trace_id(), caller.trace_id());
/// next.write(&mut metadata); // for a call to the next server
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct TraceContext {
    trace: u128,
    span: u64,
    flags: u8,
    state: Option<Arc<str>>,
}

impl TraceContext {
    /// The beginning of a new trace, which is to be sampled.
    #[must_use]
    pub fn root() -> Self {
        Self { trace: fastrand::u128(1..), span: fastrand::u64(1..), flags: SAMPLED, state: None }
    }

    /// A span of its own in the same trace.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { span: fastrand::u64(1..), ..self.clone() }
    }

    /// The same, to be sampled or not.
    #[must_use]
    pub fn sampled(self, sampled: bool) -> Self {
        let flags = if sampled { self.flags | SAMPLED } else { self.flags & !SAMPLED };
        Self { flags, ..self }
    }

    /// The id of the trace.
    #[must_use]
    pub const fn trace_id(&self) -> u128 {
        self.trace
    }

    /// The id of the span.
    #[must_use]
    pub const fn span_id(&self) -> u64 {
        self.span
    }

    /// Whether who made it keeps what is traced.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// What the metadata of a call says; `None` where it says nothing valid.
    #[must_use]
    pub fn read(metadata: &Metadata) -> Option<Self> {
        let context = Self::parse(metadata.get(PARENT)?)?;
        let mut state = String::new();
        for (_, members) in metadata.iter().filter(|(key, _)| *key == STATE) {
            if !state.is_empty() {
                state.push(',');
            }
            state.push_str(members);
        }
        let state = (1..=LONGEST_STATE).contains(&state.len()).then(|| Arc::from(state));
        Some(Self { state, ..context })
    }

    /// The value of `traceparent`: of version 00 exactly, of a later one its beginning.
    fn parse(value: &str) -> Option<Self> {
        let mut parts = value.split('-');
        let mut hex = |digits: usize| {
            let part = parts.next()?;
            let lowercase = part.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
            if part.len() != digits || !lowercase {
                return None;
            }
            u128::from_str_radix(part, 16).ok()
        };
        let (version, trace, span, flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
        let further = parts.next().is_some();
        if version == 0xff || (version == 0 && further) || trace == 0 || span == 0 {
            return None;
        }
        // What the other bits say is not known here, and so not said on.
        let flags = u8::try_from(flags).ok()? & SAMPLED;
        Some(Self { trace, span: u64::try_from(span).ok()?, flags, state: None })
    }

    /// Puts it into the metadata of a call, in place of what is there.
    pub fn write(&self, metadata: &mut Metadata) {
        metadata.insert(PARENT, self.to_string());
        match &self.state {
            Some(state) => metadata.insert(STATE, &**state),
            None => metadata.remove(STATE),
        }
    }

    /// That of the call that is served here, where a layer carries it on: within its
    /// handler, and what is [`scope`](Self::scope)d. A task that a handler spawns has none
    /// of its own.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// Runs `future` with it as the [`current`](Self::current) one.
    ///
    /// ```
    /// use dora::trace::TraceContext;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let context = TraceContext::root();
    /// tokio::spawn(context.clone().scope(async move {
    ///     assert_eq!(TraceContext::current(), Some(context));
    /// }));
    /// # tokio::task::yield_now().await;
    /// # }
    /// ```
    pub fn scope<F>(self, future: F) -> Scope<F> {
        Scope { context: Some(self), future }
    }

    /// Runs `function` with it as the current one.
    pub(crate) fn enter<T>(self, function: impl FnOnce() -> T) -> T {
        let mut context = Some(self);
        let _entered = Entered::new(&mut context);
        function()
    }
}

/// The value of `traceparent`, of version 00.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags)
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceContext({self})")
    }
}

pin_project! {
    /// The future of [`TraceContext::scope`].
    #[derive(Debug)]
    pub struct Scope<F> {
        // The one outside of it, while it is polled.
        context: Option<TraceContext>,
        #[pin]
        future: F,
    }
}

impl<F> Scope<F> {
    /// Runs `future` in the trace that is current now, if there is one.
    pub(crate) fn current(future: F) -> Self {
        Self { context: TraceContext::current(), future }
    }
}

impl<F: Future> Future for Scope<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _entered = Entered::new(this.context);
        this.future.poll(cx)
    }
}

/// A context that is the current one until it is dropped, at a panic too.
struct Entered<'a>(&'a mut Option<TraceContext>);

impl<'a> Entered<'a> {
    fn new(context: &'a mut Option<TraceContext>) -> Self {
        CURRENT.with_borrow_mut(|current| std::mem::swap(current, context));
        Self(context)
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        CURRENT.with_borrow_mut(|current| std::mem::swap(current, self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_written_reads_back() {
        for context in [TraceContext::root(), TraceContext::root().sampled(false)] {
            let mut metadata = Metadata::new();
            context.write(&mut metadata);
            assert_eq!(TraceContext::read(&metadata), Some(context));
        }
        assert_eq!(TraceContext::parse(VALID).expect("valid").to_string(), VALID);
    }

    #[test]
    fn what_is_not_valid_is_nothing() {
        let invalid = [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e47-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ];
        for value in invalid {
            assert_eq!(TraceContext::parse(value), None, "{value:?}");
        }
        // A later version says more behind what is known.
        let later = VALID.replace("00-4b", "cc-4b") + "-what-is-to-come";
        assert!(TraceContext::parse(&later).is_some());
    }

    #[test]
    fn flags_that_are_not_known_are_not_said_on() {
        for (said, on) in [("-ff", "-01"), ("-fe", "-00"), ("-02", "-00"), ("-03", "-01")] {
            let context = TraceContext::parse(&VALID.replace("-01", said)).expect("valid");
            assert!(context.to_string().ends_with(on), "{said}: {context}");
            assert_eq!(context.is_sampled(), on == "-01");
        }
    }

    #[test]
    fn the_state_of_others_is_handed_on_up_to_a_length() {
        let read = |states: &[&str]| {
            let mut metadata: Metadata = [(PARENT, VALID)].into_iter().collect();
            states.iter().for_each(|state| metadata.append(STATE, *state));
            let mut next = Metadata::new();
            TraceContext::read(&metadata).expect("valid").child().write(&mut next);
            next.get(STATE).map(str::to_owned)
        };
        assert_eq!(read(&["a=1", "b=2"]).as_deref(), Some("a=1,b=2"));
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[&"x".repeat(LONGEST_STATE + 1)]), None);
    }

    #[tokio::test]
    async fn the_current_one_is_that_of_the_innermost_scope() {
        let (outer, inner) = (TraceContext::root(), TraceContext::root());
        let expected = (Some(outer.clone()), Some(inner.clone()));
        let found = outer.scope(async {
            let within = inner.scope(async {
                tokio::task::yield_now().await;
                TraceContext::current()
            });
            (TraceContext::current(), within.await)
        });
        assert_eq!(found.await, expected);
        assert_eq!(TraceContext::current(), None);
    }
}

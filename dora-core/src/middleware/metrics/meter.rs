//! The metrics of one method.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ::metrics::{Counter, Gauge, Histogram, Label};
use hashbrown::HashMap;
use parking_lot::RwLock;

use crate::call::code::Code;
use crate::call::head::RequestHead;
use crate::call::request::Request;
use crate::call::status::Status;
use crate::call::trace::parts;

/// The label of methods that nobody has declared.
const OTHER: &str = "_OTHER";
/// The label of a batch around a client, where it is one request.
const BATCH: &str = "(batch)";
/// `Ok`, and the canonical codes.
const OUTCOMES: usize = 17;
/// Servers that have metrics of their own; those beyond share one. Instances come and go, and
/// what was registered stays.
const MOST_SERVERS: usize = 1_024;

/// Which end is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Server,
    Client,
}

impl Side {
    pub(super) const fn duration(self) -> &'static str {
        match self {
            Self::Server => "rpc.server.call.duration",
            Self::Client => "rpc.client.call.duration",
        }
    }

    pub(super) const fn active(self) -> &'static str {
        match self {
            Self::Server => "dora.server.active_calls",
            Self::Client => "dora.client.active_calls",
        }
    }

    pub(super) const fn refused(self) -> &'static str {
        match self {
            Self::Server => "dora.server.calls_refused",
            Self::Client => "dora.client.calls_refused",
        }
    }
}

/// The label of a call's method, `package.Service/Method`.
pub(super) fn label(call: &RequestHead) -> &'static str {
    call.descriptor().map_or(OTHER, |method| method.path().trim_start_matches('/'))
}

/// The metrics of all methods of one side, registered when they are first needed: by then
/// the program has installed its recorder.
#[derive(Debug)]
pub(super) struct Meters {
    side: Side,
    by_server: bool,
    methods: RwLock<HashMap<&'static str, Arc<Meter>, foldhash::fast::RandomState>>,
}

impl Meters {
    /// `by_server`: whether durations say which server has answered.
    pub(super) fn new(side: Side, by_server: bool) -> Self {
        Self { side, by_server, methods: RwLock::default() }
    }

    pub(super) fn of(&self, request: &Request) -> Arc<Meter> {
        let method = if request.is_batch() { BATCH } else { label(request.head()) };
        if let Some(meter) = self.methods.read().get(method) {
            return Arc::clone(meter);
        }
        let mut methods = self.methods.write();
        let new = || Arc::new(Meter::new(self.side, method, self.by_server));
        Arc::clone(methods.entry(method).or_insert_with(new))
    }
}

/// The metrics of one method.
pub(super) struct Meter {
    side: Side,
    method: &'static str,
    active: Gauge,
    refused: OnceLock<Counter>,
    /// Of calls of which nobody says who answered.
    durations: Durations,
    /// `None`: of no call is it asked.
    servers: Option<RwLock<Servers>>,
}

/// By how calls ended.
type Durations = [OnceLock<Histogram>; OUTCOMES];

/// By what their endpoints are called.
type Servers = HashMap<Box<str>, Arc<Durations>, foldhash::fast::RandomState>;

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Meter").field(&self.method).finish()
    }
}

impl Meter {
    fn new(side: Side, method: &'static str, by_server: bool) -> Self {
        let active = ::metrics::gauge!(side.active(), "rpc.method" => method);
        let servers = by_server.then(RwLock::default);
        Self { side, method, active, refused: OnceLock::new(), durations: Durations::default(), servers }
    }

    pub(super) fn begun(&self) {
        self.active.increment(1.0);
    }

    /// A call has ended, with this status if it failed, at this server if it is known.
    pub(super) fn ended(&self, took: Duration, failed: Option<&Status>, server: Option<&str>) {
        self.active.decrement(1.0);
        self.record(took, failed.map(Status::code), server);
        // What says when to come again was refused, and not tried.
        if failed
            .is_some_and(|status| status.code() == Code::ResourceExhausted && status.pushback().is_some())
        {
            let refused = || ::metrics::counter!(self.side.refused(), "rpc.method" => self.method);
            self.refused.get_or_init(refused).increment(1);
        }
    }

    fn record(&self, took: Duration, code: Option<Code>, server: Option<&str>) {
        let record = |durations: &Durations, server: Option<&str>| {
            if let Some(durations) = durations.get(code.map_or(0, |code| usize::from(code.number()))) {
                durations.get_or_init(|| self.duration(code, server)).record(took.as_secs_f64());
            }
        };
        let Some((servers, server)) = self.servers.as_ref().zip(server) else {
            return record(&self.durations, None);
        };
        let known = servers.read().get(server).cloned();
        match known {
            Some(durations) => record(&durations, Some(server)),
            None => {
                let mut servers = servers.write();
                let server = if servers.len() < MOST_SERVERS { server } else { OTHER };
                let durations = Arc::clone(servers.entry(server.into()).or_default());
                drop(servers);
                record(&durations, Some(server));
            }
        }
    }

    fn duration(&self, code: Option<Code>, server: Option<&str>) -> Histogram {
        let mut labels = vec![Label::new("rpc.system.name", "dora"), Label::new("rpc.method", self.method)];
        if let Some(server) = server {
            let (address, port) = parts(server);
            labels.push(Label::new("server.address", address.to_owned()));
            labels.extend(port.map(|port| Label::new("server.port", port.to_string())));
        }
        let word = code.map(|code| code.to_string());
        labels.push(Label::new("rpc.response.status_code", word.clone().unwrap_or_else(|| "Ok".to_owned())));
        labels.extend(word.map(|word| Label::new("error.type", word)));
        ::metrics::histogram!(self.side.duration(), labels)
    }
}

//! The metrics of one method.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ::metrics::{Counter, Gauge, Histogram};
use hashbrown::HashMap;
use parking_lot::RwLock;

use crate::call::code::Code;
use crate::call::head::RequestHead;
use crate::call::request::Request;
use crate::call::status::Status;

/// The label of methods that nobody has declared.
const OTHER: &str = "_OTHER";
/// The label of a batch around a client, where it is one request.
const BATCH: &str = "(batch)";
/// `Ok`, and the canonical codes.
const OUTCOMES: usize = 17;

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
    methods: RwLock<HashMap<&'static str, Arc<Meter>, foldhash::fast::RandomState>>,
}

impl Meters {
    pub(super) fn new(side: Side) -> Self {
        Self { side, methods: RwLock::default() }
    }

    pub(super) fn of(&self, request: &Request) -> Arc<Meter> {
        let method = if request.is_batch() { BATCH } else { label(request.head()) };
        if let Some(meter) = self.methods.read().get(method) {
            return Arc::clone(meter);
        }
        let mut methods = self.methods.write();
        Arc::clone(methods.entry(method).or_insert_with(|| Arc::new(Meter::new(self.side, method))))
    }
}

/// The metrics of one method.
pub(super) struct Meter {
    side: Side,
    method: &'static str,
    active: Gauge,
    refused: OnceLock<Counter>,
    /// By how calls ended.
    durations: [OnceLock<Histogram>; OUTCOMES],
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Meter").field(&self.method).finish()
    }
}

impl Meter {
    fn new(side: Side, method: &'static str) -> Self {
        let active = ::metrics::gauge!(side.active(), "rpc.method" => method);
        Self { side, method, active, refused: OnceLock::new(), durations: Default::default() }
    }

    pub(super) fn begun(&self) {
        self.active.increment(1.0);
    }

    /// A call has ended, with this status if it failed.
    pub(super) fn ended(&self, took: Duration, failed: Option<&Status>) {
        self.active.decrement(1.0);
        let code = failed.map(Status::code);
        if let Some(durations) = self.durations.get(code.map_or(0, |code| usize::from(code.number()))) {
            durations.get_or_init(|| self.duration(code)).record(took.as_secs_f64());
        }
        // What says when to come again was refused, and not tried.
        if failed
            .is_some_and(|status| status.code() == Code::ResourceExhausted && status.pushback().is_some())
        {
            let refused = || ::metrics::counter!(self.side.refused(), "rpc.method" => self.method);
            self.refused.get_or_init(refused).increment(1);
        }
    }

    fn duration(&self, code: Option<Code>) -> Histogram {
        let name = self.side.duration();
        match code {
            None => ::metrics::histogram!(
                name, "rpc.system.name" => "dora", "rpc.method" => self.method,
                "rpc.response.status_code" => "Ok"
            ),
            Some(code) => ::metrics::histogram!(
                name, "rpc.system.name" => "dora", "rpc.method" => self.method,
                "rpc.response.status_code" => code.to_string(), "error.type" => code.to_string()
            ),
        }
    }
}

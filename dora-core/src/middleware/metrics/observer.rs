//! What no layer sees.

use std::fmt;

use ::metrics::{Counter, Gauge, counter, gauge};

use crate::call::observe::{Closed, Observer, Traffic};
use crate::call::origin::{Connection, Peer};
use crate::call::status::Status;

use super::meter::Side;

/// Counts what no layer sees, for a server's or an endpoint's `observer(..)`:
///
/// | metric | what |
/// | --- | --- |
/// | `dora.server.connections`, `dora.client.connections` | a gauge of open connections |
/// | `dora.*.connections_closed` | a counter, by `reason`: `by_peer`, `idle`, `drained`, `lost` .. |
/// | `dora.server.received_bytes`, `dora.server.sent_bytes` | counters |
/// | `dora.*.calls_shed` | a counter of calls that the transport refused, as too many ran or waited |
/// | `dora.server.handshakes_failed`, `.frames_refused`, `.packets_refused` | counters |
/// | `dora.client.attempts_failed`, `.calls_expired`, `.answers_dropped` | counters |
///
/// ```
/// use dora::Endpoint;
/// use dora::metrics::MetricsObserver;
///
/// # fn main() -> Result<(), dora::Status> {
/// let endpoint = Endpoint::new("10.0.2.15:9567")?.observer(MetricsObserver::client());
/// # drop(endpoint);
/// # Ok(())
/// # }
/// ```
pub struct MetricsObserver {
    side: Side,
    connections: Gauge,
    /// Bytes received and sent, which servers tell.
    traffic: Option<(Counter, Counter)>,
}

impl MetricsObserver {
    /// For a server.
    #[must_use]
    pub fn server() -> Self {
        Self {
            side: Side::Server,
            connections: gauge!("dora.server.connections"),
            traffic: Some((counter!("dora.server.received_bytes"), counter!("dora.server.sent_bytes"))),
        }
    }

    /// For an endpoint.
    #[must_use]
    pub fn client() -> Self {
        Self { side: Side::Client, connections: gauge!("dora.client.connections"), traffic: None }
    }
}

impl fmt::Debug for MetricsObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MetricsObserver").field(&self.side).finish()
    }
}

fn count(calls: usize) -> u64 {
    u64::try_from(calls).unwrap_or(u64::MAX)
}

impl Observer for MetricsObserver {
    fn handshake_failed(&self, _: &Peer, _: &dyn fmt::Display) {
        counter!("dora.server.handshakes_failed").increment(1);
    }

    fn connection_accepted(&self, _: &Connection) {
        self.connections.increment(1.0);
    }

    fn connection_made(&self, _: &Connection) {
        self.connections.increment(1.0);
    }

    fn attempt_failed(&self, _: &Connection, _: &Status) {
        counter!("dora.client.attempts_failed").increment(1);
    }

    fn connection_closed(&self, _: &Connection, why: &Closed) {
        self.connections.decrement(1.0);
        let name = match self.side {
            Side::Server => "dora.server.connections_closed",
            Side::Client => "dora.client.connections_closed",
        };
        counter!(name, "reason" => reason(why)).increment(1);
    }

    fn frame_refused(&self, _: &Connection, _: &dyn fmt::Display) {
        counter!("dora.server.frames_refused").increment(1);
    }

    fn packet_refused(&self, _: &Connection, _: &Status) {
        counter!("dora.server.packets_refused").increment(1);
    }

    fn calls_shed(&self, _: &Connection, calls: usize) {
        let name = match self.side {
            Side::Server => "dora.server.calls_shed",
            Side::Client => "dora.client.calls_shed",
        };
        counter!(name).increment(count(calls));
    }

    fn calls_expired(&self, _: &Connection, calls: usize) {
        counter!("dora.client.calls_expired").increment(count(calls));
    }

    fn answers_dropped(&self, _: &Connection, late: usize, unknown: usize) {
        counter!("dora.client.answers_dropped", "reason" => "late").increment(count(late));
        counter!("dora.client.answers_dropped", "reason" => "unknown").increment(count(unknown));
    }

    fn traffic(&self, _: &Connection, traffic: &Traffic) {
        if let Some((received, sent)) = &self.traffic {
            received.increment(traffic.received);
            sent.increment(traffic.sent);
        }
    }
}

/// A word for each reason, whatever it says besides.
const fn reason(why: &Closed) -> &'static str {
    match why {
        Closed::ByPeer => "by_peer",
        Closed::Idle => "idle",
        Closed::FrameTimeout => "frame_timeout",
        Closed::Stalled => "stalled",
        Closed::OverBudget => "over_budget",
        Closed::OutOfStep => "out_of_step",
        Closed::Drained => "drained",
        Closed::LetGo => "let_go",
        Closed::Lost(_) => "lost",
    }
}

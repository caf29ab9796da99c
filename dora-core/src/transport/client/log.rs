//! What a client says of its connection to one endpoint. A server that is down for
//! an hour, or takes connections and drops them, fills no log.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::call::code::Code;
use crate::call::status::Status;
use crate::call::trace::CLIENT;
use crate::transport::log_limit::LineLimit;

use super::end::End;
use super::link::Link;

/// What was said of an endpoint already.
#[derive(Debug, Default)]
pub(super) struct Log {
    trouble: Option<Trouble>,
    /// Shared with the logs of former connections.
    lost: Arc<Mutex<LineLimit>>,
    attempts: LineLimit,
    back: LineLimit,
}

/// What has been wrong since the last connection that was of use.
#[derive(Clone, Copy, Debug)]
struct Trouble {
    since: Instant,
    failed_attempts: u64,
}

impl Trouble {
    fn begins() -> Self {
        Self { since: Instant::now(), failed_attempts: 0 }
    }
}

impl Log {
    /// For a connection that takes no more calls and ends by itself: a server that tells
    /// its clients to go, and drops them, fills no log either.
    pub(super) fn of_former(&self) -> Self {
        Self { lost: Arc::clone(&self.lost), ..Self::default() }
    }

    /// A connection stands.
    pub(super) fn connected(&mut self, link: &Link) {
        let Some(Trouble { since, failed_attempts }) = self.trouble.take() else {
            debug!(target: CLIENT, endpoint = &*link.peer, "connected");
            return;
        };
        if let Some(left_out) = self.back.write(Instant::now()) {
            let (left_out, after_ms) = (shown(left_out), millis(since.elapsed()));
            info!(target: CLIENT, endpoint = &*link.peer, failed_attempts, after_ms, left_out, "connected");
        }
    }

    /// An attempt to connect failed; the next one is made `pause` after this one
    /// has `begun`.
    pub(super) fn attempt_failed(&mut self, link: &Link, why: &Status, begun: Instant, pause: Duration) {
        let trouble = self.trouble.get_or_insert_with(Trouble::begins);
        trouble.failed_attempts += 1;
        if let Some(left_out) = self.attempts.write(Instant::now()) {
            let next_in_ms = millis(pause.saturating_sub(begun.elapsed()));
            let (attempt, left_out) = (trouble.failed_attempts, shown(left_out));
            warn!(
                target: CLIENT, endpoint = &*link.peer, attempt, next_in_ms, why = why.message(), left_out,
                "an attempt to connect failed"
            );
        }
    }

    /// A connection of the lane `id` is about to end, with the calls that wait on it.
    pub(super) fn ended(&mut self, link: &Link, id: u32, end: &End) {
        let End::Lost(why) = end else {
            debug!(target: CLIENT, endpoint = &*link.peer, how = end.word(), "a connection has ended");
            return;
        };
        let calls = {
            let mut core = link.core();
            if core.state.is_over() {
                return;
            }
            core.lane(id).map_or(0, |lane| lane.table.awaited())
        };
        // Servers close what is idle; the next call connects anew.
        if calls == 0 && why.code() == Code::Unavailable && why.source().is_none() {
            debug!(target: CLIENT, endpoint = &*link.peer, why = why.message(), "a connection has ended");
            return;
        }
        self.trouble.get_or_insert_with(Trouble::begins);
        let line = self.lost.lock().write(Instant::now());
        if let Some(left_out) = line {
            let left_out = shown(left_out);
            warn!(
                target: CLIENT, endpoint = &*link.peer, why = why.message(), calls, left_out,
                "the connection is lost"
            );
        }
    }
}

/// Nothing is said of none that were left out.
fn shown(left_out: u64) -> Option<u64> {
    (left_out > 0).then_some(left_out)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn former_connections_share_the_limit_of_their_endpoint() {
        let log = Log::default();
        let lines = (0..1_000).filter(|_| log.of_former().lost.lock().write(Instant::now()).is_some());
        assert_eq!(lines.count(), 4, "the 1st, 10th, 100th and 1000th");
    }
}

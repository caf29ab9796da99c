//! What happens on a channel beside its calls: counted, and told to whoever listens.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::call::observe::{Closed, Observer};
use crate::call::origin::{Connection, Peer};
use crate::call::status::Status;
use crate::call::trace::CLIENT;
use crate::transport::io::address::Address;
use crate::transport::log_limit::LineLimit;

/// What has happened on a channel since it was made: a reading of its counters. Each is
/// exact, together they are of about now.
///
/// ```
/// use dora::Endpoint;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let channel = Endpoint::new("127.0.0.1:1")?.connect_lazy()?;
/// channel.dynamic().call("/user/get", 7).await.expect_err("nothing listens there");
/// let stats = channel.stats();
/// assert_eq!((stats.connected, stats.failed_attempts), (0, 1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelStats {
    /// Connections made.
    pub connected: u64,
    /// Connections lost: those that neither end let go.
    pub lost: u64,
    /// Attempts to connect that failed.
    pub failed_attempts: u64,
    /// Calls that were given up at their deadline while their answer was awaited.
    pub expired: u64,
    /// Calls that were refused because too many bytes wait to be sent already.
    pub shed: u64,
    /// Answers that were dropped because their call was cancelled or had expired.
    pub late_answers: u64,
    /// Answers that were dropped because this end never asked for them.
    pub unknown_answers: u64,
}

/// The counters of a channel, and whoever the user sent to listen.
pub(super) struct Observed {
    /// What is known of its connections before they are made.
    connection: Connection,
    counters: Counters,
    observer: Option<Arc<dyn Observer>>,
    /// How often it is said that the observer panics.
    limit: Mutex<LineLimit>,
}

#[derive(Debug, Default)]
struct Counters {
    connected: AtomicU64,
    lost: AtomicU64,
    failed_attempts: AtomicU64,
    expired: AtomicU64,
    shed: AtomicU64,
    late_answers: AtomicU64,
    unknown_answers: AtomicU64,
}

impl Observed {
    pub(super) fn new(address: &Address, observer: Option<Arc<dyn Observer>>) -> Self {
        let peer = match address {
            Address::Unix(path) => Peer::Unix(Some(Arc::clone(path))),
            Address::Tcp { .. } => Peer::Other(address.to_string().into()),
        };
        let connection = Connection::new(Connection::DORA, peer);
        Self { connection, counters: Counters::default(), observer, limit: Mutex::default() }
    }

    /// A reading of the counters.
    pub(super) fn stats(&self) -> ChannelStats {
        let Counters { connected, lost, failed_attempts, expired, shed, late_answers, unknown_answers } =
            &self.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ChannelStats {
            connected: read(connected),
            lost: read(lost),
            failed_attempts: read(failed_attempts),
            expired: read(expired),
            shed: read(shed),
            late_answers: read(late_answers),
            unknown_answers: read(unknown_answers),
        }
    }

    pub(super) fn connected(&self) {
        add(&self.counters.connected, 1);
        self.tell(|observer, connection| observer.connection_made(connection));
    }

    pub(super) fn closed(&self, why: &Closed) {
        add(&self.counters.lost, usize::from(matches!(why, Closed::Lost(_))));
        self.tell(|observer, connection| observer.connection_closed(connection, why));
    }

    pub(super) fn attempt_failed(&self, status: &Status) {
        add(&self.counters.failed_attempts, 1);
        self.tell(|observer, connection| observer.attempt_failed(connection, status));
    }

    pub(super) fn expired(&self, calls: usize) {
        add(&self.counters.expired, calls);
        self.tell(|observer, connection| observer.calls_expired(connection, calls));
    }

    pub(super) fn shed(&self) {
        add(&self.counters.shed, 1);
        self.tell(|observer, connection| observer.calls_shed(connection, 1));
    }

    /// Answers were dropped, too late or never asked for.
    pub(super) fn dropped(&self, late: usize, unknown: usize) {
        add(&self.counters.late_answers, late);
        add(&self.counters.unknown_answers, unknown);
        self.tell(|observer, connection| observer.answers_dropped(connection, late, unknown));
    }

    /// One who panics harms no call. Never under a lock: nobody knows what they do.
    fn tell(&self, event: impl Fn(&dyn Observer, &Connection)) {
        let Some(observer) = &self.observer else { return };
        if catch_unwind(AssertUnwindSafe(|| event(&**observer, &self.connection))).is_err()
            && let Some(left_out) = self.limit.lock().write(Instant::now())
        {
            tracing::error!(target: CLIENT, left_out = (left_out > 0).then_some(left_out), "an observer panicked");
        }
    }
}

fn add(counter: &AtomicU64, count: usize) {
    if count > 0 {
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }
}

impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observed").field("counters", &self.counters).finish_non_exhaustive()
    }
}

//! Who hears what happens on a server.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::call::observe::Observer;
use crate::call::trace::SERVER;
use crate::transport::log_limit::LineLimit;

use super::stats::Stats;

/// The counters, and whoever the user sent to listen.
#[derive(Clone)]
pub struct Observers {
    stats: Arc<Stats>,
    other: Option<Arc<dyn Observer>>,
    /// How often it is said that they panic.
    limit: Arc<Mutex<LineLimit>>,
}

impl Observers {
    /// The counters, and `other`.
    pub(crate) fn new(stats: Arc<Stats>, other: Option<Arc<dyn Observer>>) -> Self {
        Self { stats, other, limit: Arc::default() }
    }

    /// The counters.
    pub(super) const fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }

    /// Tells everybody. One who panics harms no connection.
    pub(super) fn tell(&self, event: impl Fn(&dyn Observer)) {
        event(&*self.stats);
        let Some(other) = &self.other else { return };
        if catch_unwind(AssertUnwindSafe(|| event(&**other))).is_err() {
            self.panicked();
        }
    }

    /// It may do so at every packet.
    #[cold]
    fn panicked(&self) {
        if let Some(left_out) = self.limit.lock().write(Instant::now()) {
            tracing::error!(target: SERVER, left_out = (left_out > 0).then_some(left_out), "an observer panicked");
        }
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observers").field("stats", &self.stats).finish_non_exhaustive()
    }
}

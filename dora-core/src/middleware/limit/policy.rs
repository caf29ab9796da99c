//! How an adaptive limit follows what it sees.

use std::time::Duration;

/// How an adaptive limit finds out how many calls may run at once.
///
/// It compares how long calls take with how long they took when there were few of them:
///
/// ```text
/// gradient = tolerance * baseline / latency        at least 0.5, at most 1
/// limit'   = (limit + gradient * limit + sqrt(limit)) / 2
/// ```
///
/// once for each window of 100 ms and at least ten calls. While calls take no longer than
/// `tolerance` times their baseline the limit grows by half its root; when they take longer it
/// falls until `gradient * limit + sqrt(limit)` is the limit again. This is the formula of
/// Netflix's *concurrency-limits* ("gradient") with these differences:
///
/// - Each method has a baseline of its own, so that a cheap one does not make a dear one
///   look slow; the gradient is the mean over the window's calls.
/// - The baseline is the least *mean* of a window, and not the least call: calls that a
///   cache answers do not make the others look slow.
/// - While calls are refused, a baseline that was taken too high (a server that began
///   overloaded, a database that has become slower) is measured anew: for one window
///   only a quarter of the limit is let in. First after a second, then after twice as
///   long each time, up to [`probe_every`](Self::probe_every).
/// - A limit that is not half used is left as it is, and baselines follow what is seen.
///
/// Latency is measured of calls that went well, and of those that ended at their
/// deadline or were given up after longer than the baseline; a quick error says nothing.
///
/// ```
/// use dora::limit::{AdaptivePolicy, ConcurrencyLimitLayer};
///
/// let layer = ConcurrencyLimitLayer::adaptive(AdaptivePolicy::new().at_most(500).tolerance(2.0));
/// assert_eq!(layer.limit(), 20);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct AdaptivePolicy {
    pub(super) initial: usize,
    pub(super) least: usize,
    pub(super) most: usize,
    pub(super) tolerance: f64,
    pub(super) window: Duration,
    pub(super) probe_every: Duration,
}

impl AdaptivePolicy {
    /// The defaults, as at each method.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            initial: 20,
            least: 4,
            most: 1_000,
            tolerance: 1.5,
            window: Duration::from_millis(100),
            probe_every: Duration::from_secs(30),
        }
    }

    /// The limit to begin with, within the others. Default: 20.
    #[must_use]
    pub const fn initial(self, calls: usize) -> Self {
        Self { initial: calls, ..self }
    }

    /// The limit never falls below `calls`. Default: 4.
    ///
    /// # Panics
    /// `calls` is 0.
    #[must_use]
    pub fn at_least(self, calls: usize) -> Self {
        assert!(calls > 0, "a limit lets at least one call run");
        Self { least: calls, most: self.most.max(calls), ..self }
    }

    /// The limit never grows beyond `calls`. Default: 1,000.
    ///
    /// # Panics
    /// `calls` is 0.
    #[must_use]
    pub fn at_most(self, calls: usize) -> Self {
        assert!(calls > 0, "a limit lets at least one call run");
        Self { most: calls, least: self.least.min(calls), ..self }
    }

    /// How many times longer than their baseline calls may take before the limit falls.
    /// Default: 1.5. Higher for calls whose times vary widely.
    ///
    /// # Panics
    /// `times` is under 1, or no number.
    #[must_use]
    pub fn tolerance(self, times: f64) -> Self {
        assert!(
            times.is_finite() && times >= 1.0,
            "calls may take at least as long as they did, not {times}"
        );
        Self { tolerance: times, ..self }
    }

    /// How long is watched before the limit changes: so long, and ten calls. Default:
    /// 100 ms.
    ///
    /// # Panics
    /// The time is 0.
    #[must_use]
    pub fn window(self, window: Duration) -> Self {
        assert!(!window.is_zero(), "a window has a length");
        Self { window, ..self }
    }

    /// How often, under lasting load, baselines are measured anew, at which for one
    /// window only a quarter of the limit is let in. Default: 30 s.
    ///
    /// # Panics
    /// The time is 0.
    #[must_use]
    pub fn probe_every(self, time: Duration) -> Self {
        assert!(!time.is_zero(), "a limit that only probes lets nobody in");
        Self { probe_every: time, ..self }
    }

    /// The limit to begin with.
    pub(super) fn first(&self) -> usize {
        self.initial.clamp(self.least, self.most)
    }
}

impl Default for AdaptivePolicy {
    fn default() -> Self {
        Self::new()
    }
}

//! When a circuit opens, for how long, and how it closes again.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::call::code::Code;
use crate::call::status::{Origin, Status};

/// When a circuit breaker opens, for how long, and how it closes again.
///
/// By default it opens when half of the last 100 calls failed, of which there
/// must be 20, or when 10 failed in a row; stays open for 5 s (jittered by a
/// tenth), twice as long each time that the probes fail, and at most 60 s; then
/// lets 3 probes through and closes when all of them succeeded.
///
/// ```
/// use std::time::Duration;
///
/// use dora::BreakerPolicy;
///
/// let policy = BreakerPolicy::new()
///     .last_seconds(30)
///     .minimum_calls(50)
///     .failure_rate(0.25)
///     .slow_calls(Duration::from_millis(500), 0.8)
///     .open_for(Duration::from_secs(2));
/// # let _ = policy;
/// ```
///
/// # For those who come from Swoft or the PHP client
///
/// | there | here |
/// | --- | --- |
/// | Swoft's `failCounter` (failures in a row until it opens) | [`consecutive_failures`](Self::consecutive_failures)`(n)` with [`failure_rate`](Self::failure_rate)`(None)` |
/// | Swoft's `successCounter` (successes until it closes) | [`probes`](Self::probes)`(n)` |
/// | Swoft's delay before half-open | [`open_for`](Self::open_for) with [`growth`](Self::growth)`(1.0)` and [`jitter`](Self::jitter)`(0.0)` |
/// | Swoft's timeout of a call | the call's deadline; a timeout counts as a failure |
/// | Dora-RPC's client: a server that failed is blocked until all are | [`consecutive_failures`](Self::consecutive_failures)`(1)`; the balancer takes those that are not open |
#[derive(Clone)]
pub struct BreakerPolicy {
    pub(super) window: WindowSize,
    pub(super) minimum_calls: u32,
    pub(super) failure_rate: Option<f64>,
    pub(super) consecutive_failures: Option<u32>,
    pub(super) slow: Option<Slow>,
    pub(super) open_for: Duration,
    pub(super) longest: Duration,
    pub(super) growth: f64,
    pub(super) jitter: f64,
    pub(super) probes: u32,
    pub(super) seed: Option<u64>,
    classifier: Arc<dyn Fn(&Status) -> BreakerOutcome + Send + Sync>,
}

/// How far the window looks back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WindowSize {
    Calls(u32),
    Time(Duration),
}

/// What makes a call slow, and how many may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slow {
    pub(super) over: Duration,
    pub(super) rate: f64,
}

/// What a call says about the health of the service that it was made to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BreakerOutcome {
    /// The service works: it answered, though perhaps with an error of its business.
    Success,
    /// The service does not work.
    Failure,
    /// Nothing: the caller gave up, or the call never got as far.
    Ignored,
}

impl BreakerPolicy {
    /// The defaults, as above.
    #[must_use]
    pub fn new() -> Self {
        Self {
            window: WindowSize::Calls(100),
            minimum_calls: 20,
            failure_rate: Some(0.5),
            consecutive_failures: Some(10),
            slow: None,
            open_for: Duration::from_secs(5),
            longest: Duration::from_secs(60),
            growth: 2.0,
            jitter: 0.1,
            probes: 3,
            seed: None,
            classifier: Arc::new(health),
        }
    }

    /// Judges by the last `calls` calls. Default: 100.
    ///
    /// # Panics
    /// `calls` is 0 or over 1,000,000.
    #[must_use]
    pub fn last_calls(mut self, calls: u32) -> Self {
        assert!((1..=1_000_000).contains(&calls), "a breaker judges by 1 to 1,000,000 calls, not by {calls}");
        self.window = WindowSize::Calls(calls);
        self
    }

    /// Judges by the calls of the last `seconds`, in place of a number of calls.
    /// They leave the window a tenth of it at a time.
    ///
    /// # Panics
    /// `seconds` is 0.
    #[must_use]
    pub fn last_seconds(mut self, seconds: u32) -> Self {
        assert!(seconds > 0, "a breaker judges by at least a second");
        self.window = WindowSize::Time(Duration::from_secs(u64::from(seconds)));
        self
    }

    /// No rate is judged by fewer calls than these. Default: 20. With
    /// [`last_calls`](Self::last_calls), a full window is always enough.
    #[must_use]
    pub fn minimum_calls(mut self, calls: u32) -> Self {
        self.minimum_calls = calls;
        self
    }

    /// Opens when this share of the window's calls failed, from over 0 to 1.
    /// Default: 0.5. `None` judges by no rate of failures.
    ///
    /// # Panics
    /// The share is not in that range: half of the calls is 0.5, not 50.
    #[must_use]
    pub fn failure_rate(mut self, rate: impl Into<Option<f64>>) -> Self {
        self.failure_rate = rate.into().map(share);
        self
    }

    /// Opens when so many calls failed in a row, whatever the window holds.
    /// Default: 10. `None` does not count them.
    ///
    /// # Panics
    /// The number is 0.
    #[must_use]
    pub fn consecutive_failures(mut self, failures: impl Into<Option<u32>>) -> Self {
        let failures = failures.into();
        assert!(failures != Some(0), "a breaker opens after at least one failure");
        self.consecutive_failures = failures;
        self
    }

    /// Opens when the share `rate` of the window's calls took longer than `over`,
    /// whatever they were answered with. Off by default.
    ///
    /// # Panics
    /// `rate` is not over 0 and up to 1.
    #[must_use]
    pub fn slow_calls(mut self, over: Duration, rate: f64) -> Self {
        self.slow = Some(Slow { over, rate: share(rate) });
        self
    }

    /// How long it stays open before it lets probes through. Default: 5 s.
    #[must_use]
    pub fn open_for(mut self, time: Duration) -> Self {
        self.open_for = time;
        self
    }

    /// By what the time it stays open grows each time that its probes fail.
    /// Default: 2.
    ///
    /// # Panics
    /// `factor` is under 1 or not finite.
    #[must_use]
    pub fn growth(mut self, factor: f64) -> Self {
        assert!(
            factor >= 1.0 && factor.is_finite(),
            "the open time grows by a factor from 1 up, not by {factor}"
        );
        self.growth = factor;
        self
    }

    /// The longest that it stays open, before jitter. Default: 60 s.
    #[must_use]
    pub fn open_at_most(mut self, time: Duration) -> Self {
        self.longest = time;
        self
    }

    /// The share by which an open time is made shorter or longer at random, so
    /// that not all callers come back at once. Default: 0.1.
    ///
    /// # Panics
    /// `share` is not from 0 to 1.
    #[must_use]
    pub fn jitter(mut self, share: f64) -> Self {
        assert!((0.0..=1.0).contains(&share), "jitter is a share from 0 to 1, not {share}");
        self.jitter = share;
        self
    }

    /// After the open time, so many calls are let through, as probes: if all of
    /// them succeed it closes, if one fails it opens again. A probe whose caller
    /// gave up lets another call through. Default: 3.
    ///
    /// # Panics
    /// `probes` is 0.
    #[must_use]
    pub fn probes(mut self, probes: u32) -> Self {
        assert!(probes > 0, "without a probe it would never close");
        self.probes = probes;
        self
    }

    /// Draws jitter from this seed, so that a simulation can be repeated. By
    /// default each breaker has a seed of its own.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// What an error says about the health of the service; a call without an
    /// error is a success. By default timeouts and lost answers, `Unavailable`,
    /// `Internal`, `DataLoss`, and a server's `ResourceExhausted` are failures;
    /// a cancelled call and one that expired or was refused in this process,
    /// before anything was sent, is ignored; all others are the service's
    /// business, and a success.
    #[must_use]
    pub fn classify(
        mut self,
        classifier: impl Fn(&Status) -> BreakerOutcome + Send + Sync + 'static,
    ) -> Self {
        self.classifier = Arc::new(classifier);
        self
    }

    pub(super) fn outcome(&self, status: &Status) -> BreakerOutcome {
        (self.classifier)(status)
    }
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for BreakerPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerPolicy")
            .field("window", &self.window)
            .field("minimum_calls", &self.minimum_calls)
            .field("failure_rate", &self.failure_rate)
            .field("consecutive_failures", &self.consecutive_failures)
            .field("slow", &self.slow)
            .field("open_for", &self.open_for)
            .field("probes", &self.probes)
            .finish_non_exhaustive()
    }
}

fn share(rate: f64) -> f64 {
    assert!(rate > 0.0 && rate <= 1.0, "a rate is a share over 0 and up to 1, not {rate}");
    rate
}

/// What an error says about the health of the peer.
pub(in crate::middleware) fn health(status: &Status) -> BreakerOutcome {
    let here = status.origin() == Origin::Local && status.peer().is_none();
    match status.code() {
        Code::Cancelled => BreakerOutcome::Ignored,
        // No peer has anything to do with it: a limit or a deadline of this process.
        Code::ResourceExhausted | Code::DeadlineExceeded | Code::Unavailable
            if here && status.is_unsent() =>
        {
            BreakerOutcome::Ignored
        }
        Code::ResourceExhausted if here => BreakerOutcome::Ignored,
        Code::Unavailable
        | Code::DeadlineExceeded
        | Code::Internal
        | Code::DataLoss
        | Code::ResourceExhausted => BreakerOutcome::Failure,
        _ => BreakerOutcome::Success,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_is_not_business() {
        let peer = || std::sync::Arc::from("10.0.0.1:9567");
        for (status, outcome) in [
            (Status::not_found("no user 7"), BreakerOutcome::Success),
            (Status::raw(1231, "locked").with_origin(Origin::Service), BreakerOutcome::Success),
            (Status::internal("a panic").with_origin(Origin::Service), BreakerOutcome::Failure),
            (Status::unavailable("refused").with_peer(peer()).unsent(), BreakerOutcome::Failure),
            (Status::deadline_exceeded("no answer"), BreakerOutcome::Failure),
            (Status::deadline_exceeded("it passed before").unsent(), BreakerOutcome::Ignored),
            (Status::resource_exhausted("shed").with_origin(Origin::Server), BreakerOutcome::Failure),
            (Status::resource_exhausted("a limit here"), BreakerOutcome::Ignored),
            (Status::cancelled("given up"), BreakerOutcome::Ignored),
        ] {
            assert_eq!(BreakerPolicy::new().outcome(&status), outcome, "{status}");
        }
    }

    #[test]
    #[should_panic(expected = "up to 1, not 50")]
    fn a_percentage_is_no_rate() {
        let _ = BreakerPolicy::new().failure_rate(50.0);
    }
}

//! What is tried again, how often, and after what time.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::call::code::Code;
use crate::call::head::RequestHead;
use crate::call::request::Request;
use crate::call::status::Status;

use super::budget::RetryBudget;

/// What is tried again, how often, and after what time.
///
/// By default a call is tried 3 times in all, if it failed with `Unavailable` or
/// `ResourceExhausted`; each time after a random part (full jitter) of 50 ms, then
/// 100 ms and so on, at most 1 s; within a [`RetryBudget`].
///
/// Whatever the policy says, a call is tried again only where that is safe: it
/// surely never left, or its method is `idempotent`. And it is not tried again
/// past its deadline, nor when the server said not to
/// ([`Status::pushback`]).
#[derive(Clone)]
pub struct RetryPolicy {
    pub(in crate::middleware) attempts: u32,
    pub(in crate::middleware) budget: Option<RetryBudget>,
    pub(in crate::middleware) attempt_timeout: Option<Duration>,
    base: Duration,
    longest: Duration,
    random: Option<Arc<Mutex<fastrand::Rng>>>,
    worth_it: Arc<dyn Fn(&Status) -> bool + Send + Sync>,
    on_retry: Option<OnRetry>,
}

type OnRetry = Arc<dyn Fn(&RequestHead) + Send + Sync>;

impl RetryPolicy {
    /// The defaults, as above.
    #[must_use]
    pub fn new() -> Self {
        Self {
            attempts: 3,
            budget: Some(RetryBudget::default()),
            attempt_timeout: None,
            base: Duration::from_millis(50),
            longest: Duration::from_secs(1),
            random: None,
            worth_it: Arc::new(|status| matches!(status.code(), Code::Unavailable | Code::ResourceExhausted)),
            on_retry: None,
        }
    }

    /// How often a call is made at most, the first time included. Default: 3.
    ///
    /// # Panics
    /// `attempts` is 0.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        assert!(attempts > 0, "a call is made at least once");
        self.attempts = attempts;
        self
    }

    /// Waits before the n-th repetition for a random time up to
    /// `base * 2^(n-1)`, and up to `longest`. Default: 50 ms and 1 s.
    #[must_use]
    pub fn backoff(mut self, base: Duration, longest: Duration) -> Self {
        (self.base, self.longest) = (base, longest);
        self
    }

    /// What bounds the repetitions of many calls together. Give the same budget to
    /// all that call the same servers. `None` does not bound them.
    #[must_use]
    pub fn budget(mut self, budget: impl Into<Option<RetryBudget>>) -> Self {
        self.budget = budget.into();
        self
    }

    /// Gives each try of an idempotent call no more than this time, so that one
    /// that hangs leaves some for the next. Less than the call may take, that is; all
    /// tries together take no longer than that. Off by default.
    #[must_use]
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = Some(timeout);
        self
    }

    /// Which errors are worth another try, in place of `Unavailable` and
    /// `ResourceExhausted`. What is not safe is not tried again in any case.
    #[must_use]
    pub fn retry_if(mut self, worth_it: impl Fn(&Status) -> bool + Send + Sync + 'static) -> Self {
        self.worth_it = Arc::new(worth_it);
        self
    }

    /// Calls `function` each time that a call is to be made again, before the time to wait:
    /// for logs and metrics. Of a batch it is told once, whatever number of its calls failed.
    #[must_use]
    pub fn on_retry(mut self, function: impl Fn(&RequestHead) + Send + Sync + 'static) -> Self {
        self.on_retry = Some(Arc::new(function));
        self
    }

    /// Draws jitter from this seed, so that a simulation can be repeated.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.random = Some(Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))));
        self
    }

    /// A call is made, or a batch: each of its calls brings its share to the budget.
    pub(in crate::middleware) fn made(&self, request: &Request) {
        if let Some(budget) = &self.budget {
            budget.deposit(request.calls().len());
        }
    }

    /// Asks for leave to make so many calls again.
    pub(in crate::middleware) fn affords(&self, calls: usize, now: Instant) -> bool {
        self.budget.as_ref().is_none_or(|budget| budget.withdraw(calls, now))
    }

    pub(in crate::middleware) fn is_worth_it(&self, status: &Status) -> bool {
        (self.worth_it)(status)
    }

    /// The call is to be made again.
    pub(in crate::middleware) fn tell(&self, call: &RequestHead) {
        if let Some(on_retry) = &self.on_retry {
            on_retry(call);
        }
    }

    /// The time to wait after so many tries.
    pub(super) fn wait(&self, tries: u32) -> Duration {
        let doublings = tries.saturating_sub(1).min(31);
        let most = self.base.saturating_mul(1 << doublings).min(self.longest);
        let share = match &self.random {
            Some(random) => random.lock().f64(),
            None => fastrand::f64(),
        };
        most.mul_f64(share)
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RetryPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryPolicy")
            .field("attempts", &self.attempts)
            .field("backoff", &(self.base, self.longest))
            .field("budget", &self.budget)
            .field("attempt_timeout", &self.attempt_timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_with_full_jitter() {
        let policy = RetryPolicy::new().seed(1);
        for (tries, most) in [(1, 50), (2, 100), (3, 200), (5, 800), (6, 1_000), (4_000_000_000, 1_000)] {
            let waits: Vec<_> = (0..200).map(|_| policy.wait(tries)).collect();
            let most = Duration::from_millis(most);
            assert!(waits.iter().all(|wait| *wait <= most));
            assert!(waits.iter().any(|wait| *wait < most / 4), "full jitter goes down to nothing");
            assert!(waits.iter().any(|wait| *wait > most * 3 / 4));
        }
    }
}

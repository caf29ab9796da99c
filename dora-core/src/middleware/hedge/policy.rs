//! When another try is made beside one that is slow, and how many.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::call::name::MethodName;
use crate::middleware::retry::budget::RetryBudget;

use super::latencies::{Histogram, Latencies};

/// When another try of a call is made beside one that is slow, and how many.
///
/// By default one more, within a [`RetryBudget`]: at most 20 % of the calls, and 10 a
/// second, are hedged.
///
/// ```
/// use std::time::Duration;
///
/// use dora::HedgePolicy;
///
/// // A call that takes longer than 95 % of its method's calls do, and over 5 ms.
/// let policy = HedgePolicy::at_quantile(0.95).at_least(Duration::from_millis(5));
/// // A call that takes longer than 50 ms; and another one after 100 ms.
/// let policy = HedgePolicy::after(Duration::from_millis(50)).attempts(3);
/// # let _ = policy;
/// ```
#[derive(Clone)]
pub struct HedgePolicy {
    delay: Delay,
    at_least: Duration,
    pub(super) attempts: u32,
    bound: Bound,
}

#[derive(Clone)]
enum Delay {
    Fixed(Duration),
    Quantile { share: f64, latencies: Arc<Latencies> },
}

/// What bounds hedges.
#[derive(Clone)]
enum Bound {
    /// A budget of their own.
    Own(RetryBudget),
    /// That of the retries around them, in which calls are counted there.
    Retries(RetryBudget),
    /// What was said.
    Said(Option<RetryBudget>),
}

impl HedgePolicy {
    /// Makes another try when the last one has not been answered for this time.
    #[must_use]
    pub fn after(delay: Duration) -> Self {
        Self::new(Delay::Fixed(delay))
    }

    /// Makes another try when the last one has taken longer than this share of the calls of
    /// its method did of late: 0.95 hedges one call in 20. Up to 1,024 methods are measured by
    /// themselves, all others together; before 50 answers of a method nothing is hedged.
    ///
    /// # Panics
    /// `share` is not over 0 and under 1: 95 % is 0.95.
    #[must_use]
    pub fn at_quantile(share: f64) -> Self {
        assert!(share > 0.0 && share < 1.0, "a share of the calls is over 0 and under 1, not {share}");
        Self::new(Delay::Quantile { share, latencies: Arc::default() })
    }

    fn new(delay: Delay) -> Self {
        Self {
            delay,
            at_least: Duration::from_millis(1),
            attempts: 2,
            bound: Bound::Own(RetryBudget::default()),
        }
    }

    /// The least delay, whatever the calls take. Default: 1 ms, and of a fixed delay none.
    #[must_use]
    pub fn at_least(mut self, delay: Duration) -> Self {
        self.at_least = delay;
        if let Delay::Fixed(fixed) = &mut self.delay {
            *fixed = (*fixed).max(delay);
        }
        self
    }

    /// How often a call is made at most, the first time included. Default: 2.
    ///
    /// # Panics
    /// `attempts` is 0.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        assert!(attempts > 0, "a call is made at least once");
        self.attempts = attempts;
        self
    }

    /// What bounds the hedges of many calls together: the budget of the
    /// [`RetryLayer`](crate::middleware::retry::service::RetryLayer) around them, where the
    /// calls are counted. `None` does not bound them. Default: a budget of their own, and in a
    /// fleet that of its retries.
    #[must_use]
    pub fn budget(mut self, budget: impl Into<Option<RetryBudget>>) -> Self {
        self.bound = Bound::Said(budget.into());
        self
    }

    /// The same with this budget, if it was not given one.
    pub(in crate::middleware) fn within(mut self, retries: Option<RetryBudget>) -> Self {
        if !matches!(self.bound, Bound::Said(_)) {
            self.bound = match retries {
                Some(budget) => Bound::Retries(budget),
                None => Bound::Own(RetryBudget::default()),
            };
        }
        self
    }

    /// So many calls are made, in one request.
    pub(super) fn count(&self, calls: usize) {
        if let Bound::Own(budget) = &self.bound {
            budget.deposit(calls);
        }
    }

    /// Asks for leave to make another try of so many calls.
    pub(super) fn affords(&self, calls: usize) -> bool {
        match &self.bound {
            Bound::Own(budget) | Bound::Retries(budget) | Bound::Said(Some(budget)) => {
                budget.withdraw(calls, tokio::time::Instant::now())
            }
            Bound::Said(None) => true,
        }
    }

    /// What is known of the calls of `method`, and how long one may take.
    pub(super) fn watch(&self, method: &MethodName) -> Watch {
        match &self.delay {
            Delay::Fixed(delay) => Watch { delay: Some(*delay), latencies: None },
            Delay::Quantile { share, latencies } => {
                let latencies = latencies.of(method);
                let delay = latencies.lock().quantile(*share).map(|delay| delay.max(self.at_least));
                Watch { delay, latencies: Some(latencies) }
            }
        }
    }
}

/// How long a call may take before it is hedged, and where it is noted what it took.
pub(super) struct Watch {
    /// `None`: nothing is known yet.
    pub(super) delay: Option<Duration>,
    latencies: Option<Arc<Mutex<Histogram>>>,
}

impl Watch {
    /// A try took so long; or one that was given up, at least.
    pub(super) fn took(&self, time: Duration) {
        if let Some(latencies) = &self.latencies {
            latencies.lock().record(time);
        }
    }
}

impl fmt::Debug for HedgePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("HedgePolicy");
        match &self.delay {
            Delay::Fixed(delay) => fields.field("after", delay),
            Delay::Quantile { share, .. } => {
                fields.field("at_quantile", share).field("at_least", &self.at_least)
            }
        };
        fields.field("attempts", &self.attempts).finish_non_exhaustive()
    }
}

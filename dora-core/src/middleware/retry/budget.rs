//! How many tries a fleet of callers may add to its calls.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use parking_lot::Mutex;
use tokio::time::Instant;

/// What a try costs; a call brings a share of it.
const TRY: i64 = 1_000;

/// Bounds what trying again adds to the load: a share of the calls, and a few
/// each second on top, for those who call seldom. When everything fails, a fleet
/// without such a bound multiplies its own load. Clones have the same budget; all
/// retries towards the same servers should.
///
/// A batch counts with each of its calls, and what is tried again of it too.
///
/// By default 20 % of the calls and 10 tries a second; what is not used up is
/// kept for later, up to 100 tries.
#[derive(Clone)]
pub struct RetryBudget(Arc<Inner>);

struct Inner {
    tokens: AtomicI64,
    per_call: i64,
    per_second: u32,
    most: i64,
    /// Until when the tries of a second were counted in.
    filled: Mutex<Instant>,
}

impl RetryBudget {
    /// A share of the calls, and so many tries a second on top.
    ///
    /// # Panics
    /// `share` is not from 0 to 10: 20 % is 0.2.
    #[must_use]
    pub fn new(share: f64, per_second: u32) -> Self {
        assert!((0.0..=10.0).contains(&share), "a share of the calls is from 0 to 10, not {share}");
        let of_a_second = i64::from(per_second) * TRY;
        Self(Arc::new(Inner {
            // A second's worth, so that the first calls can be tried again.
            tokens: AtomicI64::new(of_a_second),
            per_call: (share * TRY as f64) as i64,
            per_second,
            most: (100 * TRY).max(of_a_second),
            filled: Mutex::new(Instant::now()),
        }))
    }

    /// Counts so many calls.
    pub(in crate::middleware) fn deposit(&self, calls: usize) {
        let Inner { tokens, per_call, most, .. } = &*self.0;
        // A little over the bound under contention does not matter.
        let held = tokens.load(Ordering::Relaxed);
        if held < *most {
            let room = most.saturating_sub(held).max(*per_call);
            tokens.fetch_add(in_tokens(calls, *per_call).min(room), Ordering::Relaxed);
        }
    }

    /// Asks for leave to make so many calls again: all of a batch, or none. One that is
    /// larger than what can be kept for later goes when that is there, and the rest is owed.
    pub(in crate::middleware) fn withdraw(&self, calls: usize, now: Instant) -> bool {
        let Inner { tokens, per_second, most, filled, .. } = &*self.0;
        let mut filled = filled.lock();
        let passed = now.saturating_duration_since(*filled).as_millis();
        // Tries per second are thousandths of a try per millisecond.
        let earned = i64::try_from(passed).unwrap_or(i64::MAX).saturating_mul(i64::from(*per_second));
        *filled = now.max(*filled);
        let held = tokens.load(Ordering::Relaxed);
        let earned = earned.min(most.saturating_sub(held).max(0));
        let cost = in_tokens(calls.max(1), TRY);
        let affordable = held.saturating_add(earned) >= cost.min(*most);
        tokens.fetch_add(if affordable { earned - cost } else { earned }, Ordering::Relaxed);
        affordable
    }
}

/// So many calls at so much each.
fn in_tokens(calls: usize, each: i64) -> i64 {
    i64::try_from(calls).unwrap_or(i64::MAX).saturating_mul(each)
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self::new(0.2, 10)
    }
}

impl fmt::Debug for RetryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tries = self.0.tokens.load(Ordering::Relaxed) as f64 / TRY as f64;
        f.debug_struct("RetryBudget").field("tries_left", &tries).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn drawn(budget: &RetryBudget, now: Instant) -> u32 {
        (0..10_000).take_while(|_| budget.withdraw(1, now)).count() as u32
    }

    #[tokio::test(start_paused = true)]
    async fn a_share_of_the_calls_and_a_few_a_second() {
        let start = Instant::now();
        let budget = RetryBudget::new(0.2, 10);
        assert_eq!(drawn(&budget, start), 10, "a second's worth to begin with");
        for _ in 0..100 {
            budget.deposit(1);
        }
        assert_eq!(drawn(&budget, start), 20);
        assert_eq!(drawn(&budget, start + Duration::from_millis(300)), 3);
        assert_eq!(drawn(&budget, start + Duration::from_millis(350)), 0);
        assert_eq!(drawn(&budget, start + Duration::from_millis(400)), 1, "the rest was not lost");
        assert_eq!(drawn(&budget, start + Duration::from_secs(3_600)), 100, "kept, but not for ever");
    }

    #[tokio::test]
    async fn calls_alone_earn_no_more_than_is_kept() {
        let budget = RetryBudget::new(1.0, 0);
        for _ in 0..100_000 {
            budget.deposit(1);
        }
        assert_eq!(drawn(&budget, Instant::now()), 100);
    }

    #[tokio::test]
    async fn each_call_of_a_batch_counts() {
        let budget = RetryBudget::new(0.2, 0);
        let now = Instant::now();
        budget.deposit(100);
        assert!(!budget.withdraw(21, now), "twenty were earned");
        assert!(budget.withdraw(15, now));
        assert_eq!(drawn(&budget, now), 5);
        // More than is ever kept: when all is there, and then the rest is owed.
        budget.deposit(499);
        assert!(!budget.withdraw(300, now));
        budget.deposit(1_000_000);
        assert!(budget.withdraw(300, now));
        budget.deposit(1_000);
        assert_eq!(drawn(&budget, now), 0, "200 are owed");
        budget.deposit(5);
        assert_eq!(drawn(&budget, now), 1);
    }
}

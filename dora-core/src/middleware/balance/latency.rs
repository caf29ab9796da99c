//! How long an instance takes of late: a moving average that believes bad news at
//! once and good news slowly (peak EWMA, as Finagle has it).

use std::time::Duration;

use tokio::time::Instant;

/// After so long without news, what was measured counts for a third.
const MEMORY: Duration = Duration::from_secs(10);
/// The same of a failure, which is no measure: an instance that was restarted must not wait
/// until a second has faded to the millisecond that others take.
const GRUDGE: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
pub(super) struct Latency {
    nanoseconds: f64,
    at: Instant,
    /// What the last failure counts for, and when it was; until a call succeeds.
    failure: Option<(Duration, Instant)>,
}

impl Latency {
    pub(super) fn new(now: Instant) -> Self {
        Self { nanoseconds: 0.0, at: now, failure: None }
    }

    /// A call succeeded.
    pub(super) fn succeeded(&mut self, took: Duration, now: Instant) {
        self.failure = None;
        self.observe(took, now);
    }

    /// A call failed, which counts as if it took so long.
    pub(super) fn failed(&mut self, counts: Duration, now: Instant) {
        self.failure = Some((counts, now));
    }

    /// A call took so long.
    fn observe(&mut self, took: Duration, now: Instant) {
        let took = nanoseconds(took);
        self.nanoseconds = match took >= self.nanoseconds {
            true => took,
            false => {
                let share = fading(self.at, now, MEMORY);
                self.nanoseconds * share + took * (1.0 - share)
            }
        };
        self.at = self.at.max(now);
    }

    /// A call was given up after so long: that is news only if it is bad.
    pub(super) fn observe_at_least(&mut self, took: Duration, now: Instant) {
        if nanoseconds(took) > self.expected(now) {
            self.observe(took, now);
        }
    }

    /// What a call is expected to take, in nanoseconds. An instance that nobody calls
    /// because it was slow, or failed, is believed to get better.
    pub(super) fn expected(&self, now: Instant) -> f64 {
        let measured = self.nanoseconds * fading(self.at, now, MEMORY);
        match self.failure {
            Some((counts, at)) => measured.max(nanoseconds(counts) * fading(at, now, GRUDGE)),
            None => measured,
        }
    }
}

fn nanoseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

/// What is left by now of what was so then.
fn fading(then: Instant, now: Instant, memory: Duration) -> f64 {
    let passed = now.saturating_duration_since(then);
    let share = passed.as_secs_f64() / memory.as_secs_f64();
    // Under load news come all the time: to a millionth it is the same.
    if share < 1e-3 { 1.0 - share } else { (-share).exp() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_news_count_at_once_and_fade() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut latency = Latency::new(start);
        latency.observe(Duration::from_millis(1), start);
        latency.observe(Duration::from_millis(100), start);
        assert!((latency.expected(start) - 1e8).abs() < 1.0);
        latency.observe(Duration::from_millis(1), start);
        assert!(latency.expected(start) > 0.99e8, "one quick answer proves nothing");
        assert!(latency.expected(at(10)) < 0.4e8);
        latency.observe(Duration::from_millis(1), at(60));
        assert!(latency.expected(at(60)) < 2e6);
        latency.observe(Duration::from_millis(1), at(30));
        assert!(latency.expected(at(60)).is_finite(), "news may come out of order");
        latency.observe_at_least(Duration::from_micros(1), at(60));
        assert!(latency.expected(at(60)) > 1e6, "a call that was given up soon says nothing");
        latency.observe_at_least(Duration::from_millis(50), at(60));
        assert!((latency.expected(at(60)) - 5e7).abs() < 1.0);
    }

    #[test]
    fn a_failure_is_forgotten_by_the_first_success_or_within_seconds() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut latency = Latency::new(start);
        latency.succeeded(Duration::from_millis(1), start);
        latency.failed(Duration::from_secs(1), start);
        assert!(latency.expected(start) > 0.99e9);
        assert!(latency.expected(at(1)) > 3e8, "not at once");
        assert!(latency.expected(at(7)) < 2e6, "{} of an instance that others beat", latency.expected(at(7)));
        latency.succeeded(Duration::from_millis(1), at(1));
        assert!(latency.expected(at(1)) < 2e6, "it answers again");
    }
}

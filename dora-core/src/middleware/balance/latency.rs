//! How long an instance takes of late: a moving average that believes bad news at
//! once and good news slowly (peak EWMA, as Finagle has it).

use std::time::Duration;

use tokio::time::Instant;

/// After so long without news, what was measured counts for a third.
const MEMORY: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug)]
pub(super) struct Latency {
    nanoseconds: f64,
    at: Instant,
}

impl Latency {
    pub(super) fn new(now: Instant) -> Self {
        Self { nanoseconds: 0.0, at: now }
    }

    /// A call took so long.
    pub(super) fn observe(&mut self, took: Duration, now: Instant) {
        let took = took.as_nanos() as f64;
        let share = self.share(now);
        self.nanoseconds = match took >= self.nanoseconds {
            true => took,
            false => self.nanoseconds * share + took * (1.0 - share),
        };
        self.at = self.at.max(now);
    }

    /// A call was given up after so long: that is news only if it is bad.
    pub(super) fn observe_at_least(&mut self, took: Duration, now: Instant) {
        if took.as_nanos() as f64 > self.expected(now) {
            self.observe(took, now);
        }
    }

    /// What a call is expected to take, in nanoseconds. An instance that nobody calls
    /// because it was slow is believed to get better.
    pub(super) fn expected(&self, now: Instant) -> f64 {
        self.nanoseconds * self.share(now)
    }

    /// What is left of the average by now.
    fn share(&self, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.at);
        (-(passed.as_secs_f64() / MEMORY.as_secs_f64())).exp()
    }
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
}

//! How the calls of late went: by their number, or by time.

use std::time::Duration;

use tokio::time::Instant;

use super::policy::WindowSize;

/// Parts of a window by time; calls leave it a part at a time.
const PARTS: usize = 10;

/// How a call went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) failed: bool,
    pub(super) slow: bool,
}

/// Numbers of calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) calls: u32,
    pub(super) failed: u32,
    pub(super) slow: u32,
}

impl Totals {
    fn add(&mut self, sample: Sample) {
        self.calls = self.calls.saturating_add(1);
        self.failed = self.failed.saturating_add(u32::from(sample.failed));
        self.slow = self.slow.saturating_add(u32::from(sample.slow));
    }

    fn remove(&mut self, sample: Sample) {
        self.calls -= 1;
        self.failed -= u32::from(sample.failed);
        self.slow -= u32::from(sample.slow);
    }
}

/// The calls of late.
#[derive(Debug)]
pub(super) enum Window {
    /// The last so many.
    Calls { ring: Vec<Sample>, size: usize, oldest: usize, totals: Totals },
    /// Those of the last while, in parts of equal length.
    Time { width: Duration, start: Instant, newest: u64, parts: [Totals; PARTS] },
}

impl Window {
    pub(super) fn new(size: WindowSize, now: Instant) -> Self {
        match size {
            // It grows with the calls: most methods of most instances see few.
            WindowSize::Calls(size) => {
                Self::Calls { ring: Vec::new(), size: size as usize, oldest: 0, totals: Totals::default() }
            }
            WindowSize::Time(length) => Self::Time {
                width: length / PARTS as u32,
                start: now,
                newest: 0,
                parts: [Totals::default(); PARTS],
            },
        }
    }

    pub(super) fn record(&mut self, sample: Sample, now: Instant) {
        self.slide(now);
        match self {
            Self::Calls { ring, size, oldest, totals } => {
                totals.add(sample);
                if ring.len() < *size {
                    ring.push(sample);
                } else {
                    totals.remove(std::mem::replace(&mut ring[*oldest], sample));
                    *oldest = (*oldest + 1) % *size;
                }
            }
            Self::Time { newest, parts, .. } => parts[place(*newest)].add(sample),
        }
    }

    pub(super) fn totals(&mut self, now: Instant) -> Totals {
        self.slide(now);
        match self {
            Self::Calls { totals, .. } => *totals,
            Self::Time { parts, .. } => parts.iter().fold(Totals::default(), |sum, part| Totals {
                calls: sum.calls.saturating_add(part.calls),
                failed: sum.failed.saturating_add(part.failed),
                slow: sum.slow.saturating_add(part.slow),
            }),
        }
    }

    /// Whether it cannot hold more calls than it does.
    pub(super) fn is_full(&self) -> bool {
        matches!(self, Self::Calls { ring, size, .. } if ring.len() == *size)
    }

    /// Lets go of the parts that are too old.
    fn slide(&mut self, now: Instant) {
        let Self::Time { width, start, newest, parts } = self else { return };
        let passed = now.saturating_duration_since(*start).as_nanos() / width.as_nanos().max(1);
        let current = u64::try_from(passed).unwrap_or(u64::MAX);
        // A call's time may have been read before another's that came first.
        if current <= *newest {
            return;
        }
        let gone = (current - *newest).min(PARTS as u64);
        for part in current - gone + 1..=current {
            parts[place(part)] = Totals::default();
        }
        *newest = current;
    }
}

fn place(part: u64) -> usize {
    (part % PARTS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Sample = Sample { failed: false, slow: false };
    const BAD: Sample = Sample { failed: true, slow: false };

    #[test]
    fn a_window_by_count_slides() {
        let now = Instant::now();
        let mut window = Window::new(WindowSize::Calls(100), now);
        for _ in 0..10_000 {
            window.record(GOOD, now);
        }
        for failures in 1..=100 {
            window.record(BAD, now);
            assert_eq!(window.totals(now), Totals { calls: 100, failed: failures, slow: 0 });
        }
        window.record(GOOD, now);
        assert_eq!(window.totals(now).failed, 99, "the oldest failure is gone");
    }

    #[test]
    fn a_window_by_time_slides() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut window = Window::new(WindowSize::Time(Duration::from_secs(10)), start);
        window.record(BAD, at(500));
        window.record(GOOD, at(1_500));
        assert_eq!(window.totals(at(9_999)), Totals { calls: 2, failed: 1, slow: 0 });
        assert_eq!(window.totals(at(10_000)), Totals { calls: 1, failed: 0, slow: 0 });
        // One that was begun earlier and counted later.
        window.record(BAD, at(9_000));
        assert_eq!(window.totals(at(10_500)).calls, 2);
        assert_eq!(window.totals(at(3_600_000)), Totals::default());
    }
}

//! How much of its worker a connection may use before others have their turn.

use std::time::Duration;

use tokio::time::Instant;

/// What a connection may use up in one turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// Packets begun, and handlers polled again.
    pub(super) frames: u32,
    /// Bytes of packets begun.
    pub(super) bytes: usize,
    pub(super) time: Duration,
}

impl Budget {
    /// A light client on the same worker waits so long for each busy one. The time
    /// is what bounds it: the frames are as many as fit into it where calls cost
    /// next to nothing, so that one write carries as many answers as it may.
    pub(super) const TURN: Self = Self { frames: 1024, bytes: 1 << 20, time: Duration::from_micros(500) };
}

/// The turn that a connection has now.
///
/// A look at the clock costs as much as a tenth of a small call. While calls are
/// cheap it is looked at ever more seldom; after the first dear one, after each.
#[derive(Debug)]
pub(super) struct Turn {
    frames: u32,
    bytes: usize,
    ends: Instant,
    now: Instant,
    /// Frames between two looks at the clock, and those since the last one.
    stride: u32,
    unseen: u32,
}

const LONGEST_STRIDE: u32 = 16;

/// What costs less than this on average is cheap.
const CHEAP: Duration = Duration::from_micros(20);

impl Turn {
    pub(super) fn new(budget: Budget, now: Instant) -> Self {
        let Budget { frames, bytes, time } = budget;
        Self { frames, bytes, ends: now + time, now, stride: 1, unseen: 0 }
    }

    /// The present, stale by no more than a few cheap calls.
    pub(super) fn now(&self) -> Instant {
        self.now
    }

    /// Whether others are next.
    pub(super) fn is_spent(&self) -> bool {
        self.frames == 0 || self.bytes == 0 || self.ends <= self.now
    }

    /// Counts a packet of `bytes` that was begun, or a handler that was polled.
    pub(super) fn count(&mut self, bytes: usize, clock: impl FnOnce() -> Instant) {
        self.frames = self.frames.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
        self.unseen += 1;
        if self.unseen >= self.stride {
            self.look(clock());
        }
    }

    /// Takes note of the present.
    pub(super) fn look(&mut self, now: Instant) {
        let cheap = now.saturating_duration_since(self.now) <= CHEAP * self.unseen;
        self.stride = if cheap { (self.stride * 2).min(LONGEST_STRIDE) } else { 1 };
        self.unseen = 0;
        self.now = now;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const BUDGET: Budget = Budget { frames: 100, bytes: 1000, time: Duration::from_millis(1) };

    #[test]
    fn frames_and_bytes_end_a_turn() {
        let now = Instant::now();
        let mut turn = Turn::new(BUDGET, now);
        let count = (0..).take_while(|_| {
            let more = !turn.is_spent();
            turn.count(1, || now);
            more
        });
        assert_eq!(count.count(), 100);
        let mut turn = Turn::new(BUDGET, now);
        turn.count(999, || now);
        assert!(!turn.is_spent());
        turn.count(1, || now);
        assert!(turn.is_spent());
    }

    #[test]
    fn a_dear_call_ends_a_turn_at_once() {
        let now = Instant::now();
        let mut turn = Turn::new(BUDGET, now);
        turn.count(1, || now + Duration::from_millis(10));
        assert!(turn.is_spent());
        assert_eq!(turn.now(), now + Duration::from_millis(10));
    }

    #[test]
    fn the_clock_is_read_seldom_while_calls_are_cheap() {
        let start = Instant::now();
        let mut turn = Turn::new(Budget { frames: 1000, ..BUDGET }, start);
        let (looks, calls) = (Cell::new(0), Cell::new(0));
        let clock = || {
            looks.set(looks.get() + 1);
            start + Duration::from_micros(calls.get())
        };
        for _ in 0..300 {
            calls.set(calls.get() + 1);
            turn.count(1, clock);
        }
        assert!(looks.get() < 30, "{} looks for 300 calls", looks.get());
        // From the first look that sees a dear one on, each is looked at.
        let dear = Duration::from_micros(50);
        let mut now = start + Duration::from_micros(300);
        let mut late = 0;
        while !turn.is_spent() {
            now += dear;
            turn.count(1, || now);
            late += u32::from(turn.now() != now);
        }
        assert!(late <= 2 * LONGEST_STRIDE, "the clock was not read {late} times");
    }
}

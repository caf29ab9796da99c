//! For how long an instance has owed answers and given none.

use std::time::Duration;

use tokio::time::Instant;

/// One that hangs is known by it long before its calls' deadlines pass, also where
/// hedges give its calls up as soon as others have answered.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// Calls that wait for their answers.
    waiting: usize,
    /// Since when they wait without any having been answered.
    since: Option<Instant>,
    /// What was waited in vain before, for calls that were all given up.
    before: Duration,
}

impl Silence {
    /// A call was given to the instance.
    pub(super) fn began(&mut self, now: Instant) {
        self.waiting += 1;
        self.since.get_or_insert(now);
    }

    /// A call has ended, with a sign of life.
    pub(super) fn answered(&mut self, now: Instant) {
        self.waiting = self.waiting.saturating_sub(1);
        self.before = Duration::ZERO;
        self.since = (self.waiting > 0).then_some(now);
    }

    /// A call has ended without one.
    pub(super) fn given_up(&mut self, now: Instant) {
        self.waiting = self.waiting.saturating_sub(1);
        if self.waiting == 0 {
            self.before = self.length(now);
            self.since = None;
        }
    }

    /// How long it has been silent. The time in which it owes nothing does not count.
    pub(super) fn length(&self, now: Instant) -> Duration {
        let waited = self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        self.before + waited
    }

    /// The same while calls wait, else nothing.
    pub(super) fn of_waiting(&self, now: Instant) -> Duration {
        if self.waiting > 0 { self.length(now) } else { Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_while_answers_are_owed_and_none_comes() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let lengths =
            |silence: &Silence, now| (silence.length(now).as_secs(), silence.of_waiting(now).as_secs());
        let mut silence = Silence::default();
        assert_eq!(lengths(&silence, at(5)), (0, 0), "it owes nothing");
        silence.began(at(5));
        silence.began(at(6));
        assert_eq!(lengths(&silence, at(7)), (2, 2));
        silence.answered(at(7));
        assert_eq!(lengths(&silence, at(8)), (1, 1), "one is still owed");
        silence.answered(at(8));
        assert_eq!(lengths(&silence, at(9)), (0, 0));
        // Two that are given up one after the other, with an hour in between.
        silence.began(at(10));
        silence.given_up(at(12));
        assert_eq!(lengths(&silence, at(3_612)), (2, 0), "an hour without calls says nothing");
        silence.began(at(3_612));
        assert_eq!(lengths(&silence, at(3_613)), (3, 3));
        silence.given_up(at(3_613));
        silence.began(at(3_700));
        silence.answered(at(3_700));
        assert_eq!(lengths(&silence, at(3_800)), (0, 0), "it lives");
    }
}

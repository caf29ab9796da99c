//! Whether the peer is still there, told by the times at which bytes moved.

use std::time::Duration;

use tokio::time::Instant;

/// The silence of one connection.
#[derive(Debug)]
pub(super) struct Health {
    /// How long a peer may be silent that owes an answer.
    limit: Duration,
    /// When bytes came last.
    heard: Instant,
    /// When the peer was asked, and has not said a word since.
    asked: Option<Instant>,
}

/// What the peer understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It answers pings.
    Pings,
    /// It answers requests alone, as PHP does, or has not said yet what it can:
    /// while a call takes long it is kept from closing by requests that cost it
    /// nothing, and is not judged by its silence.
    Requests,
    /// It answers requests alone, and one at a time: nothing can be asked.
    Serial,
}

/// What to do, and when at the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Ask whether it is there.
    Ask(Instant),
    /// Take the connection for lost.
    GiveUp(Instant),
}

impl Step {
    pub(super) fn when(self) -> Instant {
        match self {
            Self::Ask(when) | Self::GiveUp(when) => when,
        }
    }
}

/// A PHP server closes a connection, calls in flight or not, from which nothing
/// came for 10 s.
pub(super) const KEEP: Duration = Duration::from_secs(5);

/// Longer than anybody waits.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

impl Health {
    pub(super) fn new(limit: Duration, now: Instant) -> Self {
        Self { limit: limit.min(NEVER), heard: now, asked: None }
    }

    /// Bytes came.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.asked = None;
    }

    /// The peer was asked.
    pub(super) fn asked(&mut self, now: Instant) {
        self.asked = Some(now);
    }

    /// What to do next, when calls are awaited or not, bytes were first written
    /// after the last that came at `owed`, and last at `wrote`.
    pub(super) fn next(
        &self,
        kind: Kind,
        awaited: bool,
        owed: Option<Instant>,
        wrote: Instant,
    ) -> Option<Step> {
        match kind {
            Kind::Serial => None,
            Kind::Requests => {
                let last = self.asked.map_or(wrote, |asked| asked.max(wrote));
                awaited.then(|| Step::Ask(last + KEEP.min(self.limit / 2)))
            }
            Kind::Pings => {
                let since = owed.or(awaited.then_some(self.heard))?.max(self.heard);
                Some(match self.asked {
                    Some(asked) => Step::GiveUp((since + self.limit).max(asked + self.limit / 2)),
                    None => Step::Ask(since + self.limit / 2),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_peer_that_owes_an_answer_is_asked_and_then_given_up() {
        let start = Instant::now();
        let mut health = Health::new(LIMIT, start);
        let next = |health: &Health, awaited, owed| health.next(Kind::Pings, awaited, owed, start);
        assert_eq!(next(&health, false, None), None, "it owes nothing");
        let asked = start + 100 * SECOND;
        assert_eq!(next(&health, true, Some(asked)), Some(Step::Ask(asked + LIMIT / 2)));
        assert_eq!(
            next(&health, false, Some(asked)),
            Some(Step::Ask(asked + LIMIT / 2)),
            "also when the caller has given up"
        );
        health.asked(asked + LIMIT / 2);
        assert_eq!(next(&health, true, Some(asked)), Some(Step::GiveUp(asked + LIMIT)));
        let pong = asked + LIMIT / 2 + SECOND;
        health.heard(pong);
        assert_eq!(next(&health, true, None), Some(Step::Ask(pong + LIMIT / 2)), "a long call");
        assert_eq!(next(&health, false, None), None);
    }

    #[test]
    fn a_late_question_leaves_time_for_its_answer() {
        let start = Instant::now();
        let mut health = Health::new(LIMIT, start);
        // The task was held up for a minute.
        health.asked(start + 60 * SECOND);
        let step = health.next(Kind::Pings, true, Some(start), start);
        assert_eq!(step, Some(Step::GiveUp(start + 65 * SECOND)));
    }

    #[test]
    fn a_php_server_is_kept_from_closing_and_never_given_up() {
        let start = Instant::now();
        let mut health = Health::new(LIMIT, start);
        let next = |health: &Health, wrote| health.next(Kind::Requests, true, Some(start), wrote);
        assert_eq!(next(&health, start), Some(Step::Ask(start + KEEP)));
        health.asked(start + KEEP);
        assert_eq!(next(&health, start), Some(Step::Ask(start + 2 * KEEP)));
        assert_eq!(next(&health, start + 8 * SECOND), Some(Step::Ask(start + 13 * SECOND)));
        assert_eq!(health.next(Kind::Requests, false, Some(start), start), None, "it may close when idle");
        assert_eq!(health.next(Kind::Serial, true, Some(start), start), None);
        let relaxed = Health::new(Duration::MAX, start);
        assert_eq!(next(&relaxed, start), Some(Step::Ask(start + KEEP)));
    }
}

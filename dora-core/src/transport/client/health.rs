//! Whether the peer is still there, told by the times at which bytes moved.

use std::time::Duration;

use tokio::time::Instant;

use crate::call::capabilities::Capabilities;

/// The silence of one connection.
#[derive(Debug)]
pub(super) struct Health {
    /// How long a peer may be silent that owes an answer.
    limit: Duration,
    /// When bytes came last, or the connection was made.
    heard: Instant,
    /// Whether none ever came.
    stranger: bool,
    stage: Stage,
    /// How long a peer may be silent before it is asked.
    patience: Duration,
}

/// What was made of a peer's silence. Any word of it ends that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing.
    Heard,
    /// It was asked.
    Asked(Instant),
    /// It was asked, has not answered for a while, and its callers were told so last then.
    Doubted { asked: Instant, told: Instant },
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

impl Kind {
    /// That of a peer that said that it `can` so much, on a connection that takes one call at
    /// a time or more.
    pub(super) fn of(serial: bool, can: Option<Capabilities>) -> Self {
        match can {
            _ if serial => Self::Serial,
            Some(can) if can.contains(Capabilities::NOTICES) => Self::Pings,
            _ => Self::Requests,
        }
    }
}

/// What is seen of a connection's calls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// Since when answers have been awaited, if any is.
    pub(super) awaited: Option<Instant>,
    /// Whether a call was given up, and others may go elsewhere.
    pub(super) given_up: bool,
    /// When bytes were written first after the last that came.
    pub(super) owed: Option<Instant>,
    /// When bytes were written last.
    pub(super) wrote: Instant,
}

/// What to do, and when at the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Ask whether it is there.
    Ask(Instant),
    /// Tell those who wait that it does not say so.
    Doubt(Instant),
    /// Take the connection for lost.
    GiveUp(Instant),
    /// Send no more calls on it.
    TurnAway(Instant),
}

impl Step {
    pub(super) fn when(self) -> Instant {
        match self {
            Self::Ask(when) | Self::Doubt(when) | Self::GiveUp(when) | Self::TurnAway(when) => when,
        }
    }
}

/// A PHP server closes a connection, calls in flight or not, from which nothing
/// came for 10 s.
pub(super) const KEEP: Duration = Duration::from_secs(5);

/// After so long a peer that owes an answer is asked, and after as long again it is doubted: a
/// process that lives answers within milliseconds, however long its handlers take.
pub(super) const SOON: Duration = Duration::from_millis(500);

/// Longer than anybody waits.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

impl Health {
    pub(super) fn new(limit: Duration, now: Instant) -> Self {
        let limit = limit.min(NEVER);
        let patience = SOON.min(limit / 2);
        Self { limit, heard: now, stranger: true, stage: Stage::Heard, patience }
    }

    /// Bytes came; whether the peer was doubted.
    pub(super) fn heard(&mut self, now: Instant) -> bool {
        self.heard = now;
        self.stranger = false;
        let before = std::mem::replace(&mut self.stage, Stage::Heard);
        // One that lives and takes long is asked less and less often.
        let patience = if before == Stage::Heard { SOON } else { self.patience * 2 };
        self.patience = patience.min(self.limit / 2);
        matches!(before, Stage::Doubted { .. })
    }

    /// The peer was asked.
    pub(super) fn asked(&mut self, now: Instant) {
        self.stage = Stage::Asked(now);
    }

    /// Those who wait were told that the peer is silent.
    pub(super) fn doubted(&mut self, now: Instant) {
        if let Stage::Asked(asked) | Stage::Doubted { asked, .. } = self.stage {
            self.stage = Stage::Doubted { asked, told: now };
        }
    }

    /// What to do next.
    pub(super) fn next(&self, kind: Kind, seen: Seen) -> Option<Step> {
        let Seen { awaited, given_up, owed, wrote } = seen;
        match kind {
            Kind::Serial => None,
            Kind::Requests => {
                let last = match self.stage {
                    Stage::Heard => wrote,
                    Stage::Asked(asked) | Stage::Doubted { asked, .. } => asked.max(wrote),
                };
                let ask = awaited.map(|_| Step::Ask(last + KEEP.min(self.limit / 2)));
                // It may be a slow one, and what it has is still awaited; but it may be
                // none, and then no call would ever find out.
                let unheard = owed.filter(|_| self.stranger && given_up);
                let turn_away = unheard.map(|owed| Step::TurnAway(owed + self.limit));
                ask.into_iter().chain(turn_away).min_by_key(|step| step.when())
            }
            Kind::Pings => {
                let since = owed.or(awaited)?.max(self.heard);
                let soon = SOON.min(self.limit / 2);
                let give_up = |asked: Instant| (since + self.limit).max(asked + self.limit / 2);
                Some(match self.stage {
                    Stage::Heard => Step::Ask(since + self.patience),
                    Stage::Asked(asked) if asked + soon < give_up(asked) => Step::Doubt(asked + soon),
                    // Calls that were made since are told as well.
                    Stage::Doubted { asked, told } if told + soon < give_up(asked) => {
                        Step::Doubt(told + soon)
                    }
                    Stage::Asked(asked) | Stage::Doubted { asked, .. } => Step::GiveUp(give_up(asked)),
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
    fn a_peer_that_owes_an_answer_is_asked_doubted_and_then_given_up() {
        let start = Instant::now();
        let mut health = Health::new(LIMIT, start);
        let next = |health: &Health, awaited: bool, owed| {
            let (awaited, given_up) = (awaited.then_some(start), !awaited);
            health.next(Kind::Pings, Seen { awaited, given_up, owed, wrote: start })
        };
        assert_eq!(next(&health, false, None), None, "it owes nothing");
        let owed = start + 100 * SECOND;
        assert_eq!(next(&health, true, Some(owed)), Some(Step::Ask(owed + SOON)));
        assert_eq!(
            next(&health, false, Some(owed)),
            Some(Step::Ask(owed + SOON)),
            "also when the caller has given up"
        );
        let asked = owed + SOON;
        health.asked(asked);
        assert_eq!(next(&health, true, Some(owed)), Some(Step::Doubt(asked + SOON)));
        let mut told = asked + SOON;
        while let Some(Step::Doubt(again)) = {
            health.doubted(told);
            next(&health, true, Some(owed))
        } {
            assert_eq!(again, told + SOON, "also those who call meanwhile");
            told = again;
        }
        assert_eq!(next(&health, true, Some(owed)), Some(Step::GiveUp(owed + LIMIT)));
        let pong = owed + 9 * SECOND;
        assert!(health.heard(pong), "it was doubted");
        assert_eq!(next(&health, true, None), Some(Step::Ask(pong + 2 * SOON)), "a long call");
        assert_eq!(next(&health, false, None), None);
        health.asked(pong + SECOND);
        assert!(!health.heard(pong + SECOND), "it has answered in time");
        assert_eq!(next(&health, true, None), Some(Step::Ask(pong + SECOND + 4 * SOON)));
        health.heard(pong + 2 * SECOND);
        assert_eq!(next(&health, true, None), Some(Step::Ask(pong + 2 * SECOND + SOON)), "another answer");
    }

    #[test]
    fn one_that_has_to_answer_sooner_is_asked_sooner() {
        let start = Instant::now();
        let limit = Duration::from_millis(600);
        let mut health = Health::new(limit, start);
        let seen = Seen { awaited: Some(start), given_up: false, owed: Some(start), wrote: start };
        let next = |health: &Health| health.next(Kind::Pings, seen);
        assert_eq!(next(&health), Some(Step::Ask(start + limit / 2)));
        health.asked(start + limit / 2);
        assert_eq!(next(&health), Some(Step::GiveUp(start + limit)));
    }

    #[test]
    fn a_call_after_a_rest_is_no_silence() {
        let start = Instant::now();
        let mut health = Health::new(LIMIT, start);
        health.heard(start);
        let called = start + 100 * SECOND;
        let seen = Seen { awaited: Some(called), given_up: false, owed: None, wrote: start };
        let step = health.next(Kind::Pings, seen);
        assert_eq!(step, Some(Step::Ask(called + SOON)), "it waits to be written");
    }

    #[test]
    fn a_late_question_leaves_time_for_its_answer() {
        let start = Instant::now();
        let mut health = Health::new(LIMIT, start);
        // The task was held up for a minute.
        health.asked(start + 60 * SECOND);
        let seen = Seen { awaited: Some(start), given_up: false, owed: Some(start), wrote: start };
        let next = |health: &Health| health.next(Kind::Pings, seen);
        assert_eq!(next(&health), Some(Step::Doubt(start + 60 * SECOND + SOON)));
        health.doubted(start + 65 * SECOND - SOON);
        assert_eq!(next(&health), Some(Step::GiveUp(start + 65 * SECOND)));
    }

    #[test]
    fn a_php_server_is_kept_from_closing_and_never_given_up() {
        let start = Instant::now();
        let mut health = Health::new(LIMIT, start);
        let seen = |wrote| Seen { awaited: Some(start), given_up: false, owed: Some(start), wrote };
        let next = |health: &Health, wrote| health.next(Kind::Requests, seen(wrote));
        assert_eq!(next(&health, start), Some(Step::Ask(start + KEEP)));
        health.asked(start + KEEP);
        assert_eq!(next(&health, start), Some(Step::Ask(start + 2 * KEEP)));
        assert_eq!(next(&health, start + 8 * SECOND), Some(Step::Ask(start + 13 * SECOND)));
        let idle = Seen { awaited: None, ..seen(start) };
        assert_eq!(health.next(Kind::Requests, idle), None, "it may close when idle");
        assert_eq!(health.next(Kind::Serial, seen(start)), None);
        let relaxed = Health::new(Duration::MAX, start);
        assert_eq!(next(&relaxed, start), Some(Step::Ask(start + KEEP)));
    }

    #[test]
    fn a_connection_on_which_nothing_was_ever_heard_is_left_when_a_call_was_given_up() {
        let start = Instant::now();
        let mut health = Health::new(LIMIT, start);
        let seen = |given_up| Seen { awaited: None, given_up, owed: Some(start + SECOND), wrote: start };
        assert_eq!(health.next(Kind::Requests, seen(false)), None);
        assert_eq!(health.next(Kind::Requests, seen(true)), Some(Step::TurnAway(start + SECOND + LIMIT)));
        health.heard(start + 2 * SECOND);
        assert_eq!(health.next(Kind::Requests, seen(true)), None, "it is a slow one");
    }
}

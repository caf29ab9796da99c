//! Whether an endpoint has a connection, wants one, or must wait for the next
//! attempt.
//!
//! ```text
//!           somebody calls           made
//!  Idle ------------------> Connecting ------> Connected ---> Idle, Connecting
//!    ^                        |     ^            |    |        (closed, lost, drained)
//!    |                 failed |     | wanted     |    | a caller without a guid
//!    |                        v     |            v    v gave up
//!    +------ pause over ----- Down <---- lost unheard Spoiled ---> Idle, Connecting
//!
//!  any ---> Leaving (no channel is left) ---> Ended (so has the task)
//! ```

use std::time::Duration;

use tokio::time::Instant;

use crate::call::status::Status;

use super::state::ChannelState;

/// What stands between a caller and a connection.
#[derive(Debug, Default)]
pub(super) enum LinkState {
    /// No connection, and none is wanted.
    #[default]
    Idle,
    /// Somebody wants a connection.
    Connecting,
    /// A connection stands.
    Connected,
    /// One stands that was given up: its next answer could not be told from that
    /// of another call. Calls wait for the next one.
    Spoiled,
    /// An attempt failed a moment ago, or what it made was of no use: calls fail at
    /// once until the next attempt.
    Down { status: Status, until: Instant },
    /// No channel is left.
    Leaving,
    /// The connection's task has ended: there will be no other connection.
    Ended(Status),
}

impl LinkState {
    /// What a channel shows of it.
    pub(super) fn shown(&self) -> ChannelState {
        match self {
            Self::Idle | Self::Leaving => ChannelState::Idle,
            Self::Connecting | Self::Spoiled => ChannelState::Connecting,
            Self::Connected => ChannelState::Ready,
            Self::Down { until, .. } => ChannelState::Down(*until),
            Self::Ended(_) => ChannelState::Closed,
        }
    }

    /// Somebody wants a connection; whether the task must hear of it.
    pub(super) fn want(&mut self) -> bool {
        match self {
            Self::Idle => {
                *self = Self::Connecting;
                true
            }
            _ => false,
        }
    }

    /// Why a call fails at once.
    pub(super) fn refusal(&self, now: impl FnOnce() -> Instant) -> Option<Status> {
        match self {
            Self::Down { status, until } => {
                let wait = until.saturating_duration_since(now()).as_millis();
                let message = format!("{}; the next attempt is in {wait} ms", status.message());
                Some(status.clone().with_message(message).inward().unsent())
            }
            Self::Ended(status) => Some(status.clone().unsent()),
            _ => None,
        }
    }

    /// Whether a connection stands on which calls may leave.
    pub(super) fn is_connected(&self) -> bool {
        matches!(self, Self::Connected)
    }

    /// Whether calls wait for a connection, and nothing of theirs has left.
    pub(super) fn is_connecting(&self) -> bool {
        matches!(self, Self::Connecting)
    }

    /// Whether no channel is left.
    pub(super) fn is_leaving(&self) -> bool {
        matches!(self, Self::Leaving)
    }

    /// Whether there will be no more calls.
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Leaving | Self::Ended(_))
    }

    /// A connection stands.
    pub(super) fn connected(&mut self) {
        if matches!(self, Self::Idle | Self::Connecting) {
            *self = Self::Connected;
        }
    }

    /// The connection is gone, or takes no more calls; `wanted`: something waits
    /// for the next one.
    pub(super) fn gone(&mut self, wanted: bool) {
        if matches!(self, Self::Connecting | Self::Connected | Self::Spoiled) {
            *self = if wanted { Self::Connecting } else { Self::Idle };
        }
    }

    /// No attempt is made until then.
    pub(super) fn down(&mut self, status: Status, pause: Duration, now: Instant) {
        if !matches!(self, Self::Leaving | Self::Ended(_)) {
            *self = Self::Down { status, until: now + pause };
        }
    }

    /// When the next attempt may be made.
    pub(super) fn down_until(&self) -> Option<Instant> {
        match self {
            Self::Down { until, .. } => Some(*until),
            _ => None,
        }
    }

    /// The pause is over; `wanted`: somebody waits for a connection.
    pub(super) fn up(&mut self, wanted: bool) {
        if matches!(self, Self::Down { .. }) {
            *self = if wanted { Self::Connecting } else { Self::Idle };
        }
    }

    /// The connection is of no more use, if there is one; whether the task must
    /// hear of it.
    pub(super) fn spoil(&mut self) -> bool {
        if matches!(self, Self::Connected) {
            *self = Self::Spoiled;
        }
        matches!(self, Self::Spoiled)
    }

    /// No channel is left.
    pub(super) fn leave(&mut self) {
        if !matches!(self, Self::Ended(_)) {
            *self = Self::Leaving;
        }
    }

    /// There will be no other connection.
    pub(super) fn end(&mut self, status: Status) {
        *self = Self::Ended(status);
    }
}

/// How long to wait between attempts. It grows until a server has answered:
/// one that accepts connections and closes them is of no more use than none.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(50);
    const MOST: Duration = Duration::from_secs(1);

    /// The server has answered.
    pub(super) fn answered(&mut self) {
        self.failures = 0;
    }

    /// A connection that stood brought no answer: as [`failed`](Self::failed), but
    /// the first one since a server has answered may be bad luck, and costs no pause.
    pub(super) fn unheard(&mut self) -> Option<Duration> {
        let first = self.failures == 0;
        let pause = self.failed();
        (!first).then_some(pause)
    }

    /// An attempt brought nothing: how long after its beginning the next one may
    /// be made. Full jitter: the clients of a restarted server do not come back
    /// as one.
    pub(super) fn failed(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let ceiling = Self::FIRST.saturating_mul(1 << self.failures.min(10)).min(Self::MOST);
        // Never at once, or luck would bring many attempts in a row.
        let floor = ceiling / 8;
        floor + (ceiling - floor).mul_f64(fastrand::f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn down() -> LinkState {
        let mut state = LinkState::Connecting;
        state.down(Status::unavailable("refused"), Duration::from_millis(300), Instant::now());
        state
    }

    #[tokio::test(start_paused = true)]
    async fn while_a_server_is_down_calls_are_told_when_it_is_tried_again() {
        let mut state = down();
        assert!(!state.want(), "the task knows when to try");
        let status = state.refusal(Instant::now).expect("it is down");
        assert!(status.is_unsent());
        assert_eq!(status.message(), "refused; the next attempt is in 300 ms");
        tokio::time::advance(Duration::from_millis(200)).await;
        let status = state.refusal(Instant::now).expect("it is down");
        assert_eq!(status.message(), "refused; the next attempt is in 100 ms");
        state.up(false);
        assert!(state.refusal(Instant::now).is_none() && state.want());
        let mut state = down();
        state.up(true);
        assert!(!state.want(), "somebody waits: it is tried at once");
    }

    #[test]
    fn a_connection_is_wanted_once_and_calls_leave_while_it_stands() {
        let mut state = LinkState::Idle;
        assert!(state.want() && !state.want());
        assert!(!state.is_connected() && state.refusal(Instant::now).is_none());
        state.connected();
        assert!(state.is_connected() && !state.want());
        state.gone(false);
        assert!(state.want());
    }

    #[test]
    fn a_spoiled_connection_carries_nothing_more() {
        let mut state = LinkState::Idle;
        assert!(!state.spoil(), "there is none to spoil");
        state.connected();
        assert!(state.spoil() && !state.is_connected());
        assert!(state.refusal(Instant::now).is_none(), "the next call waits for the next connection");
        state.gone(true);
        assert!(matches!(state, LinkState::Connecting));
    }

    #[test]
    fn what_has_ended_stays_so() {
        let mut state = LinkState::Connected;
        state.leave();
        state.gone(true);
        state.down(Status::unavailable("x"), Duration::ZERO, Instant::now());
        state.connected();
        assert!(state.is_leaving());
        state.end(Status::unavailable("ended"));
        state.leave();
        state.connected();
        state.up(true);
        assert!(!state.want() && state.refusal(Instant::now).is_some_and(|status| status.is_unsent()));
    }

    #[test]
    fn attempts_become_rare_until_the_server_answers() {
        let mut backoff = Backoff::default();
        let pauses: Vec<Duration> = (0..50).map(|_| backoff.failed()).collect();
        assert!(pauses[0] <= Duration::from_millis(100));
        assert!(pauses.iter().all(|pause| *pause >= Duration::from_millis(12) && *pause <= Backoff::MOST));
        assert!(pauses.iter().sum::<Duration>() > Duration::from_secs(10));
        backoff.answered();
        assert_eq!(backoff.unheard(), None, "once");
        assert!(backoff.unheard().is_some());
        backoff.answered();
        assert!(backoff.failed() <= Duration::from_millis(100));
    }
}

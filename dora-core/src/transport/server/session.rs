//! What a connection may and must do next: bytes and time go in, frames,
//! deadlines and reasons to end come out. It knows no socket and no handler.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::call::observe::Closed;
use crate::transport::io::alarm::after;
use crate::transport::io::inbox::Inbox;
use crate::wire::decoder::Frame;
use crate::wire::error::FrameError;

use super::config::SessionConfig;

/// The state of one connection.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) inbox: Inbox,
    arrivals: Arrivals,
    state: State,
    pace: Pace,
    /// When bytes last moved.
    active: Instant,
    /// When the peer first sent something.
    first_heard: Option<Instant>,
    /// Since when the peer takes none of its answers.
    stalled_since: Option<Instant>,
    /// Since when the frame that is being received is awaited.
    frame_since: Option<Instant>,
}

/// When the bytes in the inbox came: how many, and when, the next ones first.
/// Nothing is allocated while each read is used up before the next one.
#[derive(Debug)]
struct Arrivals {
    first: (usize, Instant),
    more: VecDeque<(usize, Instant)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// The peer sends no more; what it asked for is still answered.
    Ended,
    /// The server drains: read until this moment, and closed when idle then.
    Draining {
        until: Instant,
        /// Whether the peer was told. It then says itself when it is done.
        told: bool,
    },
    /// Out of step: what is to be sent is sent, then the connection ends so.
    Closing(Leave),
}

/// How the peer asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// Each time when it had its last answer, as PHP's clients do. What it sends
    /// after the end says that it has read all that it was sent.
    InTurn,
    /// It asked while something was owed to it: answers may be unread whatever it
    /// sends.
    Ahead,
}

/// What a connection has on its hands.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Load {
    /// Bytes of answers that the peer has not taken.
    pub(super) waiting: usize,
    /// Calls that run, in the background too.
    pub(super) running: usize,
    /// Bytes of their requests.
    pub(super) request_bytes: usize,
    /// Those of them whose caller waits.
    pub(super) awaited: usize,
    /// Whether a packet waits for a place among them.
    pub(super) held: bool,
}

/// What a connection's bytes say next.
#[derive(Debug)]
pub(super) enum Next {
    /// A frame, and when the last of it came.
    Frame(Frame, Instant),
    Refused(FrameError),
}

/// How a connection is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// At once: there is nothing more to say, or nobody to hear it.
    AtOnce,
    /// Its last word must be heard; what the peer still sends is not read.
    AfterLastWord,
    /// The end is said and nothing more is awaited: a peer that still sends learns by
    /// the system's reset that nobody reads it. One that notices an end only when it
    /// sends, and has read all that it was sent before it does, connects anew at once.
    SayingSo,
}

/// What became of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The peer took no byte of its answers for too long.
    Stalled,
    /// Nothing happened for too long.
    Idle,
    /// A frame that began did not end.
    FrameLate,
    /// All that was on its way to a draining server has come.
    Drained,
}

/// How long the first request of a new connection may take that a draining server
/// still answers: its client cannot be told of the drain before.
const FIRST: Duration = Duration::from_secs(1);

/// How long a peer that was told of the drain may take to go by itself.
const TOLD: Duration = Duration::from_secs(5);

/// Bytes that came within this time are of one age. Else a peer that sends them one
/// by one would have each of them noted down.
const GRAIN: Duration = Duration::from_millis(1);

impl Arrivals {
    fn add(&mut self, count: usize, now: Instant) {
        if self.first.0 == 0 {
            self.first = (count, now);
            return;
        }
        let last = self.more.back_mut().unwrap_or(&mut self.first);
        match now.saturating_duration_since(last.1) < GRAIN {
            true => last.0 += count,
            false => self.more.push_back((count, now)),
        }
    }

    /// Takes `count` bytes off the front; when the last of them came.
    fn take(&mut self, mut count: usize) -> Instant {
        while self.first.0 < count
            && let Some(next) = self.more.pop_front()
        {
            count -= self.first.0;
            self.first = next;
        }
        let (left, came) = &mut self.first;
        *left = left.saturating_sub(count);
        let came = *came;
        if self.first.0 == 0
            && let Some(next) = self.more.pop_front()
        {
            self.first = next;
        }
        came
    }
}

impl Session {
    pub(super) fn new(inbox: Inbox, now: Instant) -> Self {
        let first_heard = (!inbox.is_empty()).then_some(now);
        let arrivals = Arrivals { first: (inbox.len(), now), more: VecDeque::new() };
        Self {
            inbox,
            arrivals,
            state: State::Open,
            pace: Pace::InTurn,
            active: now,
            first_heard,
            stalled_since: None,
            frame_since: None,
        }
    }

    /// Whether the peer takes its answers, so that more may be made for it.
    pub(super) fn may_answer(load: Load, config: &SessionConfig) -> bool {
        load.waiting < config.max_buffered
    }

    fn may_begin(load: Load, config: &SessionConfig) -> bool {
        Self::may_answer(load, config)
            && !load.held
            && load.running < config.max_calls
            && load.request_bytes < config.max_request_bytes
    }

    /// Whether the peer may be read. It is read ahead of what a turn has time for,
    /// so that the time that requests wait here counts as theirs.
    pub(super) fn may_read(&self, load: Load, config: &SessionConfig, now: Instant) -> bool {
        let open = match self.state {
            State::Open => true,
            // Else a busy peer would keep the server from ending.
            State::Draining { until, .. } => now < until,
            State::Ended | State::Closing(_) => false,
        };
        open && Self::may_begin(load, config)
    }

    /// The next frame that may be begun.
    pub(super) fn next_frame(&mut self, load: Load, config: &SessionConfig) -> Option<Next> {
        if matches!(self.state, State::Closing(_)) || !Self::may_begin(load, config) {
            return None;
        }
        let before = self.inbox.len();
        let next = self.inbox.next_frame().transpose()?;
        let received_at = self.arrivals.take(before - self.inbox.len());
        self.frame_since = None;
        if load.awaited > 0 || load.waiting > 0 {
            self.pace = Pace::Ahead;
        }
        if let Err(error) = &next
            && error.is_fatal()
        {
            self.state = State::Closing(match (error, self.pace) {
                // What is too long is not answered, and a peer that waits to be heard
                // to its end would only fail its next calls here too.
                (FrameError::TooLong { .. }, Pace::InTurn) => Leave::AtOnce,
                _ => Leave::AfterLastWord,
            });
        }
        Some(match next {
            Ok(frame) => Next::Frame(frame, received_at),
            Err(error) => Next::Refused(error),
        })
    }

    /// Something was said to a peer that is out of step: it is to hear it.
    pub(super) fn last_word(&mut self) {
        if let State::Closing(leave) = &mut self.state {
            *leave = Leave::AfterLastWord;
        }
    }

    /// Bytes have come into the inbox.
    pub(super) fn received(&mut self, count: usize, now: Instant) {
        self.arrivals.add(count, now);
        self.first_heard.get_or_insert(now);
    }

    /// The peer has ended its side.
    pub(super) fn end_of_stream(&mut self) {
        self.state = State::Ended;
    }

    /// Bytes have moved, in either direction.
    pub(super) fn moved(&mut self, now: Instant) {
        self.active = now;
    }

    /// The peer has taken some of its answers.
    pub(super) fn taken(&mut self, now: Instant) {
        self.active = now;
        self.stalled_since = None;
    }

    /// The server drains from now on.
    pub(super) fn drain(&mut self, config: &SessionConfig, now: Instant) {
        if self.state == State::Open {
            let linger = after(now, config.drain_linger);
            let until = match self.first_heard {
                Some(_) => linger,
                // Whoever has just connected is about to ask.
                None => linger.max(after(self.active, FIRST)),
            };
            self.state = State::Draining { until, told: false };
        }
    }

    /// Whether the peer is to be told that the server drains, if it understands
    /// that; it is told once.
    pub(super) fn tell(&mut self, now: Instant) -> bool {
        match &mut self.state {
            State::Draining { told: told @ false, until } => {
                *told = true;
                *until = after(now, TOLD);
                true
            }
            _ => false,
        }
    }

    /// Takes note of how a turn ended.
    pub(super) fn end_turn(&mut self, load: Load, config: &SessionConfig, now: Instant) {
        self.stalled_since = (load.waiting > 0).then(|| self.stalled_since.unwrap_or(now));
        self.frame_since = (!self.inbox.is_empty() && Self::may_begin(load, config))
            .then(|| self.frame_since.unwrap_or(now));
    }

    /// How the connection ends, if all is done.
    pub(super) fn over(&self, load: Load, now: Instant) -> Option<Leave> {
        if load.waiting > 0 || load.running > 0 || load.held {
            return None;
        }
        match self.state {
            State::Ended => Some(Leave::AtOnce),
            State::Closing(leave) => Some(leave),
            State::Draining { until, .. } if until <= now => Some(self.cut()),
            State::Open | State::Draining { .. } => None,
        }
    }

    /// Why the connection ends, if all is done.
    pub(super) fn why(&self) -> Closed {
        match self.state {
            State::Open | State::Ended => Closed::ByPeer,
            State::Closing(_) => Closed::OutOfStep,
            State::Draining { .. } => Closed::Drained,
        }
    }

    /// How the connection is left when the server waits no longer.
    pub(super) fn cut(&self) -> Leave {
        match (self.state, self.pace) {
            (State::Open | State::Ended, _) => Leave::AtOnce,
            (State::Draining { told: false, .. }, Pace::InTurn) => Leave::SayingSo,
            // A reset would throw away what it has not read yet.
            (State::Draining { .. }, _) => Leave::AfterLastWord,
            (State::Closing(leave), _) => leave,
        }
    }

    /// When something is due next, and what.
    pub(super) fn due(&self, load: Load, config: &SessionConfig) -> Option<(Instant, Due)> {
        let mut due = None;
        let mut earlier = |moment: Instant, what: Due| {
            if due.is_none_or(|(other, _)| moment < other) {
                due = Some((moment, what));
            }
        };
        if let Some(since) = self.stalled_since {
            earlier(after(since, config.stall_timeout), Due::Stalled);
        } else if load.running == 0 {
            earlier(after(self.active, config.idle_timeout), Due::Idle);
            if let State::Draining { until, .. } = self.state {
                earlier(until, Due::Drained);
            }
        }
        // Frames that wait for running calls are not late.
        if let Some(since) = self.frame_since {
            earlier(after(since, config.frame_timeout), Due::FrameLate);
        }
        due
    }
}

impl From<Due> for Closed {
    fn from(due: Due) -> Self {
        match due {
            Due::Stalled => Self::Stalled,
            Due::Idle => Self::Idle,
            Due::FrameLate => Self::FrameTimeout,
            Due::Drained => Self::Drained,
        }
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;

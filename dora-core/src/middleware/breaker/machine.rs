//! The states of a circuit. It reads no clock and makes no call: it is told.
//!
//! ```text
//!            too many failed or were slow
//!   Closed ------------------------------> Open
//!     ^                                   |    ^
//!     | all probes succeeded    time over |    | a probe failed
//!     |                                   v    |
//!     +-------------------------------- HalfOpen
//! ```

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::policy::{BreakerOutcome, BreakerPolicy};
use super::window::{Sample, Totals, Window};

/// The state of a circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BreakerState {
    /// Calls pass and are counted.
    Closed,
    /// Calls are refused until the open time is over.
    Open,
    /// A few calls pass, as probes.
    HalfOpen,
    /// Calls are refused until somebody says otherwise.
    ForcedOpen,
    /// Calls pass, however they end, until somebody says otherwise.
    ForcedClosed,
}

impl BreakerState {
    /// How far it is from closed.
    pub(super) const fn severity(self) -> u8 {
        match self {
            Self::Closed | Self::ForcedClosed => 0,
            Self::HalfOpen => 1,
            Self::Open => 2,
            Self::ForcedOpen => 3,
        }
    }
}

/// Why a state was left.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum BreakerCause {
    /// So many calls in a row failed.
    ConsecutiveFailures(u32),
    /// So many of the window's calls failed.
    FailureRate {
        /// Calls that failed.
        failed: u32,
        /// Calls in the window.
        calls: u32,
    },
    /// So many of the window's calls were slow.
    SlowCalls {
        /// Calls that were slow.
        slow: u32,
        /// Calls in the window.
        calls: u32,
    },
    /// The open time was over.
    TimeOver,
    /// A probe failed.
    ProbeFailed,
    /// All probes succeeded.
    ProbesSucceeded,
    /// Somebody said so.
    Forced,
}

impl fmt::Display for BreakerCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConsecutiveFailures(1) => f.write_str("the last call failed"),
            Self::ConsecutiveFailures(calls) => write!(f, "the last {calls} calls failed"),
            Self::FailureRate { failed, calls } => write!(f, "{failed} of the last {calls} calls failed"),
            Self::SlowCalls { slow, calls } => write!(f, "{slow} of the last {calls} calls were slow"),
            Self::TimeOver => f.write_str("the open time is over"),
            Self::ProbeFailed => f.write_str("a probe failed"),
            Self::ProbesSucceeded => f.write_str("all probes succeeded"),
            Self::Forced => f.write_str("it was told to"),
        }
    }
}

/// A state was left for another.
pub(super) type Step = (BreakerState, BreakerState, BreakerCause);

/// Leave to make a call, to be given back with how it went.
#[derive(Debug)]
pub(super) struct Ticket {
    /// The stay in the state that gave it: what began in another one says
    /// nothing about this one.
    pub(super) stay: u64,
}

/// Why a call may not be made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Refusal {
    Open { until: Instant, cause: BreakerCause },
    Probing,
    Forced,
}

/// How somebody holds a circuit, whatever becomes of its calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    Open,
    Closed,
}

#[derive(Debug)]
pub(super) struct Machine {
    policy: Arc<BreakerPolicy>,
    pub(super) state: State,
    pub(super) stay: u64,
    window: Window,
    in_a_row: u32,
    /// How often in a row it was opened without having been closed.
    openings: i32,
    random: fastrand::Rng,
}

#[derive(Debug)]
pub(super) enum State {
    Closed,
    Open { until: Instant, cause: BreakerCause },
    HalfOpen { probing: u32, succeeded: u32 },
    ForcedOpen,
    ForcedClosed,
}

impl Machine {
    pub(super) fn new(policy: Arc<BreakerPolicy>, now: Instant) -> Self {
        let random = policy.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        let window = Window::new(policy.window, now);
        Self { policy, state: State::Closed, stay: 0, window, in_a_row: 0, openings: 0, random }
    }

    pub(super) fn state(&self) -> BreakerState {
        match self.state {
            State::Closed => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
            State::ForcedOpen => BreakerState::ForcedOpen,
            State::ForcedClosed => BreakerState::ForcedClosed,
        }
    }

    /// What [`force`](Self::force) said last.
    pub(super) fn held(&self) -> Option<Hold> {
        match self.state {
            State::ForcedOpen => Some(Hold::Open),
            State::ForcedClosed => Some(Hold::Closed),
            _ => None,
        }
    }

    /// Whether a call that is made now would be let through.
    pub(super) fn admits(&self, now: Instant) -> bool {
        match self.state {
            State::Closed | State::ForcedClosed => true,
            State::Open { until, .. } => now >= until,
            State::HalfOpen { probing, succeeded } => probing + succeeded < self.policy.probes,
            State::ForcedOpen => false,
        }
    }

    /// Asks for leave to make a call.
    pub(super) fn acquire(&mut self, now: Instant) -> (Result<Ticket, Refusal>, Option<Step>) {
        let mut step = None;
        if let State::Open { until, .. } = self.state
            && now >= until
        {
            step =
                Some(self.enter(State::HalfOpen { probing: 0, succeeded: 0 }, BreakerCause::TimeOver, now));
        }
        let leave = match &mut self.state {
            State::Closed | State::ForcedClosed => Ok(()),
            State::Open { until, cause } => Err(Refusal::Open { until: *until, cause: *cause }),
            State::HalfOpen { probing, succeeded } if *probing + *succeeded < self.policy.probes => {
                *probing += 1;
                Ok(())
            }
            State::HalfOpen { .. } => Err(Refusal::Probing),
            State::ForcedOpen => Err(Refusal::Forced),
        };
        (leave.map(|()| Ticket { stay: self.stay }), step)
    }

    /// Takes a ticket back, with how its call went, or each call of its batch.
    pub(super) fn finish(
        &mut self,
        ticket: Ticket,
        outcomes: &[BreakerOutcome],
        took: Duration,
        now: Instant,
    ) -> Option<Step> {
        if ticket.stay != self.stay {
            return None;
        }
        let slow = self.policy.slow.is_some_and(|slow| took > slow.over);
        match &mut self.state {
            State::Closed => {
                let counted = outcomes.iter().filter(|outcome| **outcome != BreakerOutcome::Ignored);
                let mut went_wrong = false;
                for outcome in counted {
                    let failed = *outcome == BreakerOutcome::Failure;
                    self.window.record(Sample { failed, slow }, now);
                    self.in_a_row = if failed { self.in_a_row.saturating_add(1) } else { 0 };
                    went_wrong |= failed || slow;
                }
                let cause = self.verdict(went_wrong, now)?;
                Some(self.open(cause, now))
            }
            State::HalfOpen { probing, succeeded } => {
                *probing -= 1;
                if outcomes.iter().all(|outcome| *outcome == BreakerOutcome::Ignored) {
                    return None;
                }
                if slow || outcomes.contains(&BreakerOutcome::Failure) {
                    return Some(self.open(BreakerCause::ProbeFailed, now));
                }
                *succeeded += 1;
                let done = *succeeded >= self.policy.probes;
                done.then(|| self.enter(State::Closed, BreakerCause::ProbesSucceeded, now))
            }
            State::Open { .. } | State::ForcedOpen | State::ForcedClosed => None,
        }
    }

    /// Holds it, or (`None`) lets it judge again, from closed on.
    pub(super) fn force(&mut self, hold: Option<Hold>, now: Instant) -> Option<Step> {
        let state = match hold {
            Some(Hold::Open) => State::ForcedOpen,
            Some(Hold::Closed) => State::ForcedClosed,
            None => State::Closed,
        };
        let step = self.enter(state, BreakerCause::Forced, now);
        (step.0 != step.1).then_some(step)
    }

    /// Why it must open, if it must. Only a call that went wrong can be the one.
    fn verdict(&mut self, went_wrong: bool, now: Instant) -> Option<BreakerCause> {
        if !went_wrong {
            return None;
        }
        if self.policy.consecutive_failures.is_some_and(|most| self.in_a_row >= most) {
            return Some(BreakerCause::ConsecutiveFailures(self.in_a_row));
        }
        let Totals { calls, failed, slow } = self.window.totals(now);
        if calls < self.policy.minimum_calls && !self.window.is_full() {
            return None;
        }
        let reaches = |part: u32, rate: f64| f64::from(part) >= rate * f64::from(calls);
        if self.policy.failure_rate.is_some_and(|rate| reaches(failed, rate)) {
            return Some(BreakerCause::FailureRate { failed, calls });
        }
        let too_slow = self.policy.slow.is_some_and(|limit| reaches(slow, limit.rate));
        too_slow.then_some(BreakerCause::SlowCalls { slow, calls })
    }

    fn open(&mut self, cause: BreakerCause, now: Instant) -> Step {
        let policy = &self.policy;
        let grown = policy.open_for.as_secs_f64() * policy.growth.powi(self.openings);
        let longest = policy.longest.max(policy.open_for).as_secs_f64();
        let jitter = 1.0 + policy.jitter * (2.0 * self.random.f64() - 1.0);
        let time = Duration::try_from_secs_f64(grown.min(longest) * jitter).unwrap_or(policy.longest);
        self.openings = self.openings.saturating_add(1);
        // A time past the clock's end is as good as the longest.
        let until = now.checked_add(time).unwrap_or(now + Duration::from_secs(60 * 60 * 24 * 365));
        self.enter(State::Open { until, cause }, cause, now)
    }

    fn enter(&mut self, state: State, cause: BreakerCause, now: Instant) -> Step {
        let from = self.state();
        self.state = state;
        self.stay += 1;
        if matches!(self.state, State::Closed | State::ForcedClosed) {
            self.window = Window::new(self.policy.window, now);
            self.in_a_row = 0;
            self.openings = 0;
        }
        (from, self.state(), cause)
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;

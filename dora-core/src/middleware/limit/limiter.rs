//! Places that running calls take.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::call::code::Code;
use crate::call::name::MethodName;
use crate::call::priority::Priority;
use crate::call::response::{Deferred, Reply, Response};
use crate::call::status::Status;

use super::gradient::{Ended, Gradient};

/// A limit, and the calls that run within it.
#[derive(Debug)]
pub(super) struct Limiter {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    running: usize,
    limit: Limit,
}

/// How many calls may run.
#[derive(Debug)]
pub(super) enum Limit {
    /// So many.
    Fixed(usize),
    /// As many as do not make each other slow.
    Adaptive(Box<Gradient>),
}

/// No place was free: so many calls run of so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full {
    pub(super) running: usize,
    pub(super) limit: usize,
}

impl Limiter {
    pub(super) fn new(limit: Limit) -> Self {
        Self { state: Mutex::new(State { running: 0, limit }) }
    }

    pub(super) fn running(&self) -> usize {
        self.state.lock().running
    }

    pub(super) fn limit(&self) -> usize {
        match &self.state.lock().limit {
            Limit::Fixed(limit) => *limit,
            Limit::Adaptive(gradient) => gradient.limit(),
        }
    }

    /// Takes places for `calls` calls of one packet, which run or are refused together.
    pub(super) fn take(
        self: &Arc<Self>,
        method: &MethodName,
        calls: usize,
        priority: Priority,
        now: Instant,
    ) -> Result<Permit, Full> {
        let mut state = self.state.lock();
        let State { running, limit } = &mut *state;
        let admitted = match limit {
            Limit::Fixed(limit) => *limit,
            Limit::Adaptive(gradient) => {
                gradient.asked(*running, now);
                gradient.admitted()
            }
        };
        // A batch that is larger than the limit runs alone, or it would never run.
        let fits = *running + calls <= share(admitted, priority) || (*running == 0 && admitted > 0);
        if !fits {
            if let Limit::Adaptive(gradient) = limit {
                gradient.refused(now);
            }
            return Err(Full { running: *running, limit: admitted });
        }
        *running += calls;
        if let Limit::Adaptive(gradient) = limit {
            gradient.began(*running);
        }
        drop(state);
        Ok(Permit { limiter: Arc::clone(self), method: method.clone(), calls, began: now })
    }
}

/// Places of running calls; they are free when it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    limiter: Arc<Limiter>,
    method: MethodName,
    calls: usize,
    began: Instant,
}

impl Permit {
    /// Gives the places back when what `result` says is over: a result that comes later
    /// takes them along.
    pub(super) fn watch(self, result: Result<Response, Status>) -> Result<Response, Status> {
        match result {
            Ok(response) => Ok(response.map(|reply| match reply {
                Reply::Deferred(later) => {
                    Reply::Deferred(Deferred::new(async move { self.watch(later.await) }))
                }
                reply => {
                    self.end(Ended::Well);
                    reply
                }
            })),
            Err(status) => {
                let late = status.code() == Code::DeadlineExceeded;
                self.end(if late { Ended::Late } else { Ended::Failed });
                Err(status)
            }
        }
    }

    fn end(mut self, ended: Ended) {
        self.give_back(ended);
    }

    fn give_back(&mut self, ended: Ended) {
        let calls = std::mem::take(&mut self.calls);
        if calls == 0 {
            return;
        }
        let mut state = self.limiter.state.lock();
        let State { running, limit } = &mut *state;
        *running = running.saturating_sub(calls);
        if let Limit::Adaptive(gradient) = limit {
            gradient.ended(&self.method, self.began, ended, *running, Instant::now());
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.give_back(Ended::Late);
    }
}

/// The part of a limit that calls of this priority may fill, with those above it.
fn share(limit: usize, priority: Priority) -> usize {
    let percent = match priority {
        Priority::Low => 70,
        Priority::Normal => 85,
        Priority::High => 95,
        Priority::Critical => 100,
    };
    // Of a small limit everybody may have at least one.
    limit.saturating_mul(percent).div_ceil(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_grow_with_the_priority() {
        assert_eq!(Priority::ALL.map(|priority| share(100, priority)), [70, 85, 95, 100]);
        assert_eq!(Priority::ALL.map(|priority| share(1, priority)), [1; 4]);
    }
}

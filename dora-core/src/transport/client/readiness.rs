//! Whom a channel lets through while its endpoint has yet to show that it is of use.
//!
//! A balancer takes what is ready. Were an endpoint ready as soon as it may be tried
//! again, each attempt would cost all calls of that moment. So until a server has
//! answered, every clone of a channel gets one call for each attempt: a balancer has
//! one clone, a client makes one for each call. After a failed attempt that call waits
//! until the next one has ended, which is made for whoever waits; it then goes through
//! and either finds a connection or is told why there is none.

use std::task::Waker;
use std::time::Duration;

/// A server that accepts connections only to close them has done so by then.
pub(super) const PROBATION: Duration = Duration::from_millis(250);

/// What is known of an endpoint, and who waits to know more.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    trust: Trust,
    /// How far attempts have come: to the next odd number when a connection stands, to
    /// the next even one when there is none or it was lost.
    steps: u64,
    waiting: Waiting,
}

/// What an endpoint has shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Trust {
    /// Nothing yet, or its connection was lost since.
    #[default]
    Untried,
    /// It has answered, or its connection stands for long enough.
    Proven,
    /// What was tried last brought nothing.
    Doubtful,
}

/// What one clone of a channel remembers.
#[derive(Debug, Default)]
pub(super) struct Pass {
    /// It is let through behind this step.
    since: Option<u64>,
    place: Option<Place>,
}

/// Where the waker of a clone stands, until all are woken.
#[derive(Clone, Copy, Debug)]
struct Place {
    round: u64,
    index: usize,
}

/// The wakers of clones that wait.
#[derive(Debug, Default)]
struct Waiting {
    round: u64,
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
}

impl Readiness {
    /// Whether a clone may call now. `connected`: a connection stands.
    pub(super) fn admits(&self, pass: &mut Pass, connected: bool) -> bool {
        match (self.trust, pass.since) {
            (Trust::Proven, _) => {
                pass.since = None;
                true
            }
            (_, Some(since)) => since < self.steps,
            (Trust::Untried, None) => true,
            (Trust::Doubtful, None) => {
                pass.since = Some(self.steps);
                connected
            }
        }
    }

    /// A clone makes its call. Unless it is told at once that the endpoint is down,
    /// the end of this attempt tells it, and is no reason to let another call through.
    pub(super) fn spend(&self, pass: &mut Pass, down: bool) {
        pass.since = match self.trust {
            Trust::Proven => None,
            _ => Some(if down { self.steps } else { self.end() }),
        };
    }

    /// The step at which this attempt ends in vain.
    fn end(&self) -> u64 {
        (self.steps | 1) + 1
    }

    /// A connection stands.
    pub(super) fn stands(&mut self) -> Vec<Waker> {
        self.steps = (self.steps + 1) | 1;
        self.waiting.take_all()
    }

    /// There is no connection, or one was lost.
    pub(super) fn ended(&mut self, trust: Trust) -> Vec<Waker> {
        self.steps = self.end();
        self.trust = trust;
        self.waiting.take_all()
    }

    /// Whether a clone waits for the end of an attempt.
    pub(super) fn is_waited_for(&self) -> bool {
        self.waiting.wakers.len() > self.waiting.free.len()
    }

    /// A server has answered, or its connection stands for long enough.
    pub(super) fn prove(&mut self) -> Vec<Waker> {
        self.trust = Trust::Proven;
        self.take_all()
    }

    /// Takes the wakers of all that wait.
    pub(super) fn take_all(&mut self) -> Vec<Waker> {
        self.waiting.take_all()
    }

    /// Notes that a clone waits; the waker that stood there before.
    pub(super) fn wait(&mut self, pass: &mut Pass, waker: Waker) -> Option<Waker> {
        self.waiting.put(&mut pass.place, waker)
    }

    /// A clone waits no longer.
    pub(super) fn leave(&mut self, pass: &mut Pass) -> Option<Waker> {
        self.waiting.remove(&mut pass.place)
    }
}

impl Pass {
    /// Whether it waits.
    pub(super) fn is_waiting(&self) -> bool {
        self.place.is_some()
    }

    /// Forgets what was before the endpoint was proven.
    pub(super) fn renew(&mut self) {
        self.since = None;
    }
}

impl Waiting {
    /// Notes who waits; the waker that stood there before.
    fn put(&mut self, place: &mut Option<Place>, waker: Waker) -> Option<Waker> {
        if let Some(known) = place.filter(|place| place.round == self.round) {
            return self.wakers.get_mut(known.index).and_then(|slot| slot.replace(waker));
        }
        let index = self.free.pop().unwrap_or(self.wakers.len());
        match self.wakers.get_mut(index) {
            Some(slot) => *slot = Some(waker),
            None => self.wakers.push(Some(waker)),
        }
        *place = Some(Place { round: self.round, index });
        None
    }

    fn remove(&mut self, place: &mut Option<Place>) -> Option<Waker> {
        let place = place.take().filter(|place| place.round == self.round)?;
        let waker = self.wakers.get_mut(place.index).and_then(Option::take);
        self.free.extend(waker.is_some().then_some(place.index));
        waker
    }

    fn take_all(&mut self) -> Vec<Waker> {
        self.round += 1;
        self.free.clear();
        std::mem::take(&mut self.wakers).into_iter().flatten().collect()
    }
}

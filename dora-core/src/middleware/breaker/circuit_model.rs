//! Calls that begin and end in any order around a circuit that has opened.

use std::collections::HashMap;
use std::sync::{Mutex as Plain, MutexGuard as PlainGuard, PoisonError};

use shuttle::thread;

use super::super::machine::State;
use super::*;
use crate::sync::explore::explore;

/// Schedules of each world: some ten for each order in which three calls can come to the lock.
const SCHEDULES: usize = 4_000;

/// How a call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Succeeds,
    Fails,
    /// Its caller gives it up.
    Dropped,
}

/// A circuit that has just opened, and may be probed at once.
struct World {
    breaker: CircuitBreaker,
    probes: u32,
    /// Permits of each stay that are out.
    out: Arc<Plain<HashMap<u64, u32>>>,
    /// One that was given before it opened.
    late: Option<Permit>,
}

impl World {
    fn new(probes: u32) -> Self {
        let policy = BreakerPolicy::new()
            .consecutive_failures(1)
            .failure_rate(None)
            .open_for(Duration::ZERO)
            .probes(probes)
            .jitter(0.0);
        let breaker = CircuitBreaker::new(policy);
        let late = acquire(&breaker);
        acquire(&breaker).expect("closed").record(&[BreakerOutcome::Failure], Instant::now());
        assert_eq!(breaker.state(), BreakerState::Open);
        Self { breaker, probes, out: Arc::default(), late }
    }

    /// Makes these calls side by side, while the one from before it opened ends with
    /// `late`; then nobody is at it.
    fn run(mut self, late: BreakerOutcome, calls: &[End]) -> CircuitBreaker {
        let late =
            self.late.take().map(|permit| thread::spawn(move || permit.record(&[late], Instant::now())));
        let world = Arc::new(self);
        let calls = calls.iter().map(|&end| {
            let world = Arc::clone(&world);
            thread::spawn(move || world.call(end))
        });
        let all: Vec<_> = calls.chain(late).collect();
        all.into_iter().for_each(|call| call.join().expect("no panic"));
        if let State::HalfOpen { probing, .. } = world.breaker.0.common.machine.lock().state {
            assert_eq!(probing, 0, "a permit is lost");
        }
        assert!(world.out().values().all(|out| *out == 0));
        world.breaker.clone()
    }

    fn call(&self, end: End) {
        let Some(permit) = acquire(&self.breaker) else { return };
        let stay = permit.ticket.as_ref().expect("it is new").stay;
        *self.out().entry(stay).or_default() += 1;
        {
            let machine = permit.circuit.machine.lock();
            let out = self.out()[&stay];
            if let (true, State::HalfOpen { probing, succeeded }) = (machine.stay == stay, &machine.state) {
                let (probing, succeeded) = (*probing, *succeeded);
                assert!(probing + succeeded <= self.probes, "{probing} probes, {succeeded} succeeded");
                assert!(out <= probing, "{out} permits are out, and it knows of {probing}");
            }
        }
        *self.out().entry(stay).or_default() -= 1;
        match end {
            End::Succeeds => permit.record(&[BreakerOutcome::Success], Instant::now()),
            End::Fails => permit.record(&[BreakerOutcome::Failure], Instant::now()),
            End::Dropped => drop(permit),
        }
    }

    /// Notes of the check itself: no step of what is checked.
    fn out(&self) -> PlainGuard<'_, HashMap<u64, u32>> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn acquire(breaker: &CircuitBreaker) -> Option<Permit> {
    breaker.acquire(&RequestHead::default(), None, Instant::now()).ok()
}

#[test]
fn no_more_probes_are_out_than_may_be_and_each_comes_back() {
    explore(SCHEDULES, || {
        let breaker = World::new(1).run(BreakerOutcome::Ignored, &[End::Dropped, End::Dropped, End::Dropped]);
        assert!(acquire(&breaker).is_some(), "the next call is a probe");
    });
}

#[test]
fn what_began_before_it_opened_neither_closes_it_nor_takes_a_probes_place() {
    explore(SCHEDULES, || {
        let breaker = World::new(2).run(BreakerOutcome::Success, &[End::Succeeds, End::Dropped]);
        assert_eq!(breaker.state(), BreakerState::HalfOpen, "one probe has succeeded, and it takes two");
        let (one, more) = (acquire(&breaker), acquire(&breaker));
        assert!(one.is_some() && more.is_none(), "one more is to be made");
    });
}

#[test]
fn what_began_before_it_opened_does_not_open_it_again() {
    explore(SCHEDULES, || {
        let breaker = World::new(2).run(BreakerOutcome::Failure, &[End::Succeeds, End::Succeeds]);
        assert_eq!(breaker.state(), BreakerState::Closed);
    });
}

#[test]
fn a_probe_that_fails_opens_it_whatever_becomes_of_the_others() {
    explore(SCHEDULES, || {
        let breaker = World::new(2).run(BreakerOutcome::Success, &[End::Fails, End::Succeeds]);
        let state = breaker.state();
        // Open again, or probed anew since: one success closes nothing.
        assert!(matches!(state, BreakerState::Open | BreakerState::HalfOpen), "{state:?}");
    });
}

#[test]
fn methods_that_are_called_first_at_the_same_time_share_their_circuit() {
    explore(SCHEDULES, || {
        let policy = Arc::new(BreakerPolicy::new().consecutive_failures(2));
        let breaker = CircuitBreaker::with(policy, None, true, None);
        let calls = [(); 2].map(|()| {
            let breaker = breaker.clone();
            thread::spawn(move || {
                let mut head = RequestHead::default();
                head.set_method("/t/x");
                let permit = breaker.acquire(&head, None, Instant::now()).expect("closed");
                permit.record(&[BreakerOutcome::Failure], Instant::now());
            })
        });
        calls.into_iter().for_each(|call| call.join().expect("no panic"));
        assert_eq!((breaker.methods(), breaker.state()), (1, BreakerState::Open));
    });
}

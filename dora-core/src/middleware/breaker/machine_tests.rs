use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn machine(policy: BreakerPolicy) -> (Machine, Instant) {
    let now = Instant::now();
    (Machine::new(Arc::new(policy.jitter(0.0)), now), now)
}

/// Makes a call that ends at once.
fn call(machine: &mut Machine, outcome: BreakerOutcome, now: Instant) -> Option<Step> {
    let (ticket, step) = machine.acquire(now);
    let end = machine.finish(ticket.expect("it is let through"), &[outcome], Duration::ZERO, now);
    end.or(step)
}

fn fail(machine: &mut Machine, times: u32, now: Instant) {
    for _ in 0..times {
        call(machine, BreakerOutcome::Failure, now);
    }
}

#[test]
fn it_opens_at_the_rate_and_not_before() {
    let policy = BreakerPolicy::new().last_calls(10).minimum_calls(10).consecutive_failures(None);
    let (mut machine, now) = machine(policy);
    for i in 0..9 {
        let outcome = if i % 2 == 0 { BreakerOutcome::Success } else { BreakerOutcome::Failure };
        assert_eq!(call(&mut machine, outcome, now), None);
    }
    let (from, to, cause) = call(&mut machine, BreakerOutcome::Failure, now).expect("half of ten");
    assert_eq!((from, to), (BreakerState::Closed, BreakerState::Open));
    assert_eq!(cause, BreakerCause::FailureRate { failed: 5, calls: 10 });
    assert_eq!(cause.to_string(), "5 of the last 10 calls failed");
}

#[test]
fn few_calls_say_nothing_but_failures_in_a_row_do() {
    let (mut machine, now) = machine(BreakerPolicy::new().minimum_calls(20).consecutive_failures(8));
    fail(&mut machine, 7, now);
    assert_eq!(machine.state(), BreakerState::Closed);
    call(&mut machine, BreakerOutcome::Success, now);
    fail(&mut machine, 7, now);
    assert_eq!(machine.state(), BreakerState::Closed, "the row was broken");
    let step = call(&mut machine, BreakerOutcome::Failure, now);
    assert_eq!(step.expect("opens").2, BreakerCause::ConsecutiveFailures(8));
}

#[test]
fn slow_answers_open_it_too() {
    let policy = BreakerPolicy::new().minimum_calls(4).slow_calls(SECOND, 0.5);
    let (mut machine, now) = machine(policy);
    for took in [0, 2, 0] {
        let (ticket, _) = machine.acquire(now);
        machine.finish(ticket.expect("closed"), &[BreakerOutcome::Success], SECOND * took, now);
    }
    let (ticket, _) = machine.acquire(now);
    let step = machine.finish(ticket.expect("closed"), &[BreakerOutcome::Success], SECOND * 2, now);
    assert_eq!(step.expect("opens").2, BreakerCause::SlowCalls { slow: 2, calls: 4 });
}

#[test]
fn it_lets_its_probes_through_and_no_more() {
    let (mut machine, now) = machine(BreakerPolicy::new().consecutive_failures(1).probes(2));
    fail(&mut machine, 1, now);
    let cause = BreakerCause::ConsecutiveFailures(1);
    let until = now + 5 * SECOND;
    assert_eq!(machine.acquire(until - SECOND).0.expect_err("open"), Refusal::Open { until, cause });

    let (first, step) = machine.acquire(until);
    assert_eq!(step.expect("half open").2, BreakerCause::TimeOver);
    let (second, _) = machine.acquire(until);
    assert_eq!(machine.acquire(until).0.expect_err("two are on their way"), Refusal::Probing);
    // One is given up: its place is free again.
    assert_eq!(machine.finish(first.expect("a probe"), &[BreakerOutcome::Ignored], SECOND, until), None);
    let (third, _) = machine.acquire(until);
    assert_eq!(machine.finish(second.expect("a probe"), &[BreakerOutcome::Success], SECOND, until), None);
    assert_eq!(machine.acquire(until).0.expect_err("one is enough"), Refusal::Probing);
    let step = machine.finish(third.expect("a probe"), &[BreakerOutcome::Success], SECOND, until);
    assert_eq!(step.expect("closes").1, BreakerState::Closed);
}

#[test]
fn the_open_time_grows_until_it_closes() {
    let policy = BreakerPolicy::new().consecutive_failures(1).open_at_most(SECOND * 15).probes(1);
    let (mut machine, mut now) = machine(policy);
    fail(&mut machine, 1, now);
    for seconds in [5, 10, 15, 15] {
        let refusal = machine.acquire(now).0.expect_err("open");
        let Refusal::Open { until, .. } = refusal else { panic!("{refusal:?}") };
        assert_eq!(until - now, SECOND * seconds);
        now = until;
        if seconds < 15 || machine.openings < 4 {
            fail(&mut machine, 1, now);
        }
    }
    call(&mut machine, BreakerOutcome::Success, now);
    assert_eq!(machine.state(), BreakerState::Closed);
    fail(&mut machine, 1, now);
    let refusal = machine.acquire(now).0.expect_err("open");
    assert!(matches!(refusal, Refusal::Open { until, .. } if until - now == SECOND * 5), "{refusal:?}");
}

#[test]
fn jitter_stays_in_its_bounds_and_can_be_repeated() {
    let waits = |seed| -> Vec<Duration> {
        let now = Instant::now();
        let policy = BreakerPolicy::new().consecutive_failures(1).jitter(0.2).seed(seed);
        let policy = Arc::new(policy.probes(1).growth(1.0));
        let mut machine = Machine::new(policy, now);
        let mut at = now;
        let mut waits = Vec::new();
        for _ in 0..50 {
            fail(&mut machine, 1, at);
            let Err(Refusal::Open { until, .. }) = machine.acquire(at).0 else { panic!("not open") };
            waits.push(until - at);
            at = until;
        }
        waits
    };
    let drawn = waits(7);
    assert!(drawn.iter().all(|wait| (4.0..=6.0).contains(&wait.as_secs_f64())), "{drawn:?}");
    let spread =
        drawn.iter().max().expect("50").as_secs_f64() - drawn.iter().min().expect("50").as_secs_f64();
    assert!(spread > 1.0, "it is no jitter: {spread} s");
    assert_eq!(drawn, waits(7));
    assert_ne!(drawn, waits(8));
}

#[test]
fn what_began_in_another_state_says_nothing() {
    let (mut machine, now) = machine(BreakerPolicy::new().consecutive_failures(2).probes(1));
    let (early, _) = machine.acquire(now);
    let (earlier, _) = machine.acquire(now);
    fail(&mut machine, 2, now);
    let half_open = now + 5 * SECOND;
    let (probe, _) = machine.acquire(half_open);
    // Neither closes it, as a probe would, nor takes the probe's place.
    assert_eq!(machine.finish(early.expect("closed"), &[BreakerOutcome::Success], SECOND, half_open), None);
    assert_eq!(machine.finish(earlier.expect("closed"), &[BreakerOutcome::Failure], SECOND, half_open), None);
    assert_eq!(machine.state(), BreakerState::HalfOpen);
    assert!(machine.finish(probe.expect("a probe"), &[BreakerOutcome::Success], SECOND, half_open).is_some());
}

#[test]
fn a_hand_holds_it() {
    let (mut machine, now) = machine(BreakerPolicy::new().consecutive_failures(1));
    assert!(machine.force(Some(Hold::Open), now).is_some());
    assert_eq!(machine.acquire(now + 100 * SECOND).0.expect_err("held"), Refusal::Forced);
    machine.force(Some(Hold::Closed), now);
    fail(&mut machine, 100, now);
    assert_eq!(machine.state(), BreakerState::ForcedClosed);
    machine.force(None, now);
    assert_eq!(machine.state(), BreakerState::Closed);
    assert_eq!(machine.force(None, now), None, "it was already");
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Begin,
    End(usize, BreakerOutcome),
    Wait(u64),
    Force(Option<Hold>),
}

fn act() -> impl Strategy<Value = Act> {
    let outcome = prop_oneof![
        Just(BreakerOutcome::Success),
        Just(BreakerOutcome::Failure),
        Just(BreakerOutcome::Ignored)
    ];
    let hold = prop_oneof![Just(Hold::Open), Just(Hold::Closed)];
    prop_oneof![
        6 => Just(Act::Begin),
        6 => (any::<usize>(), outcome).prop_map(|(which, outcome)| Act::End(which, outcome)),
        2 => (0..8_000_u64).prop_map(Act::Wait),
        1 => proptest::option::of(hold).prop_map(Act::Force),
    ]
}

proptest! {
    /// Whatever happens in whatever order, half open there are never more calls on
    /// their way than probes, and it never stays shut for good.
    #[test]
    fn no_probe_is_lost_and_none_too_many(acts in proptest::collection::vec(act(), 1..200), probes in 1..4_u32) {
        let policy = BreakerPolicy::new().last_calls(8).minimum_calls(4).consecutive_failures(3).probes(probes);
        let (mut machine, mut now) = machine(policy);
        let mut running: Vec<(u64, Ticket)> = Vec::new();
        for act in acts {
            match act {
                Act::Begin => {
                    let (ticket, _) = machine.acquire(now);
                    running.extend(ticket.ok().map(|ticket| (machine.stay, ticket)));
                }
                Act::End(which, outcome) if !running.is_empty() => {
                    let (_, ticket) = running.swap_remove(which % running.len());
                    machine.finish(ticket, &[outcome], Duration::ZERO, now);
                }
                Act::End(..) => {}
                Act::Wait(ms) => now += Duration::from_millis(ms),
                Act::Force(hold) => {
                    machine.force(hold, now);
                }
            }
            let of_this_stay = running.iter().filter(|(stay, _)| *stay == machine.stay).count();
            if let State::HalfOpen { probing, succeeded } = machine.state {
                prop_assert_eq!(probing as usize, of_this_stay);
                prop_assert!(probing + succeeded <= probes);
            }
        }
        machine.force(None, now);
        fail(&mut machine, 3, now);
        let later = now + Duration::from_secs(61);
        for _ in 0..probes {
            prop_assert!(machine.admits(later));
            call(&mut machine, BreakerOutcome::Success, later);
        }
        prop_assert_eq!(machine.state(), BreakerState::Closed);
    }
}

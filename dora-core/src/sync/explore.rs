//! Model checks: a small world is run again and again, each time with its tasks in another
//! order.
//!
//! A check that fails prints the schedule it failed under; `SCHEDULE=<that> cargo test -p
//! dora-rpc-core --lib <name of the test>` runs that one again. `SCHEDULES=1000000` tries
//! more than usual.

use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Scheduler};
use shuttle::{Config, Runner};

/// Tasks that are changed out of turn in a schedule of the second half: a fault that needs
/// more of that to show is rare.
const DEPTH: usize = 4;

/// Runs `world` under so many schedules (unless `SCHEDULES` says how many): at any step any
/// task goes on in half of them, and in the others one goes on for as long as it can but
/// for a few steps.
pub(crate) fn explore(schedules: usize, world: fn()) {
    if let Ok(schedule) = std::env::var("SCHEDULE") {
        return run(ReplayScheduler::new_from_encoded(&schedule), world);
    }
    let given = std::env::var("SCHEDULES").ok();
    let schedules = given.map_or(schedules, |given| given.parse().expect("SCHEDULES=number"));
    run(RandomScheduler::new(schedules.div_ceil(2)), world);
    run(PctScheduler::new(DEPTH, schedules.div_ceil(2)), world);
}

fn run(scheduler: impl Scheduler + 'static, world: fn()) {
    let mut config = Config::new();
    // Packets are packed and statuses written on it, without optimization.
    config.stack_size = 256 << 10;
    // All that is modelled takes its atomics for hints, which are looked at again under a lock.
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(world);
}

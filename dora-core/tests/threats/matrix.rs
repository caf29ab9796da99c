//! What the connections of a run go over. Every test goes over TCP; once more over
//! the others go those that are not about TCP itself.

use std::process::Command;

use crate::over::Over;

/// The variable of the environment that says what a run goes over.
const OVER: &str = "DORA_TEST_OVER";

/// What this run goes over.
pub(crate) fn over() -> Over {
    match std::env::var(OVER).as_deref() {
        Err(_) => Over::Tcp,
        Ok("unix") => Over::Unix,
        Ok("tls") => Over::Tls,
        Ok("memory") => Over::Memory,
        Ok(other) => panic!("{OVER}={other}"),
    }
}

/// Tests that hold whatever carries the connection. The others are about sockets:
/// resets, descriptors, what the system buffers.
const TESTS: [&str; 26] = [
    "batches::",
    "cancel::a_half",
    "cancel::dropping",
    "cores::where",
    "deadlines::a_call_without",
    "deadlines::what_remains",
    "deadlines::work",
    "drain::a_peer_is_told",
    "drain::a_peer_that_understands",
    "drain::a_ping",
    "drain::what_runs",
    "fairness::the_first",
    "far_end::",
    "floods::",
    "garbage::",
    "gzip::",
    "held::",
    "handlers::a_panic_in_one",
    "handlers::a_panic_is",
    "lengths::what_came",
    "names::",
    "nesting::",
    "packers::",
    "silence::",
    "slow_reader::a_slow",
    "trickle::bytes",
];

/// Those among them that are about sockets too: two end a connection by a reset,
/// one has connections in the system's queue.
const SKIPPED: [&str; 3] = ["background_calls", "come_and_go", "over_the_limit_wait"];

/// Runs this test once more as a process whose connections go over something else.
fn run_over(over: &str) {
    let program = std::env::current_exe().expect("this test");
    let skip = SKIPPED.iter().flat_map(|name| ["--skip", name]);
    let run = Command::new(program).args(TESTS).args(skip).env(OVER, over).output();
    let run = run.expect("it runs");
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "over {over}:\n{said}");
    let passed = said.lines().filter(|line| line.ends_with(" ... ok")).count();
    assert!(passed > 20, "only {passed} tests went over {over}:\n{said}");
}

#[test]
fn over_unix_sockets() {
    run_over("unix");
}

#[test]
fn over_tls() {
    run_over("tls");
}

#[test]
fn over_memory() {
    run_over("memory");
}

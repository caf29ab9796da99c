//! That every peer and every mode works. How fast is no business of a test.

use std::process::Command;

const PEERS: [&str; 5] = ["dora", "limit", "raw", "tonic", "tarpc"];

/// Runs the program; every mode ends by itself. Gives what it printed.
fn bench(args: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_dora-bench")).args(args).output().expect("the program starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {error}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn every_peer_echoes_all_sizes() {
    let points = "64:4/4,64:8/2,65536:4/4,65536:4/1,1048576:2/2";
    let table = bench(&[
        "compare",
        "--rounds=1",
        "--seconds=0.2",
        "--warmup=0.05",
        "--peers=dora,limit,raw,tonic,tarpc",
        &format!("--matrix={points}"),
    ]);
    for peer in PEERS {
        assert!(table.contains(&format!("64 B 4/4 | {peer} |")), "{table}");
    }
    assert!(table.contains("64 KiB 4/1 | dora/tonic |"), "{table}");
}

#[test]
fn peers_speak_tls_where_they_are_named() {
    let table = bench(&[
        "compare",
        "--rounds=1",
        "--seconds=0.2",
        "--warmup=0.05",
        "--peers=dora-tls,tonic-tls",
        "--matrix=64:4/2",
    ]);
    assert!(table.contains("64 B 4/2 | dora-tls/tonic-tls |"), "{table}");
    let table = bench(&["idle", "--connections=100", "--rest=0.05", "--peers=dora-tls"]);
    assert!(table.contains("| dora-tls | 100 |"), "{table}");
}

#[test]
fn doors_answer_where_they_are_named() {
    let table = bench(&[
        "compare",
        "--rounds=1",
        "--seconds=0.2",
        "--warmup=0.05",
        "--peers=dora-json,axum-json,dora-forms,dora-swoft",
        "--matrix=64:4/4,65536:2/2",
    ]);
    assert!(table.contains("64 B 4/4 | dora-json/axum-json |"), "{table}");
    assert!(table.contains("64 KiB 2/2 | dora-json/dora-swoft |"), "{table}");
    let peers = "--peers=dora-json-h2c,axum-json-h2c";
    let table = bench(&["compare", "--rounds=1", "--seconds=0.2", "--warmup=0.05", peers, "--matrix=64:8/1"]);
    assert!(table.contains("64 B 8/1 | dora-json-h2c/axum-json-h2c |"), "{table}");
}

#[test]
fn handlers_compute_as_long_as_they_are_told() {
    let table = bench(&[
        "compare",
        "--rounds=1",
        "--seconds=0.3",
        "--warmup=0.05",
        "--peers=dora,tarpc,tonic",
        "--matrix=64:1/1",
        "--work=20000",
    ]);
    for peer in ["dora", "tarpc", "tonic"] {
        let row = table.lines().find(|line| line.contains(&format!("| {peer} |"))).expect("a row");
        let p50: f64 = row.split(" | ").nth(3).map(micros).expect("a median");
        assert!(p50 >= 20_000.0, "{row}");
    }
}

/// A number as tables show it.
fn micros(cell: &str) -> f64 {
    match cell.strip_suffix('k') {
        Some(thousands) => thousands.parse::<f64>().expect("a number") * 1e3,
        None => cell.parse().expect("a number"),
    }
}

#[test]
fn a_light_client_is_measured_beside_a_heavy_one() {
    let table = bench(&[
        "beside",
        "--rounds=1",
        "--seconds=0.2",
        "--warmup=0.05",
        "--outstanding=16",
        "--peers=dora,tonic",
    ]);
    assert!(table.contains("64 B 1/1 | dora/tonic |"), "{table}");
}

#[test]
fn calls_are_made_within_one_thread() {
    for peer in PEERS {
        let line = bench(&["count", peer, "--calls=100", "--concurrency=4"]);
        assert!(line.contains("per call"), "{line}");
    }
}

#[test]
fn both_processes_share_one_core() {
    let table = bench(&["one-core", "--rounds=1", "--seconds=0.2", "--warmup=0.05"]);
    assert_eq!(table.matches("64 B 1/1 | dora").count(), PEERS.len());
}

#[test]
fn idle_connections_are_held() {
    let table = bench(&["idle", "--connections=100", "--rest=0.05"]);
    for peer in PEERS {
        assert!(table.contains(&format!("| {peer} | 100 |")), "{table}");
    }
}

/// The cells of the row of a table that begins with these.
fn row<'a>(table: &'a str, first: &str) -> Vec<&'a str> {
    let row = table.lines().find(|line| line.starts_with(first));
    row.unwrap_or_else(|| panic!("no row {first:?} in {table}"))
        .trim_matches('|')
        .split('|')
        .map(str::trim)
        .collect()
}

#[test]
fn no_more_is_tried_than_the_budget_allows() {
    let table = bench(&["failing", "--rate=500", "--seconds=1"]);
    for stack in ["| default |", "| with hedges"] {
        let row = row(&table, stack);
        let (calls, attempts, allowed): (u64, u64, u64) = (number(row[1]), number(row[3]), number(row[4]));
        assert!(calls > 0 && attempts <= allowed, "{table}");
    }
}

#[test]
fn no_call_fails_with_a_killed_instance() {
    let table = bench(&["killed", "--rate=200", "--seconds=2", "--how=reset"]);
    for stack in ["| reset | default |", "| reset | with hedges"] {
        assert_eq!(row(&table, stack)[3], "0", "{table}");
    }
}

#[test]
fn no_call_runs_twice_or_in_vain_by_restarts() {
    let table = bench(&["rolling", "--restarts=6", "--rate=200", "--served=5", "--at-most=20"]);
    // How many it comes to in its time depends on the machine.
    let row = row(table.lines().last().expect("a row"), "| ");
    let (restarts, calls): (u64, u64) = (number(row[0]), number(row[2]));
    assert!(restarts > 0 && calls >= 5 * restarts, "{table}");
    assert_eq!(row[5..], ["0", "0"], "{table}");
}

#[test]
fn a_server_is_asked_before_in_and_after_an_overload() {
    let table = bench(&["overload", "--seconds=1", "--after=1"]);
    for load in ["| 80 % |", "| 500 %, its first second |", "| 500 %, after that |", "| 80 %, second 1 after"]
    {
        let line =
            table.lines().find(|line| line.starts_with(load)).unwrap_or_else(|| panic!("{load}: {table}"));
        let answered: f64 = number(line.split('|').nth(3).expect("a cell").trim());
        assert!(answered > 0.0, "{table}");
    }
    assert!(table.lines().last().is_some_and(|line| line.starts_with("Goodput ")), "{table}");
}

fn number<T: std::str::FromStr>(cell: &str) -> T {
    cell.parse().unwrap_or_else(|_| panic!("{cell:?} is no number"))
}

#[test]
fn a_stack_is_compared_where_it_is_named() {
    for stack in ["dora-stack", "dora-limited"] {
        let line = bench(&["count", stack, "--calls=100", "--concurrency=4"]);
        assert!(line.contains("per call"), "{line}");
    }
}

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
fn both_processes_share_one_core() {
    let table = bench(&["one-core", "--rounds=1", "--seconds=0.2", "--warmup=0.05"]);
    assert_eq!(table.matches("64 B 1/1 | limit").count(), PEERS.len());
}

#[test]
fn idle_connections_are_held() {
    let table = bench(&["idle", "--connections=100", "--rest=0.05"]);
    for peer in PEERS {
        assert!(table.contains(&format!("| {peer} | 100 |")), "{table}");
    }
}

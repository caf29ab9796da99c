//! A process without file descriptors.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

use crate::support::{PATIENCE, Raw, call, echo, frame, serve, soon};

const ROLE: &str = "DORA_TEST_FEW_DESCRIPTORS";

/// Runs itself once more as a process that may have 40 descriptors.
#[test]
fn descriptors_run_out_and_accepting_goes_on() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    match std::env::var_os(ROLE) {
        Some(_) => runtime.block_on(serve_until_told()),
        None => runtime.block_on(exhaust()),
    }
}

async fn serve_until_told() {
    let server = serve(echo()).await;
    println!("\nlistening {}", server.address());
    std::io::stdout().flush().expect("a pipe");
    let end = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    end.await.expect("no panic").expect("a pipe");
}

async fn exhaust() {
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -n 40 && exec \"$0\" --exact accept::descriptors_run_out_and_accepting_goes_on --nocapture"])
        .arg(std::env::current_exe().expect("this test"))
        .env(ROLE, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell");
    let mut output = BufReader::new(child.stdout.take().expect("piped"));
    let address = (&mut output).lines().find_map(|line| {
        line.expect("text").strip_prefix("listening ").map(|address| address.parse().expect("an address"))
    });
    let address = address.expect("it listens");
    let mut held = Vec::new();
    for _ in 0..60 {
        let mut raw = Raw::connect(address).await;
        raw.send(&frame(&call("/echo"))).await;
        held.push(raw);
    }
    held[0].result().await.expect("the first is served");
    let mut last = held.pop().expect("60");
    let early = tokio::time::timeout(PATIENCE / 30, last.frame()).await;
    assert!(early.is_err(), "60 connections cannot be served with 40 descriptors");
    drop(held);
    last.result().await.expect("served when descriptors are free");
    let mut next = Raw::connect(address).await;
    next.assert_usable().await;
    drop(child.stdin.take());
    let ended = tokio::task::spawn_blocking(move || {
        output.read_to_string(&mut String::new()).expect("text");
        child.wait()
    });
    assert!(soon(ended).await.expect("no panic").expect("waited for").success());
}

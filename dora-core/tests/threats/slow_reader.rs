//! Peers that ask and do not read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dora_core::call::request::Request;
use dora_core::call::status::Status;
use dora_core::pack::value::Value;
use dora_core::server::Server;
use tokio::io::AsyncWriteExt;

use crate::support::{Raw, call, eventually, frame, serve};

const LARGE: usize = 256 << 10;

/// A server of large answers, and how many it made.
fn large() -> (Server, Arc<AtomicUsize>) {
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    let server = Server::builder().dynamic(move |request: Request<Value>| {
        let large = request.method().as_str() == "/large";
        count.fetch_add(usize::from(large), Ordering::SeqCst);
        async move { Ok::<_, Status>(Value::from("x".repeat(if large { LARGE } else { 1 }))) }
    });
    (server, made)
}

/// Sends requests until the server takes no more of them.
async fn stuff(raw: &mut Raw) {
    let requests = frame(&call("/large")).repeat(100);
    while let Ok(sent) = tokio::time::timeout(Duration::from_secs(1), raw.stream.write_all(&requests)).await {
        sent.expect("connected");
    }
}

#[tokio::test]
async fn the_buffer_is_capped_and_the_server_stops_reading() {
    let (server, made) = large();
    let server = serve(server.max_buffered_per_connection(1 << 20)).await;
    let mut raw = server.raw().await;
    stuff(&mut raw).await;
    let stopped = made.load(Ordering::SeqCst);
    let waiting = (stopped * LARGE) as u64 - server.stats().sent;
    assert!(waiting < 2 << 20, "{waiting} bytes wait");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(made.load(Ordering::SeqCst), stopped, "no handler runs for a peer that does not read");
    server.assert_serves().await;
}

#[tokio::test]
async fn a_stalled_peer_is_closed_and_others_are_served() {
    let (server, _) = large();
    let server = server.max_buffered_per_connection(1 << 20).stall_timeout(Duration::from_millis(300));
    let server = serve(server).await;
    let mut other = server.raw().await;
    let mut raw = server.raw().await;
    let requests = frame(&call("/large")).repeat(400);
    raw.send(&requests).await;
    eventually("the stalled one is closed", || server.stats().closed == 1).await;
    other.assert_usable().await;
    server.assert_serves().await;
}

/// Under the cap the server reads on, but that is no sign of life: only bytes
/// that are taken are.
#[tokio::test]
async fn asking_on_does_not_put_off_the_stall_timeout() {
    let (server, _) = large();
    let server = server.max_buffered_per_connection(64 << 20).stall_timeout(Duration::from_millis(500));
    let server = serve(server).await;
    let mut raw = server.raw().await;
    raw.send(&frame(&call("/large")).repeat(60)).await;
    let start = std::time::Instant::now();
    while raw.stream.write_all(&frame(&call("/small"))).await.is_ok() {
        assert!(start.elapsed() < crate::support::PATIENCE, "the stalled peer is kept");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_slow_reader_is_served_to_the_end() {
    let (server, made) = large();
    let server =
        serve(server.max_buffered_per_connection(1 << 20).stall_timeout(Duration::from_secs(5))).await;
    let mut raw = server.raw().await;
    raw.send(&frame(&call("/large")).repeat(60)).await;
    for _ in 0..60 {
        raw.result().await.expect("answered");
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    assert_eq!(made.load(Ordering::SeqCst), 60);
}

/// What was held back while it did not read comes without anything more from it.
#[tokio::test]
async fn a_peer_that_pauses_gets_everything_when_it_reads_again() {
    let (server, _) = large();
    // Longer than the test has patience for.
    let server = server.max_buffered_per_connection(128 << 10).stall_timeout(Duration::from_secs(600));
    let server = serve(server).await;
    for _ in 0..5 {
        let mut raw = server.raw().await;
        raw.send(&frame(&call("/large")).repeat(40)).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        // Half-closed: it has nothing more to say.
        raw.stream.shutdown().await.expect("connected");
        for _ in 0..40 {
            raw.result().await.expect("answered");
        }
    }
}

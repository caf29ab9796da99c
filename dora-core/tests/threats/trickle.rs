//! Peers that take their time.

use std::time::{Duration, Instant};

use dora_core::call::mode::Mode;
use tokio::io::AsyncWriteExt;

use crate::support::{Gate, PATIENCE, Raw, call, echo, eventually, frame, frame_of, multi, serve};

#[tokio::test]
async fn bytes_one_by_one_make_frames() {
    let server = serve(echo()).await;
    let mut raw = server.raw().await;
    for byte in frame(&call("/echo")) {
        raw.send(&[byte]).await;
    }
    raw.result().await.expect("answered");
}

/// Small writes of a large frame must cost in proportion to its bytes: parsing
/// anew from the start at each would take minutes here.
#[tokio::test]
async fn a_large_frame_in_small_pieces_costs_no_more_than_its_bytes() {
    let server = serve(echo()).await;
    let mut raw = server.raw().await;
    let whole = frame_of(&vec![b'i'; 1 << 20]);
    for piece in whole.chunks(64) {
        raw.send(piece).await;
    }
    raw.refusal().await;
    raw.assert_usable().await;
}

#[tokio::test]
async fn a_frame_that_does_not_end_is_closed() {
    let server = serve(echo().frame_timeout(Duration::from_millis(200))).await;
    let mut idle = server.raw().await;
    for begin in [&[0][..], &[0, 0, 0, 100], &frame(&call("/echo"))[..60]] {
        let mut raw = server.raw().await;
        raw.send(begin).await;
        raw.assert_closed().await;
    }
    idle.assert_usable().await;
}

#[tokio::test]
async fn a_trickle_does_not_put_off_the_frame_timeout() {
    let server = serve(echo().frame_timeout(Duration::from_millis(300))).await;
    let mut raw = server.raw().await;
    raw.send(&[0, 1, 0, 0]).await;
    let start = Instant::now();
    // Over a minute of bytes, if it were let.
    while raw.stream.write_all(b"x").await.is_ok() {
        assert!(start.elapsed() < PATIENCE, "the trickle goes on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.assert_serves().await;
}

#[tokio::test]
async fn idle_connections_are_closed_and_active_ones_are_not() {
    let server = serve(echo().idle_timeout(Duration::from_secs(2))).await;
    let mut idle = server.raw().await;
    let mut active = server.raw().await;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(4) {
        active.assert_usable().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    idle.assert_closed().await;
    active.assert_usable().await;
}

#[tokio::test]
async fn a_frame_is_not_late_while_the_server_does_not_read_it() {
    let gate = Gate::closed();
    let server = gate.server().max_calls_per_connection(1).frame_timeout(Duration::from_millis(500));
    let server = serve(server).await;
    let mut raw = server.raw().await;
    let second = frame(&call("/gate"));
    raw.send(&frame(&call("/gate"))).await;
    gate.until_running(1).await;
    // The rest of it comes when the server reads again.
    raw.send(&second[..50]).await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    gate.open(1);
    raw.result().await.expect("the first");
    raw.send(&second[50..]).await;
    gate.open(1);
    raw.result().await.expect("the second");
}

#[tokio::test]
async fn a_waiting_call_keeps_its_connection_from_being_idle() {
    let gate = Gate::closed();
    let server = serve(gate.server().idle_timeout(Duration::from_millis(200))).await;
    let mut raw: Raw = server.raw().await;
    raw.send(&frame(&multi(Mode::Wait, "/gate", 2))).await;
    gate.until_running(2).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    gate.open(2);
    raw.frame().await;
    eventually("closed when idle", || server.stats().closed == 1).await;
}

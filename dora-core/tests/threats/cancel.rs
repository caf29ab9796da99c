//! Clients that go away in mid-call.

use std::sync::atomic::Ordering;
use std::time::Duration;

use dora_core::call::mode::Mode;
use dora_core::value;
use tokio::io::AsyncWriteExt;

use crate::support::{Gate, call, eventually, frame, multi, packet, serve, soon};

#[tokio::test]
async fn a_reset_cancels_waited_calls_and_leaves_async_ones() {
    let gate = Gate::closed();
    let server = serve(gate.server()).await;
    let mut raw = server.raw().await;
    raw.send(&frame(&call("/gate"))).await;
    raw.send(&frame(&multi(Mode::Wait, "/gate", 3))).await;
    raw.send(&frame(&packet(Mode::NoResult, "/gate"))).await;
    raw.send(&frame(&packet(Mode::Deferred, "/gate"))).await;
    gate.until_running(6).await;
    raw.reset();
    gate.until_running(2).await;
    gate.open(2);
    gate.until_finished(2).await;
    eventually("nothing counts", || server.stats().running == 0).await;
}

#[tokio::test]
async fn a_reset_is_noticed_where_the_server_does_not_read() {
    let gate = Gate::closed();
    let server = serve(gate.server().max_calls_per_connection(2)).await;
    let mut raw = server.raw().await;
    raw.send(&frame(&call("/gate")).repeat(5)).await;
    gate.until_running(2).await;
    raw.reset();
    gate.until_running(0).await;
    eventually("closed", || server.stats().closed == 1).await;
    assert_eq!(gate.started.load(Ordering::SeqCst), 2, "what waited never starts");
}

#[tokio::test]
async fn a_reset_after_a_half_close_is_noticed() {
    let gate = Gate::closed();
    let server = serve(gate.server()).await;
    let mut raw = server.raw().await;
    raw.send(&frame(&call("/gate"))).await;
    raw.stream.shutdown().await.expect("half closed");
    gate.until_running(1).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    raw.reset();
    gate.until_running(0).await;
}

#[tokio::test]
async fn a_half_close_is_answered_and_then_closed() {
    let gate = Gate::closed();
    let server = serve(gate.server()).await;
    let mut raw = server.raw().await;
    raw.send(&frame(&call("/gate"))).await;
    raw.send(&frame(&packet(Mode::Deferred, "/gate"))).await;
    raw.stream.shutdown().await.expect("half closed");
    gate.until_running(2).await;
    raw.frame().await;
    gate.open(2);
    raw.frame().await;
    raw.frame().await;
    raw.assert_closed().await;
}

#[tokio::test]
async fn dropping_the_last_channel_cancels_the_servers_work() {
    let gate = Gate::closed();
    let server = serve(gate.server()).await;
    let channel = server.channel().await;
    let other = server.channel().await;
    let kept = tokio::spawn(other.dynamic().call("/gate", value!(null)).into_future());
    let mut call = Box::pin(channel.dynamic().call("/gate", value!(null)).into_future());
    // Polled once, so that it is under way.
    assert!(tokio::time::timeout(Duration::from_millis(1), &mut call).await.is_err());
    gate.until_running(2).await;
    drop(channel);
    gate.until_running(2).await;
    drop(call);
    gate.until_running(1).await;
    gate.open(1);
    soon(kept).await.expect("no panic").expect("another channel's call goes on");
}

//! More of everything than there is room for.

use std::sync::atomic::Ordering;
use std::time::Duration;

use dora_core::call::code::Code;
use dora_core::call::mode::Mode;
use dora_core::call::{dora_code, packer::Packer};
use dora_core::pack::envelope::Shape;
use dora_core::pack::packet::{Calls, ResponseData};

use crate::support::{
    Gate, call, echo, eventually, frame, frame_of, multi, open_answer, pack, packet, serve,
};

#[tokio::test]
async fn a_pipelining_flood_runs_no_more_calls_than_the_cap() {
    let gate = Gate::closed();
    let server = serve(gate.server().max_calls_per_connection(8)).await;
    let mut raw = server.raw().await;
    raw.send(&frame(&call("/gate")).repeat(200)).await;
    gate.until_running(8).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(gate.started.load(Ordering::SeqCst), 8);
    server.assert_serves().await;
    gate.open(200);
    for _ in 0..200 {
        raw.result().await.expect("answered");
    }
    assert_eq!(gate.most.load(Ordering::SeqCst), 8);
}

#[tokio::test]
async fn packets_of_several_calls_hold_to_the_cap_too() {
    let gate = Gate::closed();
    let server = serve(gate.server().max_calls_per_connection(8)).await;
    let mut raw = server.raw().await;
    for mode in [Mode::Wait, Mode::NoResult] {
        raw.send(&frame(&multi(mode, "/gate", 5)).repeat(10)).await;
        gate.until_running(5).await;
        gate.open(50);
        for _ in 0..10 {
            raw.frame().await;
        }
        gate.until_running(0).await;
    }
    assert!(gate.most.load(Ordering::SeqCst) <= 8, "{} ran at once", gate.most.load(Ordering::SeqCst));
    raw.send(&frame(&multi(Mode::Wait, "/gate", 9))).await;
    let (_, body) = raw.frame().await;
    let refused = open_answer(&body, Shape::Many).code;
    assert_eq!(refused, dora_code::from_code(Code::ResourceExhausted), "never fits");
    raw.assert_usable().await;
}

#[tokio::test]
async fn the_global_cap_refuses_and_recovers() {
    let gate = Gate::closed();
    let server = serve(gate.server().max_running_calls(4)).await;
    let (mut one, mut two) = (server.raw().await, server.raw().await);
    one.send(&frame(&call("/gate")).repeat(4)).await;
    gate.until_running(4).await;
    eventually("all are counted", || server.stats().running == 4).await;
    two.send(&frame(&call("/gate"))).await;
    assert_eq!(two.refusal().await.0, dora_code::from_code(Code::ResourceExhausted));
    gate.open(5);
    for _ in 0..4 {
        one.result().await.expect("answered");
    }
    two.send(&frame(&call("/gate"))).await;
    two.result().await.expect("room again");
}

#[tokio::test]
async fn connections_over_the_limit_wait_for_a_place() {
    let server = serve(echo().max_connections(3)).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut raw = server.raw().await;
        raw.assert_usable().await;
        open.push(raw);
    }
    let mut waiting = Vec::new();
    for _ in 0..10 {
        let mut raw = server.raw().await;
        raw.send(&frame(&call("/echo"))).await;
        waiting.push(raw);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(server.stats().accepted, 3);
    drop(open);
    for mut raw in waiting {
        raw.result().await.expect("served when a place is free");
    }
    eventually("all are gone", || server.stats().closed == 13).await;
}

#[tokio::test]
async fn calls_of_connections_that_come_and_go_are_freed() {
    let gate = Gate::closed();
    let server = serve(gate.server().max_running_calls(50)).await;
    for _ in 0..10 {
        let mut raw = server.raw().await;
        raw.send(&frame(&call("/gate")).repeat(50)).await;
        gate.until_running(50).await;
        raw.reset();
        gate.until_running(0).await;
    }
    eventually("nothing counts", || server.stats().running == 0).await;
    server.assert_serves().await;
}

#[tokio::test]
async fn background_calls_count_until_they_end() {
    let gate = Gate::closed();
    let server = serve(gate.server().max_running_calls(20)).await;
    let mut raw = server.raw().await;
    raw.send(&frame(&packet(Mode::NoResult, "/gate")).repeat(20)).await;
    gate.until_running(20).await;
    raw.reset();
    eventually("the connection is gone", || server.stats().closed == 1).await;
    assert_eq!(server.stats().running, 20, "they run on");
    let mut next = server.raw().await;
    next.send(&frame(&call("/echo"))).await;
    assert_eq!(next.refusal().await.0, dora_code::from_code(Code::ResourceExhausted));
    gate.open(20);
    gate.until_finished(20).await;
    eventually("nothing counts", || server.stats().running == 0).await;
    next.assert_usable().await;
}

/// Keys are the caller's and are repeated beside each error: even those must
/// not leave the caller without an answer.
#[tokio::test]
async fn an_answer_that_does_not_fit_is_an_error() {
    let server = serve(echo().max_packet(4096)).await;
    let mut raw = server.raw().await;
    let mut packet = multi(Mode::Wait, "/e", 40);
    if let Calls::Many(calls) = &mut packet.calls {
        for (index, (key, _)) in calls.iter_mut().enumerate() {
            *key = format!("{index:030}").as_str().into();
        }
    }
    let body = pack(&packet, Packer::Php);
    assert!(body.len() < 4000);
    raw.send(&frame_of(&body)).await;
    let (_, body) = raw.frame().await;
    let answer = open_answer(&body, Shape::Many);
    assert_eq!(answer.code, dora_code::from_code(Code::ResourceExhausted));
    assert!(matches!(answer.data, ResponseData::Empty));
    raw.assert_usable().await;
}

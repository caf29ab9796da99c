//! What calls that run hold: the bytes of their requests, and permits.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dora_core::call::body::Body;
use dora_core::call::code::Code;
use dora_core::call::dora_code;
use dora_core::call::mode::{Mode, PacketKind};
use dora_core::call::packer::Packer;
use dora_core::call::request::Request;
use dora_core::call::status::Status;
use dora_core::pack::compress::deflate;
use dora_core::pack::packet::{Call, Calls, RequestPacket};
use dora_core::pack::value::Value;
use dora_core::server::Server;
use dora_core::transport::server::cost::Execution;
use tokio::sync::Semaphore;
use tower::limit::GlobalConcurrencyLimitLayer;

use crate::support::{Gate, PATIENCE, call, eventually, frame, frame_of, pack, serve};

const MIB: usize = 1 << 20;

/// A call of the gate that carries `bytes`, gzipped.
fn zipped(mode: Mode, bytes: usize) -> Vec<u8> {
    let param = Body::message(Value::from("x".repeat(bytes)));
    let packet = RequestPacket {
        kind: PacketKind::calls(mode, false),
        calls: Calls::One(Call::new("/gate", param)),
        ..RequestPacket::default()
    };
    let mut out = Vec::new();
    deflate(&pack(&packet, Packer::Php), &mut out);
    frame_of(&out)
}

/// By the defaults 18 bodies of 30 MiB, 1.8 MB of traffic, held 541 MiB.
#[tokio::test]
async fn a_connection_is_not_read_on_while_its_requests_are_large() {
    const SENT: usize = 6;
    const LEN: usize = 600 << 10;
    for (mode, execution) in [
        (Mode::Wait, Execution::Inline),
        (Mode::Wait, Execution::Spawned),
        (Mode::NoResult, Execution::Inline),
    ] {
        let gate = Gate::closed();
        let server = serve(gate.server().execution(execution).max_request_bytes_per_connection(MIB)).await;
        let mut raw = server.raw().await;
        raw.send(&zipped(mode, LEN).repeat(SENT)).await;
        gate.until_running(2).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(gate.started.load(Ordering::SeqCst), 2, "{mode:?}: a second one goes beyond");
        let bytes = server.stats().running_bytes;
        assert!((2 * LEN..2 * LEN + 1000).contains(&bytes), "{mode:?}, {execution:?}: {bytes}");
        server.assert_serves().await;
        gate.open(SENT);
        for _ in 0..SENT {
            raw.frame().await;
        }
        gate.until_finished(SENT).await;
        assert_eq!(gate.most.load(Ordering::SeqCst), 2, "{mode:?}, {execution:?}");
        eventually("nothing is held", || server.stats().running_bytes == 0).await;
        raw.assert_usable().await;
    }
}

#[tokio::test]
async fn who_holds_most_is_refused_first_when_all_requests_hold_too_much() {
    let gate = Gate::closed();
    let server = gate.server().max_request_bytes(MIB).max_request_bytes_per_connection(usize::MAX);
    let server = serve(server).await;
    let mut greedy = server.raw().await;
    // The third would have more of it than is left.
    greedy.send(&zipped(Mode::Wait, 300_000).repeat(3)).await;
    let (code, message) = greedy.refusal().await;
    assert_eq!(code, dora_code::from_code(Code::ResourceExhausted));
    assert!(message.contains("max_request_bytes") && message.contains("of 1048576"), "{message}");
    gate.until_running(2).await;
    let mut modest = server.raw().await;
    modest.send(&zipped(Mode::Wait, 300_000)).await;
    gate.until_running(3).await;
    let mut small = server.raw().await;
    small.assert_usable().await;
    greedy.send(&zipped(Mode::NoResult, 200_000)).await;
    assert_eq!(greedy.refusal().await.0, code, "in the background too");
    gate.open(4);
    for raw in [&mut greedy, &mut modest] {
        raw.result().await.expect("let through");
    }
    greedy.result().await.expect("let through");
    greedy.send(&zipped(Mode::Wait, 400_000)).await;
    greedy.result().await.expect("room again");
}

/// Calls of a peer that reads nothing rest; their permits are others' too.
#[tokio::test]
async fn a_handler_that_rests_gives_its_permit_back_at_its_deadline() {
    for execution in [Execution::Inline, Execution::Spawned] {
        let permits = Arc::new(Semaphore::new(2));
        let gate = Gate::closed();
        let inner = Arc::clone(&gate);
        let server = Server::builder().execution(execution).dynamic(move |request: Request<Value>| {
            let gate = Arc::clone(&inner);
            async move {
                let answer = match request.called_as().as_str() {
                    "/large" => "x".repeat(MIB),
                    "/gate" => {
                        gate.pass().await;
                        String::new()
                    }
                    _ => String::new(),
                };
                Ok::<_, Status>(Value::from(answer))
            }
        });
        let layer = GlobalConcurrencyLimitLayer::with_semaphore(Arc::clone(&permits));
        // Longer than the test has patience for.
        let server =
            serve(server.layer(layer).call_timeout(Duration::from_secs(3)).stall_timeout(4 * PATIENCE)).await;
        let mut raw = server.raw().await;
        raw.send(&frame(&call("/gate"))).await;
        gate.until_running(1).await;
        raw.send(&frame(&call("/large")).repeat(100)).await;
        eventually("it does not take its answers", || {
            let stats = server.stats();
            stats.answers > 4 && stats.answers < 90
        })
        .await;
        gate.until_running(0).await;
        eventually("all permits are back", || permits.available_permits() > 0).await;
        assert_eq!(gate.finished.load(Ordering::SeqCst), 0, "{execution:?}: it was ended");
        assert_eq!(server.stats().closed, 0);
        server.assert_serves().await;
        // All that it asked for is answered, what was ended too.
        let mut ended = 0;
        for _ in 0..101 {
            ended +=
                usize::from(raw.result().await.is_err_and(|status| status.raw_code() == dora_code::TIMEOUT));
        }
        assert!(ended > 0, "{execution:?}");
    }
}

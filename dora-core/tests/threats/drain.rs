//! A server that is told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dora_core::call::capabilities::Capabilities;
use dora_core::call::code::Code;
use dora_core::call::dora_code;
use dora_core::call::mode::Mode;
use dora_core::call::packer::Packer;
use dora_core::call::request::Request;
use dora_core::call::status::Status;
use dora_core::pack::packet::RequestPacket;
use dora_core::pack::value::Value;
use dora_core::server::Server;
use dora_core::value;
use dora_core::wire::notice::Notice;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::over::Target;
use crate::support::{Gate, PATIENCE, call, echo, eventually, frame, frame_for, packet, serve, soon};

#[tokio::test]
async fn what_runs_is_answered_and_then_all_is_closed() {
    let gate = Gate::closed();
    let mut server = serve(gate.server()).await;
    let mut idle = server.raw().await;
    let mut raw = server.raw().await;
    raw.send(&frame(&call("/gate"))).await;
    raw.send(&frame(&packet(Mode::Deferred, "/gate"))).await;
    assert_eq!(raw.answer().await.code, dora_code::ACCEPTED);
    gate.until_running(2).await;
    server.stop();
    idle.assert_closed().await;
    if let Target::Tcp(address) = server.target {
        assert!(TcpStream::connect(address).await.is_err(), "nobody listens");
    }
    gate.open(2);
    let answers = [raw.answer().await, raw.answer().await];
    assert_eq!(answers.iter().filter(|answer| answer.is_result).count(), 1, "the later result is pushed");
    raw.assert_closed().await;
    server.ended().await;
}

#[tokio::test]
async fn an_answer_is_sent_to_the_end_to_a_slow_reader() {
    const LARGE: usize = 1 << 20;
    let server = Server::builder()
        .dynamic(|_: Request<Value>| async { Ok::<_, Status>(Value::from("x".repeat(LARGE))) })
        .max_buffered_per_connection(64 << 20);
    let mut server = serve(server).await;
    let mut raw = server.raw().await;
    raw.send(&frame(&call("/large")).repeat(20)).await;
    eventually("all is asked", || server.stats().requests == 20).await;
    server.stop();
    tokio::time::sleep(Duration::from_millis(500)).await;
    for _ in 0..20 {
        raw.result().await.expect("whole");
    }
    raw.assert_closed().await;
    server.ended().await;
}

#[tokio::test]
async fn a_peer_that_asks_on_and_on_does_not_keep_the_server() {
    let server = Server::builder().dynamic(|request: Request<Value>| async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok::<_, Status>(request.into_body())
    });
    let mut server = serve(server.drain_timeout(Duration::from_secs(3600))).await;
    let raw = server.raw().await;
    let (mut reader, mut writer) = tokio::io::split(raw.stream);
    let request = frame(&call("/a"));
    let asking = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        while writer.write_all(&request).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    let reading = tokio::spawn(async move { tokio::io::copy(&mut reader, &mut tokio::io::sink()).await });
    eventually("it is answered", || server.stats().answers > 10).await;
    server.stop();
    server.ended().await;
    drop(soon(reading).await);
    soon(asking).await.expect("no panic");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_no_accepted_call_is_lost() {
    let ended = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&ended);
    let server = Server::builder().dynamic(move |request: Request<Value>| {
        let count = Arc::clone(&count);
        async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            count.fetch_add(1, Ordering::SeqCst);
            Ok::<_, Status>(request.into_body())
        }
    });
    let mut server = serve(server).await;
    let answered = Arc::new(AtomicUsize::new(0));
    let mut callers = Vec::new();
    for _ in 0..4 {
        let channel = server.channel().await;
        for _ in 0..16 {
            let (client, answered) = (channel.dynamic(), Arc::clone(&answered));
            callers.push(tokio::spawn(async move {
                loop {
                    match client.call("/a", value!(1)).await {
                        Ok(_) => answered.fetch_add(1, Ordering::SeqCst),
                        Err(status) => return status,
                    };
                }
            }));
        }
    }
    eventually("a load runs", || answered.load(Ordering::SeqCst) > 500).await;
    server.stop();
    for caller in callers {
        let status = soon(caller).await.expect("no panic");
        assert_eq!(status.code(), Code::Unavailable, "{status}");
    }
    server.ended().await;
    assert_eq!(
        answered.load(Ordering::SeqCst),
        ended.load(Ordering::SeqCst),
        "every handler's answer arrived"
    );
}

/// As PHP's client: it knows of an end only when it sends.
#[tokio::test]
async fn a_peer_that_sends_after_the_end_hears_so_at_once() {
    let mut server = serve(Gate::closed().server()).await;
    let mut raw = server.raw().await;
    raw.assert_usable().await;
    server.stop();
    raw.assert_closed().await;
    let start = std::time::Instant::now();
    while raw.stream.write_all(&frame(&call("/echo"))).await.is_ok() {
        assert!(start.elapsed() < Duration::from_millis(300), "what it sends is swallowed");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.ended().await;
}

/// Calls that a peer without notices has in flight when the server is told to stop.
const IN_FLIGHT: usize = 64;

/// Asked all at once and answered late, it reads nothing until the server has said
/// its last word, and then sends once more. The answers are more than the system
/// takes ahead, so that a reset at that moment would cost some of them.
#[tokio::test]
async fn a_reset_costs_a_peer_with_calls_in_flight_no_answer() {
    const LARGE: usize = 8 << 10;
    let gate = Gate::closed();
    let waits = Arc::clone(&gate);
    let server = Server::builder()
        .dynamic(move |_: Request<Value>| {
            let gate = Arc::clone(&waits);
            async move {
                gate.pass().await;
                Ok::<_, Status>(Value::from("x".repeat(LARGE)))
            }
        })
        .max_buffered_per_connection(64 << 20);
    let mut server = serve(server).await;
    let mut raw = server.raw().await;
    raw.send(&frame(&call("/gate")).repeat(IN_FLIGHT)).await;
    gate.until_running(IN_FLIGHT).await;
    server.stop();
    gate.open(IN_FLIGHT);
    // All is written as far as the server can tell, and its side is closed.
    eventually("all is answered", || server.stats().closed == 1).await;
    raw.send(&frame(&call("/echo"))).await;
    // Time in which the server reads it, and would reset.
    tokio::time::sleep(Duration::from_millis(100)).await;
    for answer in 0..IN_FLIGHT {
        let value = raw.result().await.unwrap_or_else(|status| panic!("answer {answer}: {status}"));
        drop(value);
    }
    raw.assert_closed().await;
    server.ended().await;
}

/// The same of this crate's own client, which asks on while the server drains.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_with_calls_in_flight_loses_no_late_answer() {
    for packer in [Packer::Php, Packer::Protobuf] {
        let gate = Gate::closed();
        let mut server = serve(gate.server()).await;
        let endpoint = server.target.endpoint().packer(packer).timeout(PATIENCE);
        let channel = endpoint.connect().await.expect("connects");
        let calls: Vec<_> = (0..IN_FLIGHT)
            .map(|number| {
                let client = channel.dynamic();
                tokio::spawn(async move { client.call("/gate", value!(number as i64)).await })
            })
            .collect();
        gate.until_running(IN_FLIGHT).await;
        server.stop();
        let asking = tokio::spawn({
            let client = channel.dynamic();
            async move { while client.call("/echo", value!(1)).await.is_ok() {} }
        });
        // Late, one after the other.
        for _ in 0..IN_FLIGHT {
            gate.open(1);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        for (number, call) in calls.into_iter().enumerate() {
            let answer = soon(call).await.expect("no panic");
            assert_eq!(answer.expect("answered"), value!(number as i64), "{packer}");
        }
        soon(asking).await.expect("no panic");
        server.ended().await;
    }
}

/// A packet of one call by a peer that understands notices.
fn understanding(name: &str) -> RequestPacket {
    RequestPacket { can: Some(Capabilities::NOTICES), ..call(name) }
}

#[tokio::test]
async fn a_peer_that_understands_is_told_and_loses_nothing_that_is_on_its_way() {
    let gate = Gate::closed();
    let mut server = serve(gate.server()).await;
    let mut raw = server.raw().await;
    raw.send(&frame(&understanding("/echo"))).await;
    let can = raw.answer().await.can.expect("asked");
    assert!(can.contains(Capabilities::NOTICES.with(Capabilities::PROTOBUF)), "{can:?}");
    raw.send(&frame(&call("/gate"))).await;
    gate.until_running(1).await;
    server.stop();
    assert_eq!(Notice::of(&raw.frame().await.0), Some(Notice::Drain));
    // Longer than others are waited for: what was sent before it was told may be late.
    tokio::time::sleep(Duration::from_millis(300)).await;
    raw.assert_usable().await;
    gate.open(1);
    raw.result().await.expect("answered");
    raw.stream.shutdown().await.expect("half-closed: it is done");
    raw.assert_closed().await;
    server.ended().await;
}

/// One that says so only in a request that came during the drain is told then.
#[tokio::test]
async fn a_peer_is_told_as_soon_as_it_is_known_to_understand() {
    let gate = Gate::closed();
    let mut server = serve(gate.server()).await;
    let mut raw = server.raw().await;
    raw.send(&frame(&call("/gate"))).await;
    gate.until_running(1).await;
    server.stop();
    raw.send(&frame(&understanding("/echo"))).await;
    assert!(raw.answer().await.can.is_some());
    assert_eq!(Notice::of(&raw.frame().await.0), Some(Notice::Drain));
    gate.open(1);
    raw.result().await.expect("answered");
    drop(raw);
    server.ended().await;
}

#[tokio::test]
async fn a_ping_is_answered_and_a_peer_that_says_nothing_is_told_nothing() {
    let server = serve(echo()).await;
    let mut raw = server.raw().await;
    raw.send(&frame(&call("/echo"))).await;
    assert_eq!(raw.answer().await.can, None, "PHP is not to see a difference");
    raw.send(&frame_for(&Notice::Ping.guid(), None, b"")).await;
    let (guid, body) = raw.frame().await;
    assert_eq!((Notice::of(&guid), &body[..]), (Some(Notice::Pong), &b""[..]));
    raw.send(&frame_for(&Notice::Pong.guid(), None, b"")).await;
    raw.assert_usable().await;
}

#[tokio::test]
async fn stuck_calls_are_cancelled_at_the_drain_timeout() {
    let gate = Gate::closed();
    let mut server = serve(gate.server().drain_timeout(Duration::from_millis(200))).await;
    let mut raw = server.raw().await;
    for mode in [Mode::Wait, Mode::NoResult, Mode::Deferred] {
        raw.send(&frame(&packet(mode, "/gate"))).await;
    }
    gate.until_running(3).await;
    server.stop();
    server.ended().await;
    gate.until_running(0).await;
    assert_eq!(gate.finished.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_background_call_of_a_client_that_is_gone_is_waited_for() {
    let gate = Gate::closed();
    let mut server = serve(gate.server().drain_timeout(PATIENCE)).await;
    let mut raw = server.raw().await;
    raw.send(&frame(&packet(Mode::NoResult, "/gate"))).await;
    gate.until_running(1).await;
    raw.reset();
    eventually("closed", || server.stats().closed == 1).await;
    server.stop();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(gate.running.load(Ordering::SeqCst), 1, "it runs on");
    gate.open(1);
    server.ended().await;
    assert_eq!(gate.finished.load(Ordering::SeqCst), 1);
}

//! Handlers that panic, and handlers that never end.

use std::sync::Arc;
use std::time::Duration;

use dora_core::call::code::Code;
use dora_core::call::dora_code;
use dora_core::call::mode::Mode;
use dora_core::call::request::Request;
use dora_core::call::status::Status;
use dora_core::pack::envelope::Shape;
use dora_core::pack::packet::{Calls, ResponseData};
use dora_core::pack::value::Value;
use dora_core::server::Server;
use dora_core::transport::server::control::Control;

use crate::support::{Gate, call, eventually, frame, multi, open_answer, packet, serve, soon};

fn panicking() -> Server {
    Server::builder().dynamic(|request: Request<Value>| {
        assert_ne!(request.method().as_str(), "/panic-early", "before the future");
        async move {
            match request.method().as_str() {
                "/panic" => panic!("at the first poll"),
                "/panic-late" => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    panic!("while parked, with a secret");
                }
                _ => Ok::<_, Status>(request.into_body()),
            }
        }
    })
}

fn assert_internal(status: &Status) {
    assert_eq!(status.raw_code(), dora_code::from_code(Code::Internal));
    assert_eq!(status.message(), "the handler panicked", "the panic's text is not the caller's");
}

#[tokio::test]
async fn a_panic_is_one_error_answer() {
    let server = serve(panicking()).await;
    let mut raw = server.raw().await;
    for name in ["/panic", "/panic-late", "/panic-early"] {
        raw.send(&frame(&call(name))).await;
        assert_internal(&raw.result().await.expect_err("panicked"));
        raw.assert_usable().await;
    }
    assert_eq!(server.stats().running, 0);
}

#[tokio::test]
async fn a_panic_in_one_call_of_several_leaves_the_others() {
    let server = serve(panicking()).await;
    let mut raw = server.raw().await;
    let mut packet = multi(Mode::Wait, "/echo", 3);
    if let Calls::Many(calls) = &mut packet.calls {
        calls[1].1.name = "/panic-late".into();
    }
    raw.send(&frame(&packet)).await;
    let (_, body) = raw.frame().await;
    let ResponseData::Many(results) = open_answer(&body, Shape::Many).data else { panic!("results") };
    assert_eq!(results.len(), 3);
    for (key, result) in results {
        match result {
            Err(status) => assert!(
                key == 1.into() && {
                    assert_internal(&status);
                    true
                }
            ),
            Ok(_) => assert_ne!(key, 1.into()),
        }
    }
    raw.assert_usable().await;
}

#[tokio::test]
async fn a_panic_in_an_async_mode_is_its_result() {
    let server = serve(panicking()).await;
    let mut raw = server.raw().await;
    for name in ["/panic", "/panic-late", "/panic-early"] {
        raw.send(&frame(&packet(Mode::Deferred, name))).await;
        assert_eq!(raw.answer().await.code, dora_code::ACCEPTED);
        let answer = raw.answer().await;
        assert!(answer.is_result);
        let ResponseData::One(Err(status)) = answer.data else { panic!("an error") };
        assert_internal(&status);
        raw.send(&frame(&packet(Mode::NoResult, name))).await;
        assert_eq!(raw.answer().await.code, dora_code::ACCEPTED);
        raw.assert_usable().await;
    }
    eventually("nothing counts", || server.stats().running == 0).await;
}

#[tokio::test]
async fn a_handler_that_never_ends_is_ended_and_its_place_freed() {
    let gate = Gate::closed();
    let server = gate.server().max_calls_per_connection(1).call_timeout(Duration::from_millis(200));
    let server = serve(server).await;
    let mut raw = server.raw().await;
    for mode in [Mode::Wait, Mode::Deferred] {
        raw.send(&frame(&packet(mode, "/gate"))).await;
        if mode == Mode::Deferred {
            assert_eq!(raw.answer().await.code, dora_code::ACCEPTED);
        }
        let ResponseData::One(Err(status)) = raw.answer().await.data else { panic!("an error") };
        assert_eq!(status.raw_code(), dora_code::TIMEOUT);
        gate.until_running(0).await;
        raw.assert_usable().await;
    }
    eventually("nothing counts", || server.stats().running == 0).await;
    assert_eq!(Arc::strong_count(&gate), 2, "no call holds the handler's state any more");
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("dropped")
    }
}

/// What a handler leaves behind when it is ended may panic too.
#[tokio::test]
async fn a_panic_in_what_a_deadline_drops_ends_that_call_alone() {
    let gate = Gate::closed();
    let inner = Arc::clone(&gate);
    let server = Server::builder().dynamic(move |request: Request<Value>| {
        let gate = Arc::clone(&inner);
        async move {
            let _bomb = (request.method().as_str() == "/bomb").then(|| Bomb);
            gate.pass().await;
            Ok::<_, Status>(request.into_body())
        }
    });
    let server = serve(server).await;
    let mut raw = server.raw().await;
    let mut hasty = call("/bomb");
    hasty.timeout = Some(Duration::from_millis(50));
    raw.send(&frame(&call("/neighbour"))).await;
    raw.send(&frame(&hasty)).await;
    assert_eq!(raw.result().await.expect_err("late").raw_code(), dora_code::TIMEOUT);
    gate.open(1);
    raw.result().await.expect("its neighbour is answered");
    // Nor does it harm who drops it with its connection.
    raw.send(&frame(&call("/bomb"))).await;
    gate.until_running(1).await;
    raw.reset();
    eventually("nothing counts", || server.stats().running == 0).await;
    eventually("it is closed", || server.stats().closed == 1).await;
}

/// It is run where the connection is driven.
#[tokio::test]
async fn a_reload_that_panics_ends_no_call_and_no_connection() {
    let gate = Gate::closed();
    let control = Control::with_reload(|| panic!("the reload is broken"));
    let server = serve(gate.server().control(control)).await;
    let channel = server.channel().await;
    let neighbour = channel.dynamic().call("/gate", 7).spawn();
    gate.until_running(1).await;
    for _ in 0..2 {
        soon(channel.control("reloadTask")).await.expect("answered all the same");
    }
    gate.open(1);
    assert_eq!(soon(neighbour).await.expect("no panic").expect("answered"), Value::from(7));
    assert_eq!((channel.stats().connected, channel.stats().lost), (1, 0));
}

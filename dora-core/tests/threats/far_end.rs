//! What a client does when the far end is slow, strange or about to leave,
//! by a clock that is turned by hand.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use dora_core::call::code::Code;
use dora_core::call::packer::Packer;
use dora_core::call::status::Status;
use dora_core::generation::Generation;
use dora_core::guid::Guid;
use dora_core::pack::envelope::encode_response;
use dora_core::pack::packet::{Calls, ResponseData, ResponsePacket};
use dora_core::pack::value::Value;
use dora_core::stub::call::Call;
use dora_core::transport::client::endpoint::Endpoint;
use dora_core::value;
use dora_core::wire::checksum::Salt;
use dora_core::wire::encoder::Encoder;
use dora_core::wire::notice::Notice;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use crate::far::{DORA, MAX, SECOND, call, channel, channel_in_real_time, next};
use crate::wire::Wire;

#[tokio::test(start_paused = true)]
async fn packing_follows_what_each_connections_server_can() {
    let (channel, mut far_ends) = channel(|endpoint| endpoint);
    let first = call(&channel);
    let mut far = next(&mut far_ends).await;
    let request = far.request().await;
    assert_eq!(request.packer, Some(Packer::Php), "whatever the server is, it understands this");
    assert!(request.packet.as_ref().is_some_and(|packet| packet.can.is_some()));
    far.answer(&request, Some(DORA)).await;
    first.await.expect("no panic").expect("answered");

    let typed = Call::<_, (), ()>::named(channel.clone(), "/far/away", ());
    let typed = tokio::spawn(async move { typed.await });
    let request = far.request().await;
    assert_eq!(request.packer, Some(Packer::Protobuf));
    assert!(request.packet.as_ref().is_some_and(|packet| packet.can.is_none()), "it was heard");
    typed.abort();
    let dynamic = call(&channel);
    let request = far.request().await;
    assert_eq!(request.packer, Some(Packer::Php), "a value without a schema means the same there alone");
    far.answer(&request, None).await;
    dynamic.await.expect("no panic").expect("answered");

    // Another server at the same address, and it is PHP's.
    drop(far);
    sleep(SECOND).await;
    for _ in 0..3 {
        let call = call(&channel);
        let mut far = next(&mut far_ends).await;
        let request = far.request().await;
        assert_eq!(request.packer, Some(Packer::Php));
        far.answer(&request, None).await;
        call.await.expect("no panic").expect("answered");
        drop(far);
        sleep(SECOND).await;
    }
}

/// Whoever may make a call again must know that it cannot have run.
#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_a_connection_until_its_deadline_was_never_sent() {
    let (near_ends, mut connected) = mpsc::unbounded_channel();
    let open = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let gate = std::sync::Arc::clone(&open);
    let endpoint = Endpoint::new("far:1").expect("host:port").connect_timeout(60 * SECOND);
    let endpoint = endpoint.connect_with(move |_| {
        let (near, stream) = tokio::io::duplex(1 << 16);
        let (sent, gate) = (near_ends.send(Wire::Other(Box::new(stream))), std::sync::Arc::clone(&gate));
        async move {
            gate.acquire().await.expect("never closed").forget();
            sent.map(|()| near).map_err(|_| std::io::ErrorKind::ConnectionRefused.into())
        }
    });
    let channel = endpoint.connect_lazy().expect("settings");
    let start = Instant::now();
    let brief = channel.dynamic().call("/brief", value!(1)).timeout(SECOND);
    let status = brief.await.expect_err("there is no connection");
    assert_eq!((status.code(), status.is_unsent()), (Code::DeadlineExceeded, true), "{status}");
    assert!(status.message().contains("before a connection stood"), "{status}");
    assert!(start.elapsed() < 2 * SECOND);
    let patient = channel.dynamic().call("/patient", value!(1)).timeout(50 * SECOND).spawn();
    open.add_permits(1);
    let mut far = next(&mut connected).await;
    let request = far.request().await;
    let Calls::One(call) = &request.packet.as_ref().expect("a request").calls else { panic!("one call") };
    assert_eq!(call.name.as_str(), "/patient", "what was called unsent is never sent");
    far.answer(&request, None).await;
    patient.await.expect("no panic").expect("answered");
}

#[tokio::test(start_paused = true)]
async fn a_draining_server_gets_no_more_calls_and_answers_those_it_has() {
    let (channel, mut far_ends) = channel(|endpoint| endpoint);
    let first = call(&channel);
    let mut old = next(&mut far_ends).await;
    let request = old.request().await;
    old.answer(&request, Some(DORA)).await;
    first.await.expect("no panic").expect("answered");

    let long = call(&channel);
    let request = old.request().await;
    old.send(&Notice::Drain.guid(), b"").await;
    sleep(SECOND).await;
    let later = call(&channel);
    let mut new = next(&mut far_ends).await;
    let other = new.request().await;
    assert_eq!(other.packer, Some(Packer::Php), "nothing is known of the next server");
    new.answer(&other, None).await;
    later.await.expect("no panic").expect("answered by the next server");
    old.answer(&request, None).await;
    long.await.expect("no panic").expect("answered by the old one");
    // It was asked meanwhile whether it is there, and is asked nothing else.
    while let Some(came) = old.frame().await {
        assert_eq!(came.guid, Notice::Ping.guid(), "that connection ends with its last call");
    }
}

/// Its caller may be another thread's, and quick.
#[tokio::test(start_paused = true)]
async fn who_calls_again_as_soon_as_it_hears_of_a_drain_calls_on_the_next_connection() {
    type Again = Pin<Box<dyn Future<Output = Result<Value, Status>> + Send>>;
    struct CallsAgain(Mutex<Again>);
    impl Wake for CallsAgain {
        fn wake(self: Arc<Self>) {
            let pending =
                self.0.lock().expect("no panic").as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(pending.is_pending());
        }
    }

    let (channel, mut far_ends) = channel(|endpoint| endpoint);
    let first = call(&channel);
    let mut old = next(&mut far_ends).await;
    let request = old.request().await;
    old.answer(&request, Some(DORA)).await;
    first.await.expect("no panic").expect("answered");

    let again = channel.dynamic().call("/far/again", value!(1)).into_future();
    let waker = Waker::from(Arc::new(CallsAgain(Mutex::new(Box::pin(again)))));
    let mut refused = Box::pin(channel.dynamic().call("/far/away", value!(1)).into_future());
    assert!(refused.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let request = old.request().await;
    // As a server does that refuses a frame over its limit: both come in one read.
    old.send(&Notice::Drain.guid(), b"").await;
    old.answer(&request, None).await;
    let mut new =
        timeout(SECOND, next(&mut far_ends)).await.expect("the other call is not made on the old one");
    let request = new.request().await;
    let Calls::One(call) = &request.packet.as_ref().expect("a request").calls else { panic!("one call") };
    assert_eq!(call.name.as_str(), "/far/again");
    refused.await.expect("it was answered");
}

#[tokio::test(start_paused = true)]
async fn ends_that_are_not_set_alike_are_told_so_at_once() {
    let signed = Some(Salt::default());
    let cases: [(&str, &[u8], &str); 3] = [
        ("http", b"HTTP/1.1 400 Bad Request\r\n\r\n", "this is an HTTP server"),
        ("tls", &[21, 3, 1, 0, 2, 2, 70], "this is a TLS server"),
        ("grpc", b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0", "gRPC"),
    ];
    for (name, bytes, said) in cases {
        let (channel, mut far_ends) = channel(|endpoint| endpoint);
        let call = call(&channel);
        let mut far = next(&mut far_ends).await;
        // What is closed unread is reset, which is heard before the last word.
        assert_ne!(far.stream.read(&mut [0; 1024]).await.expect("stands"), 0);
        far.stream.write_all(bytes).await.expect("stands");
        drop(far);
        let start = Instant::now();
        let status = call.await.expect("no panic").expect_err(name);
        assert!(status.message().contains(said), "{name}: {status}");
        assert!(start.elapsed() < SECOND, "{name}: at once, not at the deadline");
    }
    // Each answers as the real servers do, to what they could make of the frame.
    for (ours, theirs, said) in [(None, signed.clone(), "signs its frames"), (signed, None, "does not sign")]
    {
        let (channel, mut far_ends) =
            channel(|endpoint| if ours.is_some() { endpoint.signed() } else { endpoint });
        let call = call(&channel);
        let mut far = next(&mut far_ends).await;
        far.salt = theirs;
        let packet = ResponsePacket {
            guid: None,
            code: 100_005,
            message: "Signed check error!".into(),
            is_result: false,
            data: ResponseData::Empty,
            can: None,
        };
        let mut body = Vec::new();
        encode_response(Packer::Php, &packet, &mut body);
        far.send(&Guid::random(), &body).await;
        let start = Instant::now();
        let status = call.await.expect("no panic").expect_err("not set alike");
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert!(status.message().contains(said), "{status}");
        assert!(start.elapsed() < SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_accepts_and_closes_is_backed_off_from() {
    let (channel, mut far_ends) = channel(|endpoint| endpoint);
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let channel = channel.clone();
            tokio::spawn(async move {
                let start = Instant::now();
                while start.elapsed() < 3 * SECOND {
                    let _ = channel.dynamic().call("/far/away", value!(1)).await;
                    tokio::task::yield_now().await;
                    sleep(Duration::from_micros(100)).await;
                }
            })
        })
        .collect();
    let mut connections = 0;
    let end = Instant::now() + 3 * SECOND;
    while let Ok(Some(far)) = tokio::time::timeout_at(end, far_ends.recv()).await {
        drop(far);
        connections += 1;
    }
    for caller in callers {
        caller.await.expect("no panic");
    }
    assert!((2..60).contains(&connections), "{connections} connections in 3 s");
}

/// While the stream takes nothing, requests wait; those whose caller has gone
/// are not sent when it takes bytes again, and the others say what is left.
#[tokio::test(start_paused = true)]
async fn requests_that_expired_while_they_waited_never_leave() {
    let (channel, mut far_ends) = channel(Endpoint::php);
    let first = call(&channel);
    let mut far = next(&mut far_ends).await;
    let request = far.request().await;
    far.answer(&request, None).await;
    first.await.expect("no panic").expect("answered");

    // More than the system takes for a peer that does not read.
    let large = Value::from("x".repeat(16 << 20));
    let blocker = channel.dynamic().call("/large", large);
    let blocker = tokio::spawn(async move { blocker.await });
    sleep(SECOND).await;
    let brief: Vec<_> = (0..200)
        .map(|_| {
            let call = channel.dynamic().call("/brief", value!(1)).timeout(SECOND);
            tokio::spawn(async move { call.await })
        })
        .collect();
    let patient = channel.dynamic().call("/patient", value!(1)).timeout(50 * SECOND);
    let patient = tokio::spawn(async move { patient.await });
    for brief in brief {
        assert!(brief.await.expect("no panic").is_err(), "nobody reads");
    }
    sleep(2 * SECOND).await;

    let large = far.request().await;
    far.answer(&large, None).await;
    let request = loop {
        let came = far.request().await;
        let Calls::One(call) = &came.packet.as_ref().expect("a request").calls else { panic!("one call") };
        match call.name.as_str() {
            "/patient" => break came,
            name => assert_eq!(name, "getStat", "expired requests do not leave"),
        }
    };
    let left = request.packet.as_ref().and_then(|packet| packet.timeout).expect("its caller waits");
    assert!(left < 48 * SECOND && left > 40 * SECOND, "{left:?} is left, not the 50 s of before");
    far.answer(&request, None).await;
    patient.await.expect("no panic").expect("answered");
    blocker.await.expect("no panic").expect("answered");
}

#[tokio::test]
async fn a_server_that_never_stops_sending_holds_up_no_deadline() {
    let (channel, mut far_ends) = channel_in_real_time(Endpoint::php);
    let call = channel.dynamic().call("/far/away", value!(1)).timeout(Duration::from_millis(200));
    let start = std::time::Instant::now();
    let call = tokio::spawn(async move { call.await });
    let mut far = next(&mut far_ends).await;
    far.request().await;
    let flood = tokio::spawn(async move {
        let mut out = Vec::new();
        let encoder = Encoder::new(MAX, None);
        for _ in 0..500 {
            let frame = encoder.begin(Generation::Guid, &Guid::random(), &mut out);
            out.extend_from_slice(b"a:1:{s:4:\"code\";i:0;}");
            encoder.finish(&frame, &mut out).expect("small");
        }
        while far.stream.write_all(&out).await.is_ok() {}
    });
    let status =
        timeout(10 * SECOND, call).await.expect("in time").expect("no panic").expect_err("no answer");
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    assert!(start.elapsed() < 5 * SECOND, "{:?}", start.elapsed());
    flood.abort();
}

/// The one whose channel runs elsewhere keeps its deadline although that runtime
/// stands still.
#[test]
fn deadlines_hold_where_the_connections_own_runtime_is_blocked() {
    let home = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (channel, _far_ends) = home.block_on(async { channel_in_real_time(Endpoint::php) });
    // Nobody drives `home` from here on.
    let abroad = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let start = std::time::Instant::now();
    let status = abroad.block_on(async {
        let call = channel.dynamic().call("/far/away", value!(1)).timeout(Duration::from_millis(200));
        timeout(20 * SECOND, call.into_future())
            .await
            .expect("its own deadline ends it")
            .expect_err("no answer")
    });
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    assert!(start.elapsed() < 10 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_without_reading_does_not_pile_up_answers() {
    const PINGS: usize = 20_000;
    let (channel, mut far_ends) = channel(|endpoint| endpoint);
    let first = call(&channel);
    let mut far = next(&mut far_ends).await;
    let request = far.request().await;
    far.answer(&request, Some(DORA)).await;
    first.await.expect("no panic").expect("answered");

    let (encoder, mut ping) = (Encoder::new(MAX, None), Vec::new());
    let frame = encoder.begin(Generation::Guid, &Notice::Ping.guid(), &mut ping);
    encoder.finish(&frame, &mut ping).expect("small");
    far.stream.write_all(&ping.repeat(PINGS)).await.expect("read");

    let came = far.frame().await.expect("the connection stands");
    assert_eq!(Notice::of(&came.guid), Some(Notice::Pong));
    let second = call(&channel);
    let mut answers = 1;
    let request = loop {
        let came = far.frame().await.expect("the connection stands");
        match Notice::of(&came.guid) {
            Some(notice) => {
                assert_eq!(notice, Notice::Pong);
                answers += 1;
            }
            None => break came,
        }
    };
    assert!(answers < PINGS / 10, "{answers} answers to {PINGS} questions");
    far.answer(&request, None).await;
    second.await.expect("no panic").expect("answered");
}

#[tokio::test(start_paused = true)]
async fn a_connector_that_panics_costs_an_attempt_and_not_the_channel() {
    for in_its_future in [false, true] {
        let (near_ends, mut far_ends) = mpsc::unbounded_channel();
        let first = AtomicBool::new(true);
        let endpoint = Endpoint::new("far:1").expect("host:port").connect_with(move |_| {
            let panics = first.swap(false, Ordering::SeqCst);
            assert!(!panics || in_its_future, "a panic on purpose");
            let near_ends = near_ends.clone();
            async move {
                assert!(!panics, "a panic on purpose");
                let (near, stream) = tokio::io::duplex(1 << 16);
                let sent = near_ends.send(Wire::Other(Box::new(stream)));
                sent.map(|()| near).map_err(|_| std::io::ErrorKind::ConnectionRefused.into())
            }
        });
        let channel = endpoint.connect_lazy().expect("settings");
        let error = call(&channel).await.expect("no panic").expect_err("no connection");
        assert!(error.is_unsent() && error.message().contains("the connector panicked"), "{error}");

        sleep(SECOND).await;
        let again = call(&channel);
        let mut far = timeout(60 * SECOND, next(&mut far_ends)).await.expect("it tries again");
        let request = far.request().await;
        far.answer(&request, Some(DORA)).await;
        again.await.expect("no panic").expect("answered");
    }
}

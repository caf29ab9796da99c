//! Deadlines over the wire.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dora_core::call::code::Code;
use dora_core::call::dora_code;
use dora_core::call::request::Request;
use dora_core::call::status::Status;
use dora_core::pack::value::Value;
use dora_core::server::Server;
use dora_core::transport::client::endpoint::Endpoint;
use dora_core::value;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::support::{Gate, PATIENCE, call, frame, serve, soon};

/// A server that answers with the milliseconds its caller still waits.
fn remaining() -> Server {
    Server::builder().dynamic(|request: Request<Value>| async move {
        let left = request.deadline().expect("every call has one").remaining(Instant::now());
        Ok::<_, Status>(Value::from(i64::try_from(left.as_millis()).expect("small")))
    })
}

#[tokio::test]
async fn what_remains_is_passed_on() {
    let server = serve(remaining()).await;
    let default = server.target.endpoint().php();
    let slow = default.clone().timeout(Duration::from_secs(20)).connect().await.expect("connects");
    let default = default.connect().await.expect("connects");
    let left = |value: Result<Value, Status>| value.expect("answered").as_int().expect("an int");
    let first = left(soon(default.dynamic().call("/a", value!(null)).into_future()).await);
    assert!(first <= 3000 && first > 0, "3 s by default: {first}");
    let second = left(soon(slow.dynamic().call("/a", value!(null)).into_future()).await);
    assert!(second <= 20_000 && second > 3000, "the channel's: {second}");
    let own = slow.dynamic().call("/a", value!(null)).timeout(Duration::from_secs(40));
    let third = left(soon(own.into_future()).await);
    assert!(third <= 40_000 && third > 20_000, "the call's: {third}");
    let long = slow.dynamic().call("/a", value!(null)).timeout(Duration::from_secs(4000));
    let fourth = left(soon(long.into_future()).await);
    assert!(fourth <= 60_000 && fourth > 40_000, "never over the server's own: {fourth}");
}

#[tokio::test]
async fn a_call_without_an_answer_ends_at_its_deadline() {
    let gate = Gate::closed();
    let server = serve(gate.server()).await;
    let channel = server.endpoint().timeout(Duration::from_millis(150)).connect().await.expect("connects");
    let status = soon(channel.dynamic().call("/gate", value!(null)).into_future()).await.expect_err("late");
    assert_eq!((status.code(), status.raw_code()), (Code::DeadlineExceeded, dora_code::TIMEOUT));
    assert!(!status.is_unsent());
    // The server gives it up of itself.
    gate.until_running(0).await;
}

#[tokio::test]
async fn the_servers_own_limit_ends_a_call_of_a_patient_caller() {
    let gate = Gate::closed();
    let server = serve(gate.server().call_timeout(Duration::from_millis(100))).await;
    let channel = server.channel().await;
    let status = soon(channel.dynamic().call("/gate", value!(null)).into_future()).await.expect_err("ended");
    assert_eq!(status.code(), Code::DeadlineExceeded);
    gate.until_running(0).await;
}

#[tokio::test]
async fn work_that_expired_while_it_waited_never_starts() {
    let gate = Gate::closed();
    let server = serve(gate.server().max_calls_per_connection(1)).await;
    let mut raw = server.raw().await;
    let mut hasty = call("/gate");
    hasty.timeout = Some(Duration::from_millis(50));
    let mut bytes = frame(&call("/gate"));
    bytes.extend_from_slice(&frame(&hasty));
    raw.send(&bytes).await;
    gate.until_running(1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    gate.open(10);
    raw.result().await.expect("the first");
    let status = raw.result().await.expect_err("the second");
    assert_eq!(status.raw_code(), dora_code::TIMEOUT);
    assert_eq!(gate.started.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_call_that_could_not_be_sent_is_not_sent_later() {
    let names: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&names);
    let server = Server::builder().dynamic(move |request: Request<Value>| {
        seen.lock().push(request.method().to_string());
        async move { Ok::<_, Status>(request.into_body()) }
    });
    // The server comes up after the first call has failed.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let endpoint = Endpoint::new(address.to_string()).expect("host:port").php().timeout(PATIENCE);
    let channel = endpoint.connect_lazy().expect("settings");
    let status =
        soon(channel.dynamic().call("/early", value!(null)).into_future()).await.expect_err("nobody");
    assert!(status.is_unsent(), "{status}");
    let listener = TcpListener::bind(address).await.expect("the same port");
    tokio::spawn(server.serve_with_listener(listener, std::future::pending()));
    loop {
        let call = channel.dynamic().call("/later", value!(null));
        match soon(call.into_future()).await {
            Ok(_) => break,
            Err(status) => assert!(status.is_unsent(), "{status}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(*names.lock(), ["/later"]);
}

#[tokio::test]
async fn a_deadline_that_has_passed_is_not_sent() {
    let server = serve(remaining()).await;
    let channel = server.channel().await;
    let call = channel.dynamic().call("/a", value!(null)).timeout(Duration::ZERO);
    let status = soon(call.into_future()).await.expect_err("expired");
    assert!(status.is_unsent());
    assert_eq!((status.code(), server.stats().requests), (Code::DeadlineExceeded, 0));
}

//! Servers that are gone, and servers that are silent.

use std::time::Duration;

use dora_core::call::code::Code;
use dora_core::call::dora_code;
use dora_core::call::status::{Origin, Status};
use dora_core::pack::value::Value;
use dora_core::transport::client::channel::Channel;
use dora_core::transport::client::endpoint::Endpoint;
use dora_core::value;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::support::{PATIENCE, echo, serve, soon};

fn endpoint(address: impl ToString) -> Endpoint {
    Endpoint::new(address.to_string()).expect("host:port").php().timeout(PATIENCE)
}

async fn ask(channel: &Channel) -> Result<Value, Status> {
    soon(channel.dynamic().call("/echo", value!(1)).into_future()).await
}

#[tokio::test]
async fn a_refused_connection_is_unavailable_and_names_the_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    drop(listener);
    let channel = endpoint(&address).connect_lazy().expect("settings");
    let status = ask(&channel).await.expect_err("nobody listens");
    assert_eq!((status.code(), status.raw_code()), (Code::Unavailable, dora_code::NO_SERVER));
    assert_eq!((status.origin(), status.peer()), (Origin::Connection, Some(&*address)));
    assert!(status.is_unsent() && status.to_string().contains(&address), "{status}");
    let cause = std::error::Error::source(&status).and_then(|cause| cause.downcast_ref::<std::io::Error>());
    assert_eq!(cause.map(std::io::Error::kind), Some(std::io::ErrorKind::ConnectionRefused));
    assert_eq!(soon(endpoint(&address).connect()).await.expect_err("nobody").code(), Code::Unavailable);
}

/// A listener whose queue is full answers no handshake.
#[tokio::test]
async fn a_black_hole_ends_the_attempt_to_connect() {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let listener = socket.listen(1).expect("listens");
    let address = listener.local_addr().expect("bound");
    let mut filling = Vec::new();
    while let Ok(stream) = tokio::time::timeout(Duration::from_secs(1), TcpStream::connect(address)).await {
        filling.push(stream.expect("in the queue"));
    }
    let channel =
        endpoint(address).connect_timeout(Duration::from_millis(200)).connect_lazy().expect("settings");
    let status = ask(&channel).await.expect_err("no handshake");
    assert_eq!(status.raw_code(), dora_code::NO_SERVER, "{status}");
    assert!(status.is_unsent() && status.message().contains("200ms"), "{status}");
    // A call that is in a greater hurry than the handshake ends by itself.
    let channel = endpoint(address).connect_timeout(PATIENCE * 2).connect_lazy().expect("settings");
    let call = channel.dynamic().call("/echo", value!(1)).timeout(Duration::from_millis(100));
    assert_eq!(soon(call.into_future()).await.expect_err("late").code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn a_silent_server_is_a_deadline_exceeded() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let channel = endpoint(address).timeout(Duration::from_millis(200)).connect_lazy().expect("settings");
    let status = ask(&channel).await.expect_err("silence");
    assert_eq!((status.code(), status.raw_code()), (Code::DeadlineExceeded, dora_code::TIMEOUT));
    assert_eq!(status.peer(), Some(&*address.to_string()));
}

#[tokio::test]
async fn a_connection_lost_in_mid_call_is_unavailable_and_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let channel = endpoint(listener.local_addr().expect("bound")).connect_lazy().expect("settings");
    for reset in [false, true] {
        let client = channel.dynamic();
        let call = tokio::spawn(client.call("/echo", value!(1)).into_future());
        let (mut stream, _) = soon(listener.accept()).await.expect("accepted");
        let mut some = [0; 40];
        soon(stream.read_exact(&mut some)).await.expect("a request");
        if reset {
            stream.set_zero_linger().expect("a socket");
        }
        drop(stream);
        let status = soon(call).await.expect("no panic").expect_err("lost");
        assert_eq!((status.code(), status.origin()), (Code::Unavailable, Origin::Connection), "{status}");
        assert!(!status.is_unsent(), "it may have run");
    }
}

/// What a server that does not read has not even been sent is told apart.
#[tokio::test]
async fn calls_that_never_left_are_flagged() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let channel = endpoint(listener.local_addr().expect("bound")).connect().await.expect("connects");
    let (stream, _) = soon(listener.accept()).await.expect("accepted");
    let large = Value::from("x".repeat(1 << 20));
    let calls: Vec<_> = (0..40)
        .map(|_| tokio::spawn(channel.dynamic().call("/large", large.clone()).into_future()))
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(stream);
    let mut unsent = 0;
    for call in calls {
        let status = soon(call).await.expect("no panic").expect_err("lost");
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        unsent += usize::from(status.is_unsent());
    }
    assert!((1..40).contains(&unsent), "{unsent} of 40 were never sent");
}

#[tokio::test]
async fn a_restarted_server_is_found_again() {
    let mut server = serve(echo()).await;
    let address = server.address();
    let channel = endpoint(address).connect().await.expect("connects");
    ask(&channel).await.expect("answered");
    server.stop();
    server.ended().await;
    let status = loop {
        if let Err(status) = ask(&channel).await {
            break status;
        }
    };
    assert_eq!(status.code(), Code::Unavailable);
    let listener = TcpListener::bind(address).await.expect("the same port");
    tokio::spawn(echo().serve_with_listener(listener, std::future::pending()));
    while let Err(status) = ask(&channel).await {
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The client lets go of an idle connection, and never of one that somebody
/// begins to use at that moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letting_go_when_idle_costs_no_call() {
    let server = serve(echo()).await;
    let channel = server.endpoint().idle_timeout(Duration::from_millis(5)).connect().await.expect("connects");
    for round in 0..200u64 {
        ask(&channel).await.expect("answered");
        tokio::time::sleep(Duration::from_micros(4500 + 10 * (round % 100))).await;
    }
    assert!(server.stats().accepted > 1, "connections were let go");
}

/// A channel's connection is worked by a task of the runtime that made it.
#[test]
fn a_channel_whose_runtime_is_gone_says_so() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (server, client) = (runtime(), runtime());
    let (address, _listener) = server.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        (listener.local_addr().expect("bound"), listener)
    });
    let channel = client.block_on(async { endpoint(address).connect().await.expect("it listens") });
    drop(client);
    let status = runtime().block_on(ask(&channel)).expect_err("nobody sends it");
    assert_eq!((status.code(), status.is_unsent()), (Code::Unavailable, true), "{status}");
}

#[tokio::test]
async fn waits_without_end_are_possible_settings() {
    let server = serve(echo().idle_timeout(Duration::MAX).frame_timeout(Duration::MAX)).await;
    let channel = server.endpoint().idle_timeout(Duration::MAX).connect().await.expect("connects");
    ask(&channel).await.expect("an answer");
    tokio::time::sleep(Duration::from_millis(50)).await;
    ask(&channel).await.expect("another one");
    assert_eq!(server.stats().accepted, 1, "on the same connection");
}

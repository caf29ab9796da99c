//! The messages that a newcomer meets say what to do.

use std::future::pending;
use std::time::Duration;

use dora::{Channel, Code, Endpoint, Server, Status, Value, value};
use tokio::net::TcpListener;

/// An untyped server that echoes what it is given.
fn echo() -> Server {
    Server::builder()
        .dynamic(|request: dora::Request<Value>| async move { Ok::<Value, Status>(request.into_body()) })
}

async fn connect(server: Server, endpoint: impl FnOnce(Endpoint) -> Endpoint) -> Channel {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(server.serve_with_listener(listener, pending()));
    let channel = endpoint(Endpoint::new(address).expect("an address").php()).connect().await;
    channel.expect("it listens")
}

fn assert_says(status: &Status, parts: &[&str]) {
    for part in parts {
        assert!(status.message().contains(part), "{part:?} is missing in: {status}");
    }
    // Phrases of PHP's code, which only PHP reads.
    for phrase in ["there is no server can connect", "the recive wrong or timeout"] {
        assert!(!status.message().contains(phrase), "{status}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_run_is_missed_by_name() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    drop(listener);
    let endpoint = Endpoint::new(address.as_str()).expect("an address");
    let status = endpoint.connect().await.expect_err("nobody listens");
    assert_eq!(status.code(), Code::Unavailable);
    assert_says(&status, &["nothing listens at", &address, "is the server running"]);
}

#[cfg(unix)]
#[tokio::test]
async fn a_socket_that_is_not_there_is_missed_by_name() {
    let endpoint = Endpoint::new("unix:/nonexistent/dora.sock").expect("an address");
    let status = endpoint.connect().await.expect_err("nobody listens");
    assert_says(&status, &["nothing listens at unix:/nonexistent/dora.sock", "is the server running"]);
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let error = echo().serve(address.as_str()).await.expect_err("it is taken").to_string();
    assert!(error.contains(&address) && error.contains("another program"), "{error}");
}

#[tokio::test]
async fn a_packet_that_is_too_large_names_the_setting() {
    let long = || Value::from("x".repeat(5000));
    let channel = connect(echo(), |endpoint| endpoint.max_packet(1000)).await;
    let status = channel.dynamic().call("/echo", long()).await.expect_err("too large to send");
    assert_says(&status, &["over this client's limit of 1000", "`Endpoint::max_packet`"]);
    assert!(status.is_unsent());

    let server = Server::builder()
        .max_packet(1000)
        .dynamic(|_: dora::Request<Value>| async { Ok::<Value, Status>("x".repeat(5000).into()) });
    let channel = connect(server, |endpoint| endpoint).await;
    let status = channel.dynamic().call("/big", value!(null)).await.expect_err("too large to answer");
    assert_says(&status, &["over this server's limit of 1000", "`Server::max_packet`"]);
}

#[tokio::test]
async fn a_call_without_an_answer_is_said_plainly() {
    let server = Server::builder().dynamic(|_: dora::Request<Value>| async {
        tokio::time::sleep(Duration::from_secs(60)).await;
        Ok::<Value, Status>(Value::Null)
    });
    let channel = connect(server, |endpoint| endpoint).await;
    let call = channel.dynamic().call("/slow", value!(null)).timeout(Duration::from_millis(50));
    let status = call.await.expect_err("no answer");
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_says(&status, &["deadline"]);
}

//! What a client says of its connections.

use std::net::SocketAddr;
use std::time::Instant;

use dora_core::call::request::Request;
use dora_core::call::status::Status;
use dora_core::pack::value::Value;
use dora_core::server::Server;
use dora_core::transport::client::endpoint::Endpoint;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tracing::Level;
use tracing::level_filters::LevelFilter;

use crate::capture::{Note, capture};

fn echo() -> Server {
    Server::builder().dynamic(|request: Request<Value>| async { Ok::<_, Status>(request.into_body()) })
}

fn number(note: &Note, field: &str) -> u64 {
    note.get(field).parse().unwrap_or_else(|_| panic!("{field} of {note:#?}"))
}

/// Takes one connection and what is asked on it, and is gone with both.
async fn dies(listener: TcpListener) {
    let (mut stream, _) = listener.accept().await.expect("a client");
    stream.read_u8().await.expect("a request");
}

/// Serves at an address that was in use until a moment ago.
async fn comes_back(address: SocketAddr) {
    let listener = TcpListener::bind(address).await.expect("nobody else has it");
    tokio::spawn(echo().serve_with_listener(listener, std::future::pending()));
}

#[tokio::test]
async fn a_server_that_dies_and_comes_back_is_a_few_lines() {
    let (notes, _guard) = capture(LevelFilter::INFO);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let begun = Instant::now();
    let server = tokio::spawn(dies(listener));
    let channel = Endpoint::new(address).expect("an address").php().connect().await.expect("it listens");
    let client = channel.dynamic();
    client.call("/echo", 1).await.expect_err("its server dies");
    server.await.expect("it is gone");

    let lost = notes.event("the connection is lost");
    assert_eq!((lost.level, lost.target), (Level::WARN, "dora::client"));
    assert_eq!((lost.get("endpoint"), lost.get("calls")), (&*address.to_string(), "1"), "{lost:#?}");
    assert!(lost.get("why").starts_with("the connection is lost: "), "{lost:#?}");

    for _ in 0..5 {
        client.call("/echo", 1).await.expect_err("nobody listens");
    }
    comes_back(address).await;
    for _ in 0..100 {
        if client.call("/echo", 1).await.is_ok() {
            break;
        }
    }
    let back = notes.event("connected");
    assert_eq!((back.level, back.get("endpoint")), (Level::INFO, &*address.to_string()));
    let failed = number(&back, "failed_attempts");
    assert!(failed >= 3 && u128::from(number(&back, "after_ms")) <= begun.elapsed().as_millis(), "{back:#?}");

    let attempts = notes.events("an attempt to connect failed");
    let most = 1 + begun.elapsed().as_secs() / 10 + u64::from(failed >= 10);
    assert!(attempts.len() as u64 <= most, "{failed} attempts were {attempts:#?}");
    assert_eq!((attempts[0].level, number(&attempts[0], "attempt")), (Level::WARN, 1));
    assert!(number(&attempts[0], "next_in_ms") <= 1000, "{:#?}", attempts[0]);
    assert!(attempts[0].get("why").starts_with("nothing listens at "), "{:#?}", attempts[0]);
}

#[tokio::test]
async fn a_server_that_closes_an_idle_connection_is_no_trouble() {
    let (notes, _guard) = capture(LevelFilter::DEBUG);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let server = echo().idle_timeout(std::time::Duration::from_millis(20));
    tokio::spawn(server.serve_with_listener(listener, std::future::pending()));
    let channel = Endpoint::new(address).expect("an address").php().connect().await.expect("it listens");
    channel.dynamic().call("/echo", 1).await.expect("an answer");
    let ended = notes.wait_for("a connection has ended", 1).await;
    assert_eq!(ended[0].level, Level::DEBUG);
    channel.dynamic().call("/echo", 1).await.expect("an answer");
    assert!(notes.events("connected").iter().all(|event| event.level == Level::DEBUG));
    assert!(notes.events("the connection is lost").is_empty());
}

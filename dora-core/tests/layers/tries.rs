//! What is said to be unsent was not sent by any try.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dora_core::call::code::Code;
use dora_core::call::request::Request;
use dora_core::generation::Generation;
use dora_core::stub::caller::Caller;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tower::buffer::Buffer;
use tower::hedge::Hedge;
use tower::retry::Retry;
use tower::{ServiceExt, service_fn};

use crate::support::{Again, GET, PATIENCE, Twice, batch, call, endpoint};

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    (listener, address)
}

/// A server that takes one request, and is gone with it.
async fn takes_one() -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        let (mut peer, _) = listener.accept().await.expect("a client");
        // Nobody listens any more when the client hears of it.
        drop(listener);
        peer.read_exact(&mut [0; 40]).await.expect("a request");
    });
    address
}

/// An address where nothing listens.
async fn dead() -> SocketAddr {
    listen().await.1
}

/// A client that tries twice, without guids or with.
fn tries_twice(address: SocketAddr, generation: Generation) -> impl Caller<Future: Send> + Send {
    let channel = endpoint(address).generation(generation).connect_lazy().expect("settings");
    Retry::new(Again::default(), channel)
}

#[tokio::test]
async fn a_second_try_does_not_say_unsent_of_the_first() {
    for generation in [Generation::Guid, Generation::Plain] {
        let client = tries_twice(takes_one().await, generation);
        let status = call(&client, &GET, 0).await.expect_err("the server is gone");
        assert_eq!(status.code(), Code::Unavailable, "{generation:?}: {status}");
        assert!(status.message().contains("nothing listens"), "it is the second try's: {status}");
        assert!(!status.is_unsent(), "{generation:?}: the first one may have run");

        let client = tries_twice(takes_one().await, generation);
        let status = batch(&client, &GET, &[0, 0]).await.expect_err("the server is gone");
        assert!(!status.is_unsent(), "{generation:?}: {status}");

        let client = tries_twice(dead().await, generation);
        let status = call(&client, &GET, 0).await.expect_err("nothing listens");
        assert!(status.is_unsent(), "{generation:?}: neither was sent: {status}");
    }
}

#[tokio::test]
async fn a_hedge_does_not_say_unsent_of_what_it_overtakes() {
    let (listener, silent) = listen().await;
    tokio::spawn(async move {
        let (mut peer, _) = listener.accept().await.expect("a client");
        while peer.read(&mut [0; 1024]).await.is_ok_and(|count| count > 0) {}
    });
    let channels = [silent, dead().await];
    let channels = channels.map(|address| endpoint(address).connect_lazy().expect("settings"));
    let turn = Arc::new(AtomicUsize::new(0));
    // The first of two goes to the server that is silent, and the other one nowhere.
    let client = service_fn(move |request: Request| {
        let next = turn.fetch_add(1, Ordering::SeqCst) % 2;
        channels[next].clone().oneshot(request)
    });
    let hedge = Hedge::new_with_mock_latencies(client, Twice, 1, 0.9, PATIENCE, &[1; 20]);
    let client = Buffer::new(hedge, 16);
    let status = call(&client, &GET, 0).await.expect_err("nothing listens");
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert!(!status.is_unsent(), "the other one may run: {status}");
}

//! Several channels behind tower's balancer.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dora_core::call::code::Code;
use dora_core::call::request::Request;
use dora_core::stub::caller::Caller;
use dora_core::transport::client::channel::Channel;
use dora_core::transport::client::endpoint::Endpoint;
use dora_core::transport::client::state::ChannelState;
use tokio::net::{TcpListener, TcpStream};
use tower::balance::p2c::Balance;
use tower::buffer::Buffer;
use tower::discover::ServiceList;
use tower::layer::util::Identity;
use tower::load::{CompleteOnResponse, PendingRequests};

use crate::support::{GET, PATIENCE, PUT, Work, all_well, batch, call, endpoint, serve, serve_at};

/// The channels of these servers as one service: of two picked at random, the
/// one with fewer calls in flight.
fn balanced(addresses: &[SocketAddr]) -> (Vec<Channel>, impl Caller<Future: Send> + Send + Sync + use<>) {
    over(addresses.iter().map(|address| endpoint(*address)).collect())
}

fn over(endpoints: Vec<Endpoint>) -> (Vec<Channel>, impl Caller<Future: Send> + Send + Sync + use<>) {
    let channels: Vec<_> =
        endpoints.into_iter().map(|endpoint| endpoint.connect_lazy().expect("settings")).collect();
    let loaded =
        channels.iter().map(|channel| PendingRequests::new(channel.clone(), CompleteOnResponse::default()));
    let balance = Balance::<_, Request>::new(ServiceList::new::<Request>(loaded.collect::<Vec<_>>()));
    (channels, Buffer::new(balance, 1024))
}

/// An address where nothing listens.
async fn dead() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("bound")
}

#[tokio::test]
async fn calls_are_spread_over_what_is_there() {
    let (first, second) = (Arc::new(Work::default()), Arc::new(Work::default()));
    let addresses = [serve(&first, Identity::new()).await, serve(&second, Identity::new()).await];
    let (_channels, client) = balanced(&addresses);
    let calls: Vec<_> = (0..50).map(|_| call(&client, &PUT, 5).spawn()).collect();
    for call in calls {
        call.await.expect("no panic").expect("served");
    }
    for _ in 0..20 {
        assert_eq!(all_well(batch(&client, &GET, &[1, 1]).await).len(), 2);
    }
    assert_eq!(first.started() + second.started(), 90);
    for work in [first, second] {
        assert!(work.started() > 10, "{}", work.started());
    }
}

/// Makes `count` calls at once; how many failed.
async fn wave(client: &(impl Caller<Future: Send> + Send + 'static), count: usize) -> usize {
    let calls: Vec<_> = (0..count).map(|_| call(client, &PUT, 0).spawn()).collect();
    let mut failed = 0;
    for call in calls {
        if let Err(status) = call.await.expect("no panic") {
            assert_eq!(status.code(), Code::Unavailable, "{status}");
            assert!(status.is_unsent(), "it may be called again: {status}");
            failed += 1;
        }
    }
    failed
}

#[tokio::test]
async fn an_endpoint_that_comes_to_life_is_given_calls_again() {
    let (first, second) = (Arc::new(Work::default()), Arc::new(Work::default()));
    let place = dead().await;
    let (channels, client) = balanced(&[serve(&first, Identity::new()).await, place]);
    while !matches!(channels[1].state(), ChannelState::Down(_)) {
        wave(&client, 1).await;
    }
    serve_at(place, &second, Identity::new()).await;
    let start = Instant::now();
    while second.started() == 0 {
        assert!(start.elapsed() < PATIENCE, "{:?}", channels[1]);
        wave(&client, 8).await;
    }
    assert_eq!(channels[1].state(), ChannelState::Ready);
    assert_eq!(wave(&client, 64).await, 0);
}

/// An endpoint that is of no use, and how many connections to it were tried.
fn counted(endpoint: Endpoint) -> (Endpoint, Arc<AtomicUsize>) {
    let tried = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&tried);
    let address = endpoint.address().to_string();
    let endpoint = endpoint.connect_with(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        TcpStream::connect(address.clone())
    });
    (endpoint, tried)
}

/// Fifty waves of calls, every other one of batches, over a live endpoint and `dead`:
/// each connection that is tried to the dead one may cost one call.
async fn costs_a_handful((dead, tried): (Endpoint, Arc<AtomicUsize>)) {
    const WAVES: usize = 50;
    const WAVE: usize = 64;
    let work = Arc::new(Work::default());
    let live = endpoint(serve(&work, Identity::new()).await);
    let (_channels, client) = over(vec![live, dead]);
    let mut failed = 0;
    for number in 0..WAVES {
        let calls = (0..WAVE).map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                match number % 2 {
                    0 => call(&client, &PUT, 0).await.map(drop),
                    _ => batch(&client, &PUT, &[0]).await.map(drop),
                }
            })
        });
        for call in calls.collect::<Vec<_>>() {
            if let Err(status) = call.await.expect("no panic") {
                assert_eq!(status.code(), Code::Unavailable, "{status}");
                failed += 1;
            }
        }
    }
    assert_eq!(work.started(), WAVES * WAVE - failed, "all others were served");
    let tried = tried.load(Ordering::SeqCst);
    assert!(tried > 0, "it was given a chance");
    assert!(failed <= tried && failed < WAVE, "{failed} calls failed, {tried} connections were tried");
}

#[tokio::test]
async fn an_endpoint_where_nothing_listens_costs_a_handful_of_calls() {
    costs_a_handful(counted(endpoint(dead().await))).await;
}

#[tokio::test]
async fn an_endpoint_that_accepts_and_closes_costs_a_handful_of_calls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    costs_a_handful(counted(endpoint(address))).await;
}

#[tokio::test]
async fn an_endpoint_that_swallows_connections_costs_a_handful_of_calls() {
    let tried = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&tried);
    let swallowed =
        endpoint(dead().await).connect_timeout(Duration::from_millis(50)).connect_with(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            pending::<std::io::Result<TcpStream>>()
        });
    costs_a_handful((swallowed, tried)).await;
}

#[tokio::test]
async fn who_waits_for_a_channel_that_stays_down_is_told_so() {
    let client = endpoint(dead().await).connect_lazy().expect("settings");
    let start = Instant::now();
    for _ in 0..3 {
        assert_eq!(wave(&client, 16).await, 16, "one attempt tells them all");
    }
    assert!(start.elapsed() < PATIENCE / 2, "no attempt is waited for in vain: {:?}", start.elapsed());
    assert!(matches!(client.state(), ChannelState::Down(_)), "{}", client.state());
}

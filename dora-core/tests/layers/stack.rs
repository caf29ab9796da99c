//! The time of a call through the whole of a fleet: retries, hedges, and what travels.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use dora_core::call::code::Code;
use dora_core::call::method::Method;
use dora_core::call::request::Request;
use dora_core::call::status::Status;
use dora_core::middleware::balance::fleet::Fleet;
use dora_core::middleware::hedge::policy::HedgePolicy;
use dora_core::middleware::retry::policy::RetryPolicy;
use dora_core::pack::value::Value;
use dora_core::server::Server;
use dora_core::transport::client::channel::Channel;
use dora_core::transport::client::endpoint::Endpoint;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tower::layer::util::Identity;

use crate::support::{GET, PATIENCE, WORK, Work, call, endpoint, serve};

const SOON: Duration = Duration::from_millis(200);

/// As its `.proto` says.
static GET_SOON: Method = Method::new(&WORK, "Get", "/t.Work/Get").with_idempotent().with_timeout(SOON);

/// Tries that hang, each for a part of the time; far more of them than fit into it.
fn many_tries() -> RetryPolicy {
    let policy = RetryPolicy::new().attempts(1_000_000).budget(None).attempt_timeout(SOON / 4);
    policy.backoff(Duration::from_millis(1), Duration::from_millis(1))
}

#[tokio::test]
async fn all_tries_together_take_no_longer_than_the_call_may() {
    let work = Arc::new(Work::default());
    work.hanging.store(usize::MAX, Ordering::SeqCst);
    let addresses = [serve(&work, Identity::new()).await, serve(&work, Identity::new()).await];
    let hedge = || HedgePolicy::after(SOON / 8).budget(None);
    for said in ["on the call", "in the .proto", "on the endpoint"] {
        let endpoints = addresses.map(|address| match said {
            "on the endpoint" => endpoint(address).timeout(SOON),
            _ => endpoint(address),
        });
        let builder = Fleet::builder().retry(many_tries()).hedge(hedge()).breaker(None);
        let client = builder.endpoints(endpoints).expect("settings");
        let made = match said {
            "on the call" => call(&client, &GET, 0).timeout(SOON),
            "in the .proto" => call(&client, &GET_SOON, 0),
            _ => call(&client, &GET, 0),
        };
        let start = Instant::now();
        let ended = timeout(PATIENCE, made.into_future()).await.expect("it ends by itself");
        let status = ended.expect_err("all tries hang");
        assert_eq!(status.code(), Code::DeadlineExceeded, "{said}: {status}");
        let took = start.elapsed();
        assert!((SOON * 9 / 10..PATIENCE / 2).contains(&took), "{said}: {took:?}");
    }
    assert!(work.started() > 3, "each was tried again");
}

/// What a server was told of each call's time.
type Told = Arc<Mutex<Vec<Duration>>>;

/// A server whose first `failing` calls take 150 ms and fail.
async fn slow_to_fail(told: &Told, failing: usize) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let told = Arc::clone(told);
    let handler = move |request: Request<Value>| {
        let deadline = request.deadline().expect("it travels");
        let number = {
            let mut told = told.lock();
            told.push(deadline.remaining(tokio::time::Instant::now()));
            told.len()
        };
        async move {
            if number <= failing {
                tokio::time::sleep(Duration::from_millis(150)).await;
                return Err(Status::unavailable("not now"));
            }
            Ok(request.into_body())
        }
    };
    tokio::spawn(Server::builder().dynamic(handler).serve_with_listener(listener, pending()));
    endpoint(address)
}

#[tokio::test]
async fn what_is_left_of_the_time_travels_with_each_try() {
    let told = Told::default();
    let endpoints = [slow_to_fail(&told, 2).await, slow_to_fail(&told, 2).await];
    let client: Fleet<Channel> = Fleet::builder().endpoints(endpoints).expect("settings");
    let get = client.dynamic().call("/user/get", 7).idempotent(true).timeout(PATIENCE);
    assert_eq!(get.await.expect("the third try goes well"), Value::from(7));
    let told = told.lock();
    assert_eq!(told.len(), 3);
    for (before, left) in (0..).zip(told.iter()) {
        let most = PATIENCE - before * Duration::from_millis(150);
        assert!(*left <= most, "try {}: {left:?} of {most:?}", before + 1);
    }
}

#[tokio::test]
async fn a_hedge_has_no_more_time_than_the_call() {
    let told = Told::default();
    let endpoints = [slow_to_fail(&told, 1).await, slow_to_fail(&told, 1).await];
    let builder = Fleet::builder().retry(None).hedge(HedgePolicy::after(Duration::from_millis(50)));
    let client = builder.endpoints(endpoints).expect("settings");
    let get = client.dynamic().call("/user/get", 7).idempotent(true).timeout(PATIENCE);
    assert_eq!(get.await.expect("the hedge goes well"), Value::from(7));
    let told = told.lock();
    assert_eq!(told.len(), 2);
    assert!(told[1] <= PATIENCE - Duration::from_millis(50), "{told:?}");
}

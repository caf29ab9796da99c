//! The deadline of a call begins when it is made, whatever it waits for.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dora_core::call::code::Code;
use dora_core::call::method::Method;
use dora_core::call::request::Request;
use dora_core::call::status::Status;
use dora_core::pack::value::Value;
use dora_core::stub::call::Call;
use dora_core::stub::caller::Caller;
use dora_core::transport::client::endpoint::Endpoint;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::buffer::Buffer;
use tower::layer::util::Identity;
use tower::limit::ConcurrencyLimit;
use tower::{ServiceExt, service_fn};

use crate::support::{GET, PATIENCE, PUT, WORK, Work, batch, call, endpoint, serve};

/// Long before anybody loses patience.
const SOON: Duration = Duration::from_millis(200);

/// As its `.proto` says.
static PUT_SOON: Method = Method::new(&WORK, "Put", "/t.Work/Put").with_timeout(SOON);

/// Where it is said how long a call may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    OnCall,
    InIdl,
    OnEndpoint,
}

const EVERYWHERE: [Said; 3] = [Said::OnCall, Said::InIdl, Said::OnEndpoint];

impl Said {
    fn endpoint(self, address: SocketAddr) -> Endpoint {
        match self {
            Self::OnEndpoint => endpoint(address).timeout(SOON),
            Self::OnCall | Self::InIdl => endpoint(address),
        }
    }

    fn call<S: Caller>(self, client: &S) -> Call<S, Value, Value> {
        match self {
            Self::OnCall => call(client, &PUT, 0).timeout(SOON),
            Self::InIdl => call(client, &PUT_SOON, 0),
            Self::OnEndpoint => call(client, &PUT, 0),
        }
    }
}

/// The call ends at its deadline.
async fn ends_soon<S: Caller>(said: Said, call: Call<S, Value, Value>) -> Status {
    let start = Instant::now();
    let ended = timeout(PATIENCE, call.into_future()).await;
    let status = ended.expect("it ends").expect_err("it waits for longer");
    let took = start.elapsed();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{said:?}: {status}");
    assert!(took >= SOON && took < PATIENCE / 2, "{said:?}: {took:?}");
    status
}

#[tokio::test]
async fn while_a_call_waits_for_a_limit() {
    let work = Arc::new(Work::default());
    let address = serve(&work, Identity::new()).await;
    for said in EVERYWHERE {
        let channel = said.endpoint(address).connect().await.expect("connects");
        let client = ConcurrencyLimit::new(channel, 1);
        let mut holder = client.clone();
        holder.ready().await.expect("it is free");
        assert!(ends_soon(said, said.call(&client)).await.is_unsent());
        if said == Said::OnEndpoint {
            let status = batch(&client, &PUT, &[0, 0]).await.expect_err("it waits for longer");
            assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
        }
        drop(holder);
        said.call(&client).await.expect("it is free");
    }
    assert_eq!(work.started(), EVERYWHERE.len());
}

#[tokio::test]
async fn while_a_call_waits_in_a_buffer() {
    let work = Arc::new(Work::default());
    let address = serve(&work, Identity::new()).await;
    for (number, said) in (1..).zip(EVERYWHERE) {
        let channel = said.endpoint(address).connect().await.expect("connects");
        let client = Buffer::new(ConcurrencyLimit::new(channel, 1), 16);
        work.hanging.store(1, Ordering::SeqCst);
        let holder = call(&client, &PUT, 0).timeout(3 * SOON).spawn();
        while work.started() < number {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let status = ends_soon(said, said.call(&client)).await;
        // What only the endpoint says is known when the buffer hands the call over.
        assert_eq!(status.is_unsent(), said == Said::OnEndpoint, "{said:?}: {status}");
        let status = holder.await.expect("no panic").expect_err("it hangs");
        assert_eq!(status.code(), Code::DeadlineExceeded);
        assert_eq!(work.started(), number, "the other one was never sent");
    }
}

#[tokio::test]
async fn while_a_call_waits_for_a_connection() {
    for said in EVERYWHERE {
        let tried = AtomicUsize::new(0);
        let endpoint = said.endpoint(SocketAddr::from(([127, 0, 0, 1], 1))).connect_timeout(PATIENCE);
        let endpoint = endpoint.connect_with(move |_| {
            let first = tried.fetch_add(1, Ordering::SeqCst) == 0;
            async move {
                match first {
                    true => Err::<TcpStream, _>(io::Error::other("not now")),
                    false => pending().await,
                }
            }
        });
        let channel = endpoint.connect_lazy().expect("settings");
        let status = call(&channel, &GET, 0).await.expect_err("it fails");
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        assert!(ends_soon(said, said.call(&channel)).await.is_unsent(), "{said:?}");
    }
}

/// What earlier tries took is of the same time.
#[tokio::test]
async fn while_a_call_is_tried_again() {
    let work = Arc::new(Work::default());
    let address = serve(&work, Identity::new()).await;
    let channel = Said::OnEndpoint.endpoint(address).connect().await.expect("connects");
    // Tries again as long as it is told that it may go well.
    let client = service_fn(move |request: Request| {
        let channel = channel.clone();
        async move {
            loop {
                match channel.clone().oneshot(request.clone()).await {
                    Err(status) if status.code() == Code::Unavailable => {
                        tokio::time::sleep(SOON / 8).await;
                    }
                    result => return result,
                }
            }
        }
    });
    work.failing.store(usize::MAX, Ordering::SeqCst);
    let start = Instant::now();
    let ended = timeout(PATIENCE, call(&client, &GET, 0).into_future()).await;
    let status = ended.expect("it ends").expect_err("it never goes well");
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    assert!(!status.is_unsent(), "the first try was answered");
    assert!(start.elapsed() < PATIENCE / 2, "{:?}", start.elapsed());
}

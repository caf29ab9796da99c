//! tower's layers around the channel of a client.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use dora_core::call::code::Code;
use dora_core::call::method::Method;
use dora_core::call::request::Request;
use dora_core::call::status::{BoxError, Status};
use dora_core::middleware::when::WhenLayer;
use dora_core::stub::batch::Batch;
use dora_core::stub::caller::Caller;
use dora_core::stub::dynamic::DynamicClient;
use dora_core::transport::client::channel::Channel;
use tower::buffer::{Buffer, BufferLayer};
use tower::filter::FilterLayer;
use tower::hedge::Hedge;
use tower::layer::util::Identity;
use tower::limit::{ConcurrencyLimitLayer, RateLimitLayer};
use tower::load_shed::LoadShedLayer;
use tower::retry::RetryLayer;
use tower::timeout::TimeoutLayer;
use tower::{Layer, ServiceBuilder};

use crate::support::{Again, Always, GET, PATIENCE, PUT, Twice, Work, all_well, batch, call, channel};

/// A client with `layer` around its channel to a server of `work`.
async fn client<L: Layer<Channel>>(work: &Arc<Work>, layer: L) -> L::Service
where
    L::Service: Caller,
{
    layer.layer(channel(work, Identity::new()).await)
}

#[tokio::test]
async fn load_is_shed_and_a_batch_is_one_call() {
    let work = Arc::new(Work::default());
    let shed = ServiceBuilder::new().layer(LoadShedLayer::new()).layer(ConcurrencyLimitLayer::new(1));
    let client = client(&work, shed).await;
    let (first, second) = tokio::join!(batch(&client, &PUT, &[50, 50]), call(&client, &PUT, 0).into_future());
    assert_eq!(all_well(first).len(), 2);
    assert_eq!(second.expect_err("shed").code(), Code::ResourceExhausted);
    for _ in 0..20 {
        call(&client, &PUT, 0).await.expect("the place is free again");
        assert_eq!(all_well(batch(&client, &PUT, &[0]).await).len(), 1);
    }
}

#[tokio::test]
async fn a_limit_on_calls_in_flight_queues_the_others() {
    let work = Arc::new(Work::default());
    let client = client(&work, ConcurrencyLimitLayer::new(2)).await;
    let calls = (0..8).map(|_| call(&client, &PUT, 5).spawn()).collect::<Vec<_>>();
    assert_eq!(all_well(batch(&client, &PUT, &[1]).await).len(), 1);
    for call in calls {
        call.await.expect("no panic").expect("served");
    }
    assert_eq!(work.most.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_limit_on_calls_a_second_holds_behind_a_buffer() {
    let work = Arc::new(Work::default());
    let limit = ServiceBuilder::new()
        .layer(BufferLayer::new(16))
        .layer(RateLimitLayer::new(1, Duration::from_millis(50)));
    let client = client(&work, limit).await;
    let start = Instant::now();
    for _ in 0..2 {
        call(&client, &GET, 0).await.expect("served");
        assert_eq!(all_well(batch(&client, &GET, &[0, 0, 0]).await).len(), 3);
    }
    assert!(start.elapsed() >= Duration::from_millis(150), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_buffer_and_a_timeout_pass_statuses_on() {
    let work = Arc::new(Work::default());
    let layers =
        ServiceBuilder::new().layer(BufferLayer::new(4)).layer(TimeoutLayer::new(Duration::from_millis(300)));
    let client = client(&work, layers).await;
    work.failing.store(1, Ordering::SeqCst);
    let status = call(&client, &GET, 0).await.expect_err("it fails");
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "not now"));
    assert!(status.peer().is_some(), "and who said so");
    work.hanging.store(1, Ordering::SeqCst);
    assert_eq!(call(&client, &GET, 0).await.expect_err("it hangs").code(), Code::DeadlineExceeded);
    work.hanging.store(1, Ordering::SeqCst);
    let status = batch(&client, &GET, &[0, 0]).await.expect_err("one of it hangs, and it is one request");
    assert_eq!(status.code(), Code::DeadlineExceeded);
    call(&client, &GET, 0).await.expect("served");
}

#[tokio::test]
async fn a_filter_sees_every_method_of_a_batch() {
    let work = Arc::new(Work::default());
    let filter = FilterLayer::new(|request: Request| -> Result<Request, BoxError> {
        let puts = request.calls().any(|call| call.is(&PUT));
        if puts { Err(Status::permission_denied("read only").into()) } else { Ok(request) }
    });
    let client = client(&work, filter).await;
    assert_eq!(call(&client, &PUT, 0).await.expect_err("filtered").code(), Code::PermissionDenied);
    assert_eq!(batch(&client, &PUT, &[0]).await.expect_err("filtered").code(), Code::PermissionDenied);
    let untyped = DynamicClient::new(client.clone());
    for name in [PUT.path(), "/work/put"] {
        let single = untyped.call(name, 0).await.expect_err("filtered");
        assert_eq!(single.code(), Code::PermissionDenied, "{name}");
        let among = untyped.multi().call("a", "/work/get", 0).call("b", name, 0).send().await;
        assert_eq!(among.expect_err("filtered").code(), Code::PermissionDenied, "{name}");
    }
    assert_eq!(work.started(), 0);
    call(&client, &GET, 0).await.expect("served");
    assert_eq!(all_well(batch(&client, &GET, &[0, 0]).await).len(), 2);
}

#[tokio::test]
async fn what_may_be_called_twice_is_tried_again() {
    let work = Arc::new(Work::default());
    let client = client(&work, RetryLayer::new(Again::default())).await;
    work.failing.store(1, Ordering::SeqCst);
    call(&client, &GET, 0).await.expect("the second time");
    assert_eq!(work.started(), 2);
    work.failing.store(1, Ordering::SeqCst);
    assert_eq!(call(&client, &PUT, 0).await.expect_err("once").code(), Code::Unavailable);
    work.failing.store(1, Ordering::SeqCst);
    assert_eq!(all_well(batch(&client, &GET, &[0, 0]).await).len(), 2, "the whole of it");
    assert_eq!(work.started(), 2 + 1 + 4);
    work.failing.store(1, Ordering::SeqCst);
    let results = batch(&client, &PUT, &[0, 0]).await.expect("answered");
    assert_eq!(results.iter().filter(|result| result.is_err()).count(), 1, "it may not be called twice");
}

#[tokio::test]
async fn a_batch_is_tried_again_when_all_of_it_may_be() {
    let work = Arc::new(Work::default());
    // Unlike `Again` it trusts whoever put it where it stands.
    let again = RetryLayer::new(Always::default());
    let client = client(&work, WhenLayer::all(Method::is_idempotent, again)).await;
    let mixed = || async {
        let batch = Batch::new(client.clone()).call(call(&client, &GET, 0)).call(call(&client, &PUT, 0));
        let (get, put) = batch.send().await.expect("answered");
        [get, put].iter().filter(|result| result.is_err()).count()
    };
    work.failing.store(1, Ordering::SeqCst);
    assert_eq!((mixed().await, work.started()), (1, 2), "the put may not be called twice");
    work.failing.store(1, Ordering::SeqCst);
    assert_eq!(all_well(batch(&client, &GET, &[0, 0]).await).len(), 2);
    assert_eq!(work.started(), 2 + 4);
}

#[tokio::test]
async fn a_denied_method_is_denied_in_any_company() {
    let work = Arc::new(Work::default());
    let deny = FilterLayer::new(|_: Request| Err::<Request, _>(Status::permission_denied("read only")));
    let client = client(&work, WhenLayer::any(|method| method == &PUT, deny)).await;
    let put = || call(&client, &PUT, 0);
    assert_eq!(put().await.expect_err("denied").code(), Code::PermissionDenied);
    let mixed = Batch::new(client.clone()).call(call(&client, &GET, 0)).call(put());
    assert_eq!(mixed.send().await.expect_err("denied").code(), Code::PermissionDenied);
    assert_eq!(work.started(), 0);
    assert_eq!(all_well(batch(&client, &GET, &[0, 0]).await).len(), 2);
}

#[tokio::test]
async fn a_hedge_overtakes_what_hangs() {
    let work = Arc::new(Work::default());
    let channel = channel(&work, Identity::new()).await;
    let hedge = Hedge::new_with_mock_latencies(channel, Twice, 1, 0.9, PATIENCE, &[1; 20]);
    let client = Buffer::new(hedge, 16);
    work.hanging.store(1, Ordering::SeqCst);
    call(&client, &GET, 0).await.expect("the second one");
    work.hanging.store(1, Ordering::SeqCst);
    assert_eq!(all_well(batch(&client, &GET, &[0, 0]).await).len(), 2);
    call(&client, &PUT, 20).await.expect("served");
}

#[tokio::test]
async fn deferred_results_and_acknowledgements_pass_through_all_of_them() {
    let work = Arc::new(Work::default());
    let all = ServiceBuilder::new()
        .layer(LoadShedLayer::new())
        .layer(ConcurrencyLimitLayer::new(64))
        .layer(TimeoutLayer::new(PATIENCE))
        .layer(BufferLayer::new(64))
        .layer(RateLimitLayer::new(1000, Duration::from_millis(1)))
        .layer(RetryLayer::new(Again::default()));
    let client = client(&work, all).await;
    call(&client, &PUT, 0).no_result().await.expect("accepted");
    let pending = call(&client, &PUT, 5).deferred().await.expect("accepted");
    assert_eq!(pending.await.expect("it came"), 5.into());
    let mut many = Batch::new(client.clone()).list();
    many.extend((0..5).map(|millis| call(&client, &GET, millis)));
    let pending = many.deferred().await.expect("accepted");
    assert_eq!(all_well(pending.await).len(), 5);
}

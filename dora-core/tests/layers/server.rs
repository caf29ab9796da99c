//! tower's layers around the services of a server.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use dora_core::call::code::Code;
use dora_core::call::request::Request;
use dora_core::call::status::{BoxError, Status};
use dora_core::pack::value::Value;
use tower::ServiceBuilder;
use tower::buffer::{Buffer, BufferLayer};
use tower::filter::FilterLayer;
use tower::hedge::Hedge;
use tower::layer::layer_fn;
use tower::limit::{ConcurrencyLimitLayer, RateLimitLayer};
use tower::load_shed::LoadShedLayer;
use tower::retry::RetryLayer;
use tower::timeout::TimeoutLayer;

use crate::support::{
    Again, GET, PATIENCE, PUT, Twice, Work, all_well, batch, call, channel, connect, serve,
};

/// How those calls of a batch ended that did not go well.
fn failures(results: Vec<Result<Value, Status>>) -> Vec<Code> {
    results.into_iter().filter_map(|result| Some(result.err()?.code())).collect()
}

#[tokio::test]
async fn a_connection_without_calls_holds_no_permit_of_a_limit() {
    let work = Arc::new(Work::default());
    let shed = ServiceBuilder::new().layer(LoadShedLayer::new()).layer(ConcurrencyLimitLayer::new(1));
    let address = serve(&work, shed).await;
    let (first, second) = (connect(address).await, connect(address).await);
    // While one call has the only place, another connection asks for it in vain,
    // and must not stay in the queue for it.
    let (running, shed) = (call(&first, &PUT, 100).spawn(), call(&second, &PUT, 100).spawn());
    let ended = [running.await, shed.await].map(|call| call.expect("no panic"));
    assert_eq!(ended.iter().filter(|result| result.is_ok()).count(), 1, "{ended:?}");
    for round in 0..20 {
        for channel in [&first, &second] {
            call(channel, &PUT, 0).await.unwrap_or_else(|status| panic!("round {round}: {status}"));
            assert_eq!(all_well(batch(channel, &PUT, &[0]).await).len(), 1, "round {round}");
        }
    }
}

#[tokio::test]
async fn load_is_shed_call_by_call() {
    let work = Arc::new(Work::default());
    let shed = ServiceBuilder::new().layer(LoadShedLayer::new()).layer(ConcurrencyLimitLayer::new(1));
    let channel = channel(&work, shed).await;
    let results = batch(&channel, &PUT, &[50, 50, 50]).await.expect("answered");
    assert_eq!(failures(results), [Code::ResourceExhausted; 2]);
    assert_eq!(work.started(), 1, "what is shed never starts");
    call(&channel, &PUT, 0).await.expect("the place is free again");
}

#[tokio::test]
async fn a_limit_on_running_calls_holds_for_calls_of_batches_and_all_connections() {
    let work = Arc::new(Work::default());
    let address = serve(&work, ConcurrencyLimitLayer::new(2)).await;
    let (first, second) = (connect(address).await, connect(address).await);
    let (one, other, single) = tokio::join!(
        batch(&first, &PUT, &[5; 6]),
        batch(&second, &PUT, &[5; 6]),
        call(&second, &PUT, 5).into_future(),
    );
    assert_eq!((all_well(one).len(), all_well(other).len()), (6, 6));
    single.expect("served");
    assert_eq!(work.most.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_limit_on_calls_a_second_is_shared_behind_a_buffer() {
    let work = Arc::new(Work::default());
    let limit = ServiceBuilder::new()
        .layer(BufferLayer::new(16))
        .layer(RateLimitLayer::new(2, Duration::from_millis(100)));
    let channel = channel(&work, limit).await;
    let start = Instant::now();
    assert_eq!(all_well(batch(&channel, &GET, &[0; 5]).await).len(), 5);
    call(&channel, &GET, 0).await.expect("served");
    assert!(start.elapsed() >= Duration::from_millis(200), "2, then 2, then 2: {:?}", start.elapsed());
}

#[tokio::test]
async fn a_buffer_carries_what_its_service_says() {
    let work = Arc::new(Work::default());
    let channel = channel(&work, BufferLayer::new(4)).await;
    call(&channel, &GET, 3).await.expect("served");
    assert_eq!(all_well(batch(&channel, &GET, &[1, 2, 3]).await), [1, 2, 3].map(Value::Int));
    work.failing.store(1, Ordering::SeqCst);
    let status = call(&channel, &GET, 0).await.expect_err("it fails");
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "not now"));
}

#[tokio::test]
async fn a_timeout_ends_one_call_of_a_batch() {
    let work = Arc::new(Work::default());
    let channel = channel(&work, TimeoutLayer::new(Duration::from_millis(300))).await;
    work.hanging.store(1, Ordering::SeqCst);
    let results = batch(&channel, &GET, &[0, 0, 0]).await.expect("answered");
    assert_eq!(failures(results), [Code::DeadlineExceeded]);
    work.hanging.store(1, Ordering::SeqCst);
    let status = call(&channel, &GET, 0).await.expect_err("it hangs");
    assert_eq!(
        (status.code(), status.message()),
        (Code::DeadlineExceeded, "a timeout layer gave the call up")
    );
}

#[tokio::test]
async fn a_filter_knows_the_method_also_in_a_batch() {
    let work = Arc::new(Work::default());
    let filter = FilterLayer::new(|request: Request| -> Result<Request, BoxError> {
        match request.method().as_str() {
            "/t.Work/Put" => Err(Status::permission_denied("read only").into()),
            _ => Ok(request),
        }
    });
    let channel = channel(&work, filter).await;
    let status = call(&channel, &PUT, 0).await.expect_err("filtered");
    assert_eq!((status.code(), status.message()), (Code::PermissionDenied, "read only"));
    let mixed = dora_core::stub::batch::Batch::new(channel.clone());
    let (put, get) =
        mixed.call(call(&channel, &PUT, 0)).call(call(&channel, &GET, 0)).send().await.expect("sent");
    assert_eq!(put.expect_err("filtered").code(), Code::PermissionDenied);
    assert_eq!(get.expect("served"), Value::Int(0));
    assert_eq!(work.started(), 1);
}

#[tokio::test]
async fn what_may_be_called_twice_is_tried_again() {
    let work = Arc::new(Work::default());
    let channel = channel(&work, RetryLayer::new(Again::default())).await;
    work.failing.store(1, Ordering::SeqCst);
    call(&channel, &GET, 0).await.expect("served");
    assert_eq!(work.started(), 2);
    work.failing.store(1, Ordering::SeqCst);
    assert_eq!(call(&channel, &PUT, 0).await.expect_err("once").code(), Code::Unavailable);
    assert_eq!(work.started(), 3);
    work.failing.store(1, Ordering::SeqCst);
    assert_eq!(all_well(batch(&channel, &GET, &[0, 0, 0]).await).len(), 3);
    assert_eq!(work.started(), 7, "the one call of three");
}

#[tokio::test]
async fn a_hedge_overtakes_what_hangs() {
    let work = Arc::new(Work::default());
    let hedge = layer_fn(|inner| {
        // What was quick so far: whatever takes longer is sent once more.
        let hedge = Hedge::new_with_mock_latencies(inner, Twice, 1, 0.9, PATIENCE, &[1; 20]);
        Buffer::new(hedge, 16)
    });
    let channel = channel(&work, hedge).await;
    work.hanging.store(1, Ordering::SeqCst);
    call(&channel, &GET, 0).await.expect("served");
    work.hanging.store(1, Ordering::SeqCst);
    assert_eq!(all_well(batch(&channel, &GET, &[0, 0, 0]).await).len(), 3);
    call(&channel, &PUT, 20).await.expect("served");
}

#[tokio::test]
async fn all_of_them_stand_on_one_another() {
    let work = Arc::new(Work::default());
    let all = ServiceBuilder::new()
        .layer(LoadShedLayer::new())
        .layer(ConcurrencyLimitLayer::new(64))
        .layer(TimeoutLayer::new(PATIENCE))
        .layer(BufferLayer::new(64))
        .layer(RateLimitLayer::new(1000, Duration::from_millis(1)))
        .layer(RetryLayer::new(Again::default()));
    let channel = channel(&work, all).await;
    work.failing.store(1, Ordering::SeqCst);
    assert_eq!(all_well(batch(&channel, &GET, &[1; 20]).await).len(), 20);
    call(&channel, &PUT, 1).await.expect("served");
}

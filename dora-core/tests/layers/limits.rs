//! The limits of a server over a connection.

use std::sync::Arc;
use std::time::Duration;

use dora_core::call::code::Code;
use dora_core::call::pushback::Pushback;
use dora_core::call::status::Status;
use dora_core::middleware::limit::concurrency::ConcurrencyLimitLayer;
use dora_core::middleware::limit::rate::RateLimitLayer;
use dora_core::middleware::limit::size::SizeLimitLayer;
use dora_core::middleware::retry::policy::RetryPolicy;
use dora_core::middleware::retry::service::RetryLayer;
use dora_core::pack::value::Value;
use dora_core::stub::call::Call;
use tower::Layer;

use crate::support::{GET, PATIENCE, PUT, Work, batch, call, channel};

fn refused(results: &[Result<Value, Status>]) -> usize {
    let refused = results.iter().filter_map(|result| result.as_ref().err());
    refused.filter(|status| status.code() == Code::ResourceExhausted).count()
}

#[tokio::test]
async fn each_call_of_a_batch_is_counted_by_whatever_name() {
    let work = Arc::new(Work::default());
    let limit = ConcurrencyLimitLayer::new(2).per_method();
    let channel = channel(&work, limit.clone()).await;
    let results = batch(&channel, &PUT, &[200; 5]).await.expect("answered");
    assert_eq!((refused(&results), work.started()), (3, 2), "{results:?}");
    // The peer calls it `/work/put`.
    assert_eq!(limit.limit_of(&PUT.path().into()), 2);
    let running = call(&channel, &PUT, 200).spawn();
    let results = batch(&channel, &GET, &[0; 2]).await.expect("answered");
    assert_eq!(refused(&results), 0, "another method has its own");
    running.await.expect("no panic").expect("the places are free again");
    assert_eq!(limit.running_of(&PUT.path().into()), 0);
}

#[tokio::test]
async fn a_rate_tells_its_callers_when_to_come_again_and_a_retry_heeds_it() {
    let work = Arc::new(Work::default());
    let channel = channel(&work, RateLimitLayer::new(5, Duration::from_millis(500)).burst(1)).await;
    call(&channel, &GET, 0).await.expect("a token");
    let refused = call(&channel, &GET, 0).await.expect_err("no token");
    let Some(Pushback::After(wait)) = refused.pushback() else { panic!("{refused}") };
    assert!(wait <= Duration::from_millis(101), "{wait:?}");
    let patient = RetryLayer::new(RetryPolicy::new()).layer(channel);
    call(&patient, &GET, 0).timeout(PATIENCE).await.expect("it came again");
    assert_eq!(work.started(), 2);
}

#[tokio::test]
async fn sizes_are_those_on_the_wire() {
    let work = Arc::new(Work::default());
    let channel = channel(&work, SizeLimitLayer::new().request(100).response(3)).await;
    let large = Call::<_, Value, Value>::new(channel.clone(), &GET, Value::from("x".repeat(100)));
    let status = large.await.expect_err("too large");
    assert_eq!(status.pushback(), Some(Pushback::Never));
    // `s:100:"..";`
    assert!(status.message().contains("the parameter has 109 bytes"), "{status}");
    assert_eq!(work.started(), 0);
    // `i:0;`
    let status = call(&channel, &GET, 0).await.expect_err("too large");
    assert!(status.message().contains("the result has 4 bytes"), "{status}");
}

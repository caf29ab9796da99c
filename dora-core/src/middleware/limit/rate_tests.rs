use tower::{ServiceExt, service_fn};

use super::*;
use crate::call::body::{BatchCall, Body};
use crate::call::code::Code;

fn limited(
    layer: &RateLimitLayer,
) -> impl Service<Request, Response = Response, Error = Status, Future: Send> + Clone {
    layer.layer(service_fn(|_: Request| async { Ok::<_, Status>(Response::accepted()) }))
}

fn of(method: &'static str, tenant: Option<&str>) -> Request {
    let mut request = Request::new(Body::message(0_i64));
    request.head_mut().set_method(method);
    if let Some(tenant) = tenant {
        request.metadata_mut().insert("tenant", tenant);
    }
    request
}

fn batch(calls: usize) -> Request {
    let calls = (0..calls).map(|key| {
        let (head, body) = of("/a", None).into_parts();
        BatchCall::new(i64::try_from(key).expect("small").into(), head, body)
    });
    Request::batch_of(calls.collect())
}

const SECOND: Duration = Duration::from_secs(1);

async fn passed(layer: &RateLimitLayer, requests: impl IntoIterator<Item = Request>) -> usize {
    let mut passed = 0;
    for request in requests {
        passed += usize::from(limited(layer).oneshot(request).await.is_ok());
    }
    passed
}

#[tokio::test(start_paused = true)]
async fn a_burst_passes_and_then_one_at_a_time() {
    let layer = RateLimitLayer::new(10, SECOND);
    assert_eq!(passed(&layer, (0..20).map(|_| of("/a", None))).await, 10);
    let refused = limited(&layer).oneshot(of("/a", None)).await.expect_err("no token");
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.message().contains("one call in 100ms after the first 10"), "{refused}");
    let Some(Pushback::After(wait)) = refused.pushback() else { panic!("{refused}") };
    assert!(wait <= Duration::from_millis(101), "{wait:?}");
    // Who waits as told finds a token, and one only.
    tokio::time::advance(wait).await;
    assert_eq!(passed(&layer, (0..2).map(|_| of("/a", None))).await, 1);
    // Over any time it is the rate.
    let mut through = 0;
    for _ in 0..200 {
        tokio::time::advance(Duration::from_millis(25)).await;
        through += passed(&layer, [of("/a", None)]).await;
    }
    assert!((49..=51).contains(&through), "{through} in 5 s");
    tokio::time::advance(60 * SECOND).await;
    assert_eq!(passed(&layer, (0..20).map(|_| of("/a", None))).await, 10, "no more is saved than the burst");
}

#[tokio::test(start_paused = true)]
async fn each_key_and_method_has_its_own() {
    let layer = RateLimitLayer::new(1, SECOND)
        .per_key(|call| call.metadata().get("tenant").map(str::to_owned))
        .per_method();
    let requests = || [of("/a", Some("x")), of("/a", Some("y")), of("/b", Some("x"))];
    assert_eq!(passed(&layer, requests()).await, 3);
    assert_eq!(passed(&layer, requests()).await, 0);
    assert_eq!(passed(&layer, (0..5).map(|_| of("/a", None))).await, 5, "who has no key is not limited");
}

#[tokio::test(start_paused = true)]
async fn a_batch_takes_a_token_for_each_call_or_none() {
    let layer = RateLimitLayer::new(10, SECOND);
    assert_eq!(passed(&layer, [batch(7)]).await, 1);
    assert_eq!(passed(&layer, [batch(7)]).await, 0);
    assert_eq!(passed(&layer, [batch(3)]).await, 1, "what was refused took nothing");
    let refused = limited(&layer).oneshot(batch(11)).await.expect_err("never");
    assert_eq!(refused.pushback(), Some(Pushback::Never));
}

#[tokio::test(start_paused = true)]
async fn keys_from_outside_do_not_grow_without_end() {
    let layer = RateLimitLayer::new(1, SECOND);
    let take = |key: u64| {
        let mut buckets = layer.rates.buckets.lock();
        buckets.take(layer.rates.rate, [(key, 1)].into_iter(), Instant::now())
    };
    for key in 1..=MOST_BUCKETS as u64 {
        take(key).expect("its own");
    }
    take(u64::MAX).expect("the common one, which is full");
    take(u64::MAX - 1).expect_err("the common one, which is empty");
    let kept = || layer.rates.buckets.lock().full_at.len();
    assert_eq!(kept(), MOST_BUCKETS + 1);
    tokio::time::advance(2 * SECOND).await;
    take(u64::MAX - 1).expect("its own: the others are full and forgotten");
    assert_eq!(kept(), 1);
}

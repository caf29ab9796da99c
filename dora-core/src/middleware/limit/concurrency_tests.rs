use std::collections::HashMap;

use tokio::sync::Semaphore;
use tokio::time::{sleep, sleep_until};
use tower::{ServiceExt, service_fn};

use super::*;
use crate::call::body::{BatchCall, Body};
use crate::call::code::Code;
use crate::call::pushback::Pushback;
use crate::call::response::Reply;

/// A service whose calls take a second.
fn slow() -> impl Service<Request, Response = Response, Error = Status, Future: Send> + Clone + Send + 'static
{
    service_fn(|_: Request| async {
        sleep(Duration::from_secs(1)).await;
        Ok::<_, Status>(Response::accepted())
    })
}

fn of(method: &'static str, priority: Priority) -> Request {
    let mut request = Request::new(Body::message(0_i64));
    request.head_mut().set_method(method);
    request.metadata_mut().insert(Priority::KEY, priority.to_string());
    request
}

fn call(method: &'static str) -> Request {
    of(method, Priority::Normal)
}

/// Starts calls, and gives those that were refused.
async fn start(layer: &ConcurrencyLimitLayer, requests: impl IntoIterator<Item = Request>) -> Vec<Status> {
    let mut refused = Vec::new();
    for request in requests {
        let running = tokio::spawn(layer.layer(slow()).oneshot(request));
        tokio::task::yield_now().await;
        if running.is_finished() {
            refused.push(running.await.expect("no panic").expect_err("it is refused at once"));
        }
    }
    refused
}

#[tokio::test(start_paused = true)]
async fn calls_over_the_limit_are_refused_and_told_when_to_come_again() {
    let layer = ConcurrencyLimitLayer::new(3);
    let refused = start(&layer, (0..5).map(|_| call("/a"))).await;
    assert_eq!((refused.len(), layer.running(), layer.limit()), (2, 3, 3));
    for status in &refused {
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(status.message(), "3 calls run, and 3 may: this one is refused");
        let Some(Pushback::After(after)) = status.pushback() else { panic!("{status}") };
        assert!((250..=750).contains(&after.as_millis()), "{after:?}");
    }
    sleep(Duration::from_millis(1_100)).await;
    assert_eq!(layer.running(), 0);
    assert!(start(&layer, [call("/a")]).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn each_method_has_its_own_if_wanted() {
    let layer = ConcurrencyLimitLayer::new(1).per_method();
    let refused = start(&layer, ["/a", "/b", "/a"].map(call)).await;
    assert_eq!(refused.len(), 1);
    assert!(refused[0].message().contains("1 calls of /a run"), "{}", refused[0]);
    let of = |name: &'static str| (layer.running_of(&name.into()), layer.limit_of(&name.into()));
    assert_eq!((of("/a"), of("/c")), ((1, 1), (0, 1)));
}

#[tokio::test(start_paused = true)]
async fn the_lowest_priority_is_refused_first() {
    let layer = ConcurrencyLimitLayer::new(100).priority(Priority::of);
    let mut passed = HashMap::new();
    // Each call in turn is of another priority.
    let requests = || Priority::ALL.iter().cycle().take(400).copied();
    for priority in requests() {
        let refused = start(&layer, [of("/a", priority)]).await;
        *passed.entry(priority).or_insert(0) += 1 - refused.len();
    }
    // All up to 70, then none of the low ones, and so on.
    let of = |priority| passed[&priority];
    assert_eq!(layer.running(), 100);
    assert!(of(Priority::Low) < of(Priority::Normal), "{passed:?}");
    assert!(of(Priority::Normal) < of(Priority::High), "{passed:?}");
    assert!(of(Priority::High) < of(Priority::Critical), "{passed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_place_is_free_when_the_call_is_dropped_or_its_later_result_is_there() {
    let layer = ConcurrencyLimitLayer::new(2);
    let running = tokio::spawn(layer.layer(slow()).oneshot(call("/a")));
    tokio::task::yield_now().await;
    assert_eq!(layer.running(), 1);
    running.abort();
    assert!(running.await.is_err());
    assert_eq!(layer.running(), 0, "dropped");

    let later = service_fn(|_: Request| async {
        Ok::<_, Status>(Response::deferred(async {
            sleep(Duration::from_secs(1)).await;
            Ok(Response::accepted())
        }))
    });
    let response = layer.layer(later).oneshot(call("/a")).await.expect("accepted");
    assert_eq!(layer.running(), 1, "its result is to come");
    let Reply::Deferred(later) = response.into_body() else { panic!("it comes later") };
    assert!(later.await.is_ok());
    assert_eq!(layer.running(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_a_client_has_a_place_for_each_call() {
    let batch = |calls: i64| {
        let call = |key: i64| {
            let (head, body) = call("/a").into_parts();
            BatchCall::new(key.into(), head, body)
        };
        Request::batch_of((0..calls).map(call).collect())
    };
    for layer in [ConcurrencyLimitLayer::new(10), ConcurrencyLimitLayer::new(10).per_method()] {
        assert!(start(&layer, [batch(6)]).await.is_empty());
        assert_eq!(start(&layer, [batch(6)]).await.len(), 1);
        assert!(start(&layer, [batch(4)]).await.is_empty());
        sleep(Duration::from_secs(2)).await;
        assert_eq!(layer.running() + layer.running_of(&"/a".into()), 0, "what was refused keeps no place");
    }
    let layer = ConcurrencyLimitLayer::new(10);
    assert!(start(&layer, [batch(11)]).await.is_empty(), "it would never run");
    assert_eq!(start(&layer, [call("/a")]).await.len(), 1, "it runs alone");
}

/// What a load was answered with.
#[derive(Debug, Default)]
struct Load {
    took: Vec<Duration>,
    refused: usize,
}

impl Load {
    fn p99(&mut self) -> Duration {
        self.took.sort();
        self.took[self.took.len() * 99 / 100]
    }
}

/// Twenty places, 10 ms each: 2,000 calls a second.
fn capped()
-> impl Service<Request, Response = Response, Error = Status, Future: Send> + Clone + Send + 'static {
    let places = Arc::new(Semaphore::new(20));
    service_fn(move |_: Request| {
        let places = Arc::clone(&places);
        async move {
            let _place = places.acquire().await.expect("never closed");
            sleep(Duration::from_millis(10)).await;
            Ok::<_, Status>(Response::accepted())
        }
    })
}

/// Offers so many calls a second, as they come, for so long.
async fn offer<S>(service: &S, rate: f64, time: Duration, seed: u64) -> Load
where
    S: Service<Request, Response = Response, Error = Status, Future: Send> + Clone + Send + 'static,
{
    let mut random = fastrand::Rng::with_seed(seed);
    let start = Instant::now();
    let mut calls = Vec::new();
    let mut at = Duration::ZERO;
    while at < time {
        sleep_until(start + at).await;
        let service = service.clone();
        calls.push(tokio::spawn(async move {
            let begun = Instant::now();
            service.oneshot(call("/a")).await.map(|_| begun.elapsed())
        }));
        at += Duration::from_secs_f64(-random.f64().max(1e-9).ln() / rate);
    }
    let mut load = Load::default();
    for call in calls {
        match call.await.expect("no panic") {
            Ok(took) => load.took.push(took),
            Err(_) => load.refused += 1,
        }
    }
    load
}

#[tokio::test(start_paused = true)]
async fn overload_costs_neither_goodput_nor_latency_and_is_over_at_once() {
    let layer = ConcurrencyLimitLayer::adaptive(AdaptivePolicy::new());
    let service = layer.layer(capped());
    let seconds = Duration::from_secs;

    let mut calm = offer(&service, 1_600.0, seconds(5), 1).await;
    assert!(calm.refused <= calm.took.len() / 100, "{} refused at 80 %", calm.refused);

    // Five times what it can do: the limit has a second to find itself, and is probed.
    drop(offer(&service, 10_000.0, seconds(1), 2).await);
    let mut over = offer(&service, 10_000.0, seconds(10), 3).await;
    let goodput = over.took.len() as f64 / 10.0;
    println!("goodput {goodput}/s, p99 {:?} of {:?}, limit {}", over.p99(), calm.p99(), layer.limit());
    assert!(goodput >= 0.9 * 2_000.0, "{goodput} calls/s of 2,000");
    assert!(over.p99() <= 2 * calm.p99(), "p99 {:?} over, {:?} calm", over.p99(), calm.p99());

    // Within five seconds nothing is left of it.
    sleep(seconds(4)).await;
    let mut after = offer(&service, 1_600.0, seconds(5), 4).await;
    assert!(after.refused <= after.took.len() / 100, "{} refused afterwards", after.refused);
    assert!(after.p99() <= 2 * calm.p99(), "p99 {:?} after, {:?} before", after.p99(), calm.p99());
}

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tower::{ServiceExt, service_fn};

use super::*;
use crate::call::body::BatchCall;
use crate::call::code::Code;
use crate::call::deadline::Deadline;
use crate::call::head::RequestHead;
use crate::call::mode::Mode;
use crate::call::response::Reply;
use crate::middleware::breaker::circuit::{BreakerCause, BreakerState};

/// Answers by the name of the method: `/ok`, `/fail`, `/slow` (10 s), `/later`
/// (accepted, and fails after a second).
fn service() -> impl Service<
    Request,
    Response = Response,
    Error = Status,
    Future = impl Future<Output = Result<Response, Status>> + Send,
> + Clone
+ Send
+ 'static {
    service_fn(|request: Request| async move {
        if let Body::Batch(calls) = request.body() {
            let results =
                calls.iter().map(|call| (call.key.clone(), answer(call.head.method().as_str()))).collect();
            return Ok(Response::new(Reply::Batch(results)));
        }
        match request.method().as_str() {
            "/slow" => {
                sleep(Duration::from_secs(10)).await;
                Ok(Response::accepted())
            }
            "/later" => Ok(Response::deferred(async {
                sleep(Duration::from_secs(1)).await;
                answer("/fail")
            })),
            method => answer(method),
        }
    })
}

fn answer(method: &str) -> Result<Response, Status> {
    match method {
        "/fail" => Err(Status::internal("as told")),
        _ => Ok(Response::accepted()),
    }
}

fn head(method: &'static str) -> Box<RequestHead> {
    let mut head = Box::<RequestHead>::default();
    head.set_method(method);
    head
}

fn request(method: &'static str) -> Request {
    Request::from_parts(head(method), Body::message(0_i64))
}

fn batch(methods: &[&'static str]) -> Request {
    let calls = methods.iter().zip(0_i64..);
    Request::batch_of(
        calls.map(|(method, key)| BatchCall::new(key.into(), head(method), Body::message(0_i64))).collect(),
    )
}

fn layer() -> BreakerLayer {
    BreakerLayer::new(BreakerPolicy::new().consecutive_failures(2).probes(1).jitter(0.0))
}

#[tokio::test(start_paused = true)]
async fn it_opens_refuses_probes_and_closes() {
    let changes = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&changes);
    let layer =
        layer().on_change(move |change| seen.lock().expect("no panic").push((change.to, change.cause)));
    let breaker = layer.layer(service());
    for _ in 0..2 {
        assert_eq!(
            breaker.clone().oneshot(request("/fail")).await.expect_err("fails").code(),
            Code::Internal
        );
    }
    let refused = breaker.clone().oneshot(request("/ok")).await.expect_err("open");
    assert_eq!((refused.code(), refused.is_unsent()), (Code::Unavailable, true));
    assert_eq!(refused.message(), "the circuit breaker is open for another 5s: the last 2 calls failed");

    sleep(Duration::from_secs(5)).await;
    let probe = tokio::spawn(breaker.clone().oneshot(request("/slow")));
    tokio::task::yield_now().await;
    let refused = breaker.clone().oneshot(request("/ok")).await.expect_err("half open");
    assert!(refused.message().contains("its probes are on their way"), "{refused}");
    assert!(probe.await.expect("no panic").is_ok());
    assert!(breaker.clone().oneshot(request("/ok")).await.is_ok());
    assert_eq!(
        *changes.lock().expect("no panic"),
        [
            (BreakerState::Open, BreakerCause::ConsecutiveFailures(2)),
            (BreakerState::HalfOpen, BreakerCause::TimeOver),
            (BreakerState::Closed, BreakerCause::ProbesSucceeded),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_dropped_gives_its_place_back() {
    let breaker = layer().layer(service());
    for _ in 0..2 {
        let _ = breaker.clone().oneshot(request("/fail")).await;
    }
    sleep(Duration::from_secs(5)).await;
    let timeout = tokio::time::timeout(Duration::from_secs(1), breaker.clone().oneshot(request("/slow")));
    assert!(timeout.await.is_err());
    assert!(breaker.clone().oneshot(request("/ok")).await.is_ok(), "it is the probe now");
    assert_eq!(breaker.breaker().state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_after_its_deadline_has_failed() {
    let breaker = layer().layer(service());
    for _ in 0..2 {
        let mut late = request("/slow");
        late.head_mut().set_deadline(Some(Deadline::after(Duration::from_secs(1))));
        let timeout = tokio::time::timeout(Duration::from_secs(1), breaker.clone().oneshot(late));
        assert!(timeout.await.is_err());
    }
    assert_eq!(breaker.breaker().state(), BreakerState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_result_that_comes_later_counts_when_it_comes() {
    let breaker = layer().layer(service());
    for _ in 0..2 {
        let response = breaker.clone().oneshot(request("/later")).await.expect("accepted");
        assert_eq!(breaker.breaker().state(), BreakerState::Closed);
        let Reply::Deferred(later) = response.into_body() else { panic!("not deferred") };
        assert!(later.await.is_err());
    }
    assert_eq!(breaker.breaker().state(), BreakerState::Open);
}

#[tokio::test]
async fn a_batch_counts_with_each_of_its_calls() {
    let breaker = layer().layer(service());
    assert!(breaker.clone().oneshot(batch(&["/ok", "/fail", "/fail"])).await.is_ok());
    assert_eq!(breaker.breaker().state(), BreakerState::Open);
    let refused = breaker.clone().oneshot(batch(&["/ok", "/ok"])).await.expect_err("open");
    assert!(refused.is_unsent());
}

#[tokio::test]
async fn methods_of_their_own_fail_alone_also_in_a_batch() {
    let breaker = layer().per_method().layer(service());
    for _ in 0..2 {
        let _ = breaker.clone().oneshot(request("/fail")).await;
    }
    assert_eq!(breaker.breaker().state_of(request("/fail").method()), BreakerState::Open);
    assert!(breaker.clone().oneshot(request("/ok")).await.is_ok());

    let response = breaker.clone().oneshot(batch(&["/ok", "/fail", "/ok"])).await.expect("answered");
    let Reply::Batch(mut results) = response.into_body() else { panic!("no batch") };
    results.sort_by(|a, b| a.0.cmp(&b.0));
    let ended: Vec<_> = results.iter().map(|(_, result)| result.as_ref().err().map(Status::code)).collect();
    assert_eq!(ended, [None, Some(Code::Unavailable), None]);

    let mut unheard = batch(&["/ok", "/fail"]);
    unheard.head_mut().set_mode(Mode::NoResult);
    let refused = breaker.clone().oneshot(unheard).await.expect_err("nobody would hear of the one");
    assert!(refused.message().contains("the circuit breaker of /fail is open"), "{refused}");

    breaker.breaker().force_open();
    assert!(breaker.clone().oneshot(request("/new")).await.is_err(), "held open, methods to come too");
    breaker.breaker().automatic();
    assert!(breaker.clone().oneshot(request("/fail")).await.is_err_and(|e| e.code() == Code::Internal));
}

#[tokio::test]
async fn names_without_end_do_not_grow_it() {
    let breaker = layer().per_method().layer(service());
    for name in 0..5_000 {
        let mut call = request("/ok");
        call.head_mut().set_method(format!("/made/up/{name}"));
        assert!(breaker.clone().oneshot(call).await.is_ok());
    }
    assert_eq!(breaker.breaker().methods(), 1_024);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn under_concurrency_no_probe_is_too_many() {
    const CALLS: usize = 64;
    const PROBES: usize = 3;
    let gate = Arc::new(Semaphore::new(0));
    let running = Arc::new(AtomicUsize::new(0));
    let gated = {
        let (gate, running) = (Arc::clone(&gate), Arc::clone(&running));
        service_fn(move |request: Request| {
            let (gate, running) = (Arc::clone(&gate), Arc::clone(&running));
            async move {
                if request.method().as_str() == "/fail" {
                    return answer("/fail");
                }
                running.fetch_add(1, Ordering::SeqCst);
                gate.acquire().await.expect("never closed").forget();
                Ok(Response::accepted())
            }
        })
    };
    let policy = BreakerPolicy::new().consecutive_failures(1).probes(PROBES as u32).open_for(Duration::ZERO);
    let breaker = BreakerLayer::new(policy).layer(gated);
    for _ in 0..20 {
        running.store(0, Ordering::SeqCst);
        let _ = breaker.clone().oneshot(request("/fail")).await;
        let mut calls: JoinSet<_> = (0..CALLS).map(|_| breaker.clone().oneshot(request("/ok"))).collect();
        // All but the probes are refused while none of those has ended.
        for _ in PROBES..CALLS {
            let ended = tokio::time::timeout(Duration::from_secs(30), calls.join_next()).await;
            let result = ended.expect("it is refused at once").expect("64 calls").expect("no panic");
            assert_eq!(result.expect_err("refused").code(), Code::Unavailable);
        }
        assert_eq!(running.load(Ordering::SeqCst), PROBES);
        gate.add_permits(PROBES);
        while let Some(result) = calls.join_next().await {
            assert!(result.expect("no panic").is_ok());
        }
        assert_eq!(breaker.breaker().state(), BreakerState::Closed);
    }
}

#[tokio::test]
async fn one_breaker_of_several_services_is_told_like_any_other() {
    let changes = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&changes);
    let counted = layer().per_method().on_change(move |_| {
        seen.fetch_add(1, Ordering::SeqCst);
    });
    let shared = counted.shared();
    let (one, other) = (shared.layer(service()), shared.layer(service()));
    for _ in 0..2 {
        let _ = one.clone().oneshot(request("/fail")).await;
    }
    assert_eq!(changes.load(Ordering::SeqCst), 1);
    let refused = other.clone().oneshot(request("/fail")).await.expect_err("open for both");
    assert!(refused.message().contains("the circuit breaker of /fail is open"), "{refused}");
    assert!(other.oneshot(request("/ok")).await.is_ok(), "each method has its own");

    let (breaker, fail, ok) = (shared.breaker(), request("/fail"), request("/ok"));
    assert_eq!((breaker.state(), breaker.admits()), (BreakerState::Open, false), "one of them is");
    assert!(!breaker.admits_method(fail.method()) && breaker.admits_method(ok.method()));
    assert_eq!(breaker.state_of(ok.method()), BreakerState::Closed);
}

#[tokio::test]
async fn a_panic_of_who_hears_of_changes_is_not_the_calls() {
    let breaker = layer().on_change(|_| panic!("as told")).layer(service());
    for _ in 0..2 {
        let error = breaker.clone().oneshot(request("/fail")).await.expect_err("fails");
        assert_eq!(error.code(), Code::Internal);
    }
    assert_eq!(breaker.breaker().state(), BreakerState::Open);
}

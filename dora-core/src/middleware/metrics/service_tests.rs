use std::collections::BTreeMap;
use std::time::Duration;

use ::metrics::with_local_recorder;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tower::{ServiceExt, service_fn};

use super::*;
use crate::call::body::{BatchCall, Body};
use crate::call::method::{Method, ServiceDescriptor};
use crate::call::pushback::Pushback;
use crate::middleware::breaker::policy::BreakerPolicy;
use crate::middleware::breaker::service::BreakerLayer;
use crate::middleware::limit::concurrency::ConcurrencyLimitLayer;
use crate::middleware::metrics::report;
use crate::middleware::retry::policy::RetryPolicy;
use crate::middleware::retry::service::RetryLayer;

static WORK: ServiceDescriptor = ServiceDescriptor::new("t.Work", &[&GET]);
static GET: Method = Method::new(&WORK, "Get", "/t.Work/Get").with_idempotent();

/// Runs `work` with a clock that stands, and gives all metrics that it recorded: counters and
/// gauges as they are, of histograms their values.
fn recorded(work: impl Future<Output = ()>) -> BTreeMap<String, Vec<f64>> {
    let recorder = DebuggingRecorder::new();
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().expect("a runtime");
    with_local_recorder(&recorder, || runtime.block_on(work));
    let metrics = recorder.snapshotter().snapshot().into_vec().into_iter();
    metrics
        .map(|(key, _, _, value)| {
            let labels = key.key().labels().map(|label| format!(" {}={}", label.key(), label.value()));
            let name = format!("{}{}", key.key().name(), labels.collect::<String>());
            let values = match value {
                DebugValue::Counter(count) => vec![count as f64],
                DebugValue::Gauge(value) => vec![value.into_inner()],
                DebugValue::Histogram(values) => values.into_iter().map(|value| value.into_inner()).collect(),
            };
            (name, values)
        })
        .collect()
}

fn call(method: Option<&'static Method>) -> Request {
    let mut request = Request::new(Body::message(0_i64));
    match method {
        Some(method) => request.head_mut().resolve(method),
        None => request.head_mut().set_method("/from/outside"),
    }
    request
}

/// A service that takes 250 ms and ends as it is told.
fn service(
    ends: impl Fn() -> Result<Response, Status> + Clone + Send + Sync + 'static,
) -> impl Service<Request, Response = Response, Error = Status, Future: Send> + Clone + Send + 'static {
    service_fn(move |_: Request| {
        let ends = ends.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(250)).await;
            ends()
        }
    })
}

#[test]
fn calls_are_measured_by_method_and_how_they_ended() {
    let metrics = recorded(async {
        let layer = MetricsLayer::server();
        let fine = layer.layer(service(|| Ok(Response::accepted())));
        for method in [Some(&GET), Some(&GET), None] {
            fine.clone().oneshot(call(method)).await.expect("it is fine");
        }
        let failing = layer.layer(service(|| Err(Status::not_found("x"))));
        failing.oneshot(call(Some(&GET))).await.expect_err("it fails");
        // Given up.
        let given_up = tokio::time::timeout(Duration::from_millis(100), fine.oneshot(call(Some(&GET))));
        assert!(given_up.await.is_err());
    });
    let duration = |labels: &str| {
        metrics.get(&format!("rpc.server.call.duration rpc.system.name=dora rpc.method={labels}")).cloned()
    };
    let get = |code: &str| duration(&format!("t.Work/Get rpc.response.status_code={code}"));
    assert_eq!(get("Ok"), Some(vec![0.25, 0.25]), "{metrics:#?}");
    assert_eq!(get("NotFound error.type=NotFound"), Some(vec![0.25]), "{metrics:#?}");
    assert_eq!(get("Cancelled error.type=Cancelled"), Some(vec![0.1]), "{metrics:#?}");
    assert_eq!(duration("_OTHER rpc.response.status_code=Ok"), Some(vec![0.25]), "{metrics:#?}");
    assert_eq!(metrics["dora.server.active_calls rpc.method=t.Work/Get"], [0.0]);
}

#[test]
fn what_runs_is_counted_until_its_later_result() {
    let metrics = recorded(async {
        let later =
            service_fn(|_: Request| async { Ok::<_, Status>(Response::deferred(std::future::pending())) });
        let response = MetricsLayer::client().layer(later).oneshot(call(Some(&GET))).await;
        std::mem::forget(response);
    });
    assert_eq!(metrics["dora.client.active_calls rpc.method=t.Work/Get"], [1.0]);
}

#[test]
fn refusals_are_counted_beside_other_failures() {
    let metrics = recorded(async {
        let layer = MetricsLayer::server();
        let refused = || Status::resource_exhausted("x").with_pushback(Pushback::After(Duration::ZERO));
        layer.layer(service(move || Err(refused()))).oneshot(call(Some(&GET))).await.expect_err("refused");
        let other = layer.layer(service(|| Err(Status::resource_exhausted("the disk"))));
        other.oneshot(call(Some(&GET))).await.expect_err("fails");
    });
    assert_eq!(metrics["dora.server.calls_refused rpc.method=t.Work/Get"], [1.0]);
}

#[test]
fn a_batch_of_a_client_is_one() {
    let metrics = recorded(async {
        let calls = (0_i64..3).map(|key| BatchCall::new(key.into(), Box::default(), Body::message(0_i64)));
        let batch = Request::batch_of(calls.collect());
        let client = MetricsLayer::client().layer(service(|| Ok(Response::new(Reply::Batch(Vec::new())))));
        client.oneshot(batch).await.expect("it is fine");
    });
    let name = "rpc.client.call.duration rpc.system.name=dora rpc.method=(batch) rpc.response.status_code=Ok";
    assert_eq!(metrics[name], [0.25]);
}

#[test]
fn retries_breakers_and_limits_tell_of_themselves() {
    let metrics = recorded(async {
        let policy = RetryPolicy::new().on_retry(report::retried);
        let retried = RetryLayer::new(policy).layer(service(|| Err(Status::unavailable("x"))));
        retried.oneshot(call(Some(&GET))).await.expect_err("three times");

        let policy = BreakerPolicy::new().consecutive_failures(2);
        let broken = BreakerLayer::new(policy).on_change(report::breaker("users"));
        let broken = broken.layer(service(|| Err(Status::unavailable("x"))));
        for _ in 0..3 {
            broken.clone().oneshot(call(Some(&GET))).await.expect_err("it fails");
        }
        report::record_limit("server", &ConcurrencyLimitLayer::new(7));
    });
    assert_eq!(metrics["dora.client.retries rpc.method=t.Work/Get"], [2.0]);
    assert_eq!(metrics["dora.client.breaker.state dora.breaker=users"], [2.0]);
    assert_eq!(metrics["dora.client.breaker.changes dora.breaker=users to=open"], [1.0]);
    assert_eq!(metrics["dora.limit.most dora.limit=server"], [7.0]);
}

#[test]
fn calls_of_a_client_are_told_apart_by_server_if_wanted() {
    let at = |peer: &str| Some(Arc::<str>::from(peer));
    let metrics = recorded(async move {
        for layer in [MetricsLayer::client(), MetricsLayer::client().by_server()] {
            for peer in [at("10.0.0.1:9567"), at("unix:/run/dora"), None] {
                let fine = service(move || Ok(Response::accepted().with_peer(peer.clone())));
                layer.layer(fine).oneshot(call(Some(&GET))).await.expect("it is fine");
            }
            let failing =
                layer.layer(service(|| Err(Status::not_found("x").with_peer("10.0.0.2:80".into()))));
            failing.oneshot(call(Some(&GET))).await.expect_err("it fails");
        }
    });
    let calls = |labels: &str| {
        let name = format!("rpc.client.call.duration rpc.system.name=dora rpc.method=t.Work/Get{labels}");
        metrics.get(&name).map_or(0, Vec::len)
    };
    assert_eq!(calls(" rpc.response.status_code=Ok"), 3 + 1, "without, and nobody says who: {metrics:#?}");
    assert_eq!(calls(" server.address=10.0.0.1 server.port=9567 rpc.response.status_code=Ok"), 1);
    assert_eq!(calls(" server.address=unix:/run/dora rpc.response.status_code=Ok"), 1);
    let failed = " rpc.response.status_code=NotFound error.type=NotFound";
    assert_eq!(calls(failed), 1);
    assert_eq!(calls(&format!(" server.address=10.0.0.2 server.port=80{failed}")), 1);
}

#[test]
fn servers_beyond_the_first_share_one() {
    let metrics = recorded(async {
        let layer = MetricsLayer::client().by_server();
        for number in 0..1_030 {
            let answer = move || Ok(Response::accepted().with_peer(Some(format!("h{number}:1").into())));
            layer.layer(service(answer)).oneshot(call(Some(&GET))).await.expect("it is fine");
        }
    });
    let names = metrics.keys().filter(|name| name.contains("server.address=")).count();
    assert_eq!(names, 1_024 + 1);
    let other = "rpc.client.call.duration rpc.system.name=dora rpc.method=t.Work/Get server.address=_OTHER \
                 rpc.response.status_code=Ok";
    assert_eq!(metrics[other].len(), 1_030 - 1_024);
}

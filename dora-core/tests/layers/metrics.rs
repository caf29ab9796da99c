//! Metrics of both ends over a connection.

use std::collections::BTreeMap;
use std::sync::Arc;

use dora_core::middleware::limit::concurrency::ConcurrencyLimitLayer;
use dora_core::middleware::metrics::observer::MetricsObserver;
use dora_core::middleware::metrics::service::MetricsLayer;
use dora_core::server::Server;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use tokio::net::TcpListener;
use tower::Layer;

use crate::support::{GET, Mounted, PATIENCE, PUT, Work, batch, call, endpoint};

/// What was added to counters and gauges, and how many values histograms got, since the last
/// snapshot.
fn snapshot(snapshotter: &Snapshotter) -> BTreeMap<String, f64> {
    let metrics = snapshotter.snapshot().into_vec().into_iter();
    metrics
        .map(|(key, _, _, value)| {
            let labels = key.key().labels().map(|label| format!(" {}={}", label.key(), label.value()));
            let value = match value {
                DebugValue::Counter(count) => count as f64,
                DebugValue::Gauge(value) => value.into_inner(),
                DebugValue::Histogram(values) => values.len() as f64,
            };
            (format!("{}{}", key.key().name(), labels.collect::<String>()), value)
        })
        .collect()
}

/// Makes calls, and gives what was recorded while the connection stood.
async fn calls(snapshotter: &Snapshotter) -> BTreeMap<String, f64> {
    let work = Arc::new(Work::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = Server::builder()
        .add_service(Mounted(Arc::clone(&work)))
        .layer(MetricsLayer::server())
        .layer(ConcurrencyLimitLayer::new(2))
        .observer(MetricsObserver::server());
    let serving = tokio::spawn(server.serve_with_listener(listener, async { drop(stopped.await) }));

    let endpoint = endpoint(address).observer(MetricsObserver::client());
    let channel = endpoint.connect().await.expect("connects");
    let client = MetricsLayer::client().layer(channel.clone());
    call(&client, &PUT, 0).await.expect("an answer");
    let results = batch(&client, &GET, &[100; 5]).await.expect("answered");
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 2);

    let now = snapshot(snapshotter);
    assert_eq!(now["dora.server.connections"], 1.0, "{now:#?}");
    assert_eq!(now["dora.client.connections"], 1.0, "{now:#?}");
    // The clients of it go, and then the server.
    drop((client, channel));
    stop.send(()).expect("it serves");
    tokio::time::timeout(PATIENCE, serving).await.expect("in time").expect("no panic").expect("served");
    now
}

#[test]
fn calls_and_connections_are_measured_on_both_ends() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut after = metrics::with_local_recorder(&recorder, || runtime.block_on(calls(&snapshotter)));
    for (name, value) in snapshot(&snapshotter) {
        *after.entry(name).or_default() += value;
    }
    let duration = |end: &str, labels: &str| {
        let name = format!("rpc.{end}.call.duration rpc.system.name=dora rpc.method={labels}");
        after.get(&name).copied().unwrap_or_default()
    };
    assert_eq!(duration("server", "t.Work/Put rpc.response.status_code=Ok"), 1.0, "{after:#?}");
    assert_eq!(duration("server", "t.Work/Get rpc.response.status_code=Ok"), 2.0, "{after:#?}");
    assert_eq!(duration("client", "t.Work/Put rpc.response.status_code=Ok"), 1.0, "{after:#?}");
    assert_eq!(duration("client", "(batch) rpc.response.status_code=Ok"), 1.0, "{after:#?}");
    // Each call of a batch by itself, whatever it was called by.
    assert_eq!(after["dora.server.calls_refused rpc.method=t.Work/Get"], 3.0, "{after:#?}");
    for end in ["server", "client"] {
        assert_eq!(after[&format!("dora.{end}.connections")], 0.0, "{after:#?}");
    }
    for bytes in ["received", "sent"] {
        assert!(after[&format!("dora.server.{bytes}_bytes")] > 0.0, "{after:#?}");
    }
}

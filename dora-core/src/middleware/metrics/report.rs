//! What other layers tell of themselves.

use ::metrics::{counter, gauge};

use crate::call::head::RequestHead;
use crate::middleware::breaker::circuit::{BreakerChange, BreakerState};
use crate::middleware::limit::concurrency::ConcurrencyLimitLayer;

use super::meter::label;

/// Counts repetitions, as `dora.client.retries` by `rpc.method`: for
/// [`RetryPolicy::on_retry`](crate::middleware::retry::policy::RetryPolicy::on_retry).
///
/// ```
/// use dora::RetryPolicy;
///
/// let policy = RetryPolicy::new().on_retry(dora::metrics::retried);
/// # drop(policy);
/// ```
pub fn retried(call: &RequestHead) {
    counter!("dora.client.retries", "rpc.method" => label(call)).increment(1);
}

/// Tells the state of a breaker of this name, as the gauge `dora.client.breaker.state` (0
/// closed, 1 half open, 2 open) and the counter `dora.client.breaker.changes`, by
/// `dora.breaker`, its name; the counter by `to`, too: for
/// [`BreakerLayer::on_change`](crate::middleware::breaker::service::BreakerLayer::on_change).
/// Where each method has a circuit, the gauge is by `rpc.method`, of which there are at most
/// as many as the breaker has circuits.
///
/// ```
/// use dora::{BreakerLayer, BreakerPolicy};
///
/// let layer = BreakerLayer::new(BreakerPolicy::new()).on_change(dora::metrics::breaker("users"));
/// # drop(layer);
/// ```
pub fn breaker(name: &'static str) -> impl Fn(&BreakerChange) + Send + Sync + 'static {
    move |change| {
        let (state, word) = match change.to {
            BreakerState::Closed => (0.0, "closed"),
            BreakerState::ForcedClosed => (0.0, "forced_closed"),
            BreakerState::HalfOpen => (1.0, "half_open"),
            BreakerState::Open => (2.0, "open"),
            BreakerState::ForcedOpen => (2.0, "forced_open"),
        };
        let gauge = match &change.method {
            Some(method) => {
                let method = method.as_str().trim_start_matches('/').to_owned();
                gauge!("dora.client.breaker.state", "dora.breaker" => name, "rpc.method" => method)
            }
            None => gauge!("dora.client.breaker.state", "dora.breaker" => name),
        };
        gauge.set(state);
        counter!("dora.client.breaker.changes", "dora.breaker" => name, "to" => word).increment(1);
    }
}

/// Tells a limit of this name as it is now, as the gauges `dora.limit.running` and
/// `dora.limit.most` by `dora.limit`, its name: whenever you call it, as a limit moves
/// with every window.
///
/// ```
/// use dora::limit::{AdaptivePolicy, ConcurrencyLimitLayer};
///
/// let limit = ConcurrencyLimitLayer::adaptive(AdaptivePolicy::new());
/// dora::metrics::record_limit("server", &limit); // in a task, once a second
/// ```
pub fn record_limit(name: &'static str, limit: &ConcurrencyLimitLayer) {
    gauge!("dora.limit.running", "dora.limit" => name).set(limit.running() as f64);
    gauge!("dora.limit.most", "dora.limit" => name).set(limit.limit() as f64);
}

//! Metrics of calls, connections, retries, breakers and limits, with the
//! [`metrics`](https://docs.rs/metrics) facade: whichever recorder the program installs gets
//! them. Names are those of OpenTelemetry's
//! [conventions for RPC](https://opentelemetry.io/docs/specs/semconv/rpc/rpc-metrics/) where they
//! have one, and begin with `dora.` else. Without a recorder, and without the feature
//! `metrics`, there are none.

pub use dora_core::middleware::metrics::observer::MetricsObserver;
pub use dora_core::middleware::metrics::report::{breaker, record_limit, retried};
pub use dora_core::middleware::metrics::service::{Metered, MeteredFuture, MetricsLayer};

//! The layer that measures calls.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use ::metrics::Unit;
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower::{Layer, Service};

use crate::call::code::Code;
use crate::call::request::Request;
use crate::call::response::{Reply, Response};
use crate::call::status::{BoxError, Status};

use super::meter::{Meter, Meters, Side};

/// Measures calls with the [`metrics`](https://docs.rs/metrics) facade:
///
/// | metric | what |
/// | --- | --- |
/// | `rpc.server.call.duration`, `rpc.client.call.duration` | a histogram of seconds, by `rpc.method`, `rpc.response.status_code` and, of those that failed, `error.type` |
/// | `dora.server.active_calls`, `dora.client.active_calls` | a gauge of calls that run, by `rpc.method` |
/// | `dora.server.calls_refused`, `dora.client.calls_refused` | a counter of calls that a limit refused and told when to come again, by `rpc.method` |
///
/// `rpc.method` is `package.Service/Method`; names that nobody has declared are `_OTHER`, so
/// that callers cannot make labels, and a batch around a client is `(batch)`. A call that
/// its caller gives up is `Cancelled`. A deferred call ends with its result.
///
/// Put it around everything else, so that it sees what limits refuse and all that retries
/// take. The first call of a method asks the recorder for its metrics: install yours before.
///
/// ```
/// use dora::Server;
/// use dora::metrics::{MetricsLayer, MetricsObserver};
///
/// // `metrics_exporter_prometheus::PrometheusBuilder::new().install()?`, or another recorder.
/// let server = Server::builder().layer(MetricsLayer::server()).observer(MetricsObserver::server());
/// # drop(server);
/// ```
#[derive(Clone, Debug)]
pub struct MetricsLayer {
    side: Side,
    meters: Arc<Meters>,
}

impl MetricsLayer {
    /// For a server.
    #[must_use]
    pub fn server() -> Self {
        Self::of(Side::Server)
    }

    /// For a client.
    #[must_use]
    pub fn client() -> Self {
        Self::of(Side::Client)
    }

    /// Tells calls' durations apart by the server that has answered, or failed to, as
    /// `server.address` and `server.port`: of a fleet which of its instances is slow, and
    /// which one fails. The first 1,024 servers of a method have their own, others are
    /// `_OTHER`. Default: not, as each instance is as many time series as methods and codes
    /// are.
    ///
    /// ```
    /// use dora::Channel;
    /// use dora::metrics::MetricsLayer;
    /// use tower::ServiceBuilder;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let fleet = Channel::balance(["10.0.2.15:9567", "10.0.2.16:9567"])?;
    /// let metered = ServiceBuilder::new().layer(MetricsLayer::client().by_server()).service(fleet);
    /// # drop(metered);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn by_server(self) -> Self {
        Self { meters: Arc::new(Meters::new(self.side, true)), ..self }
    }

    fn of(side: Side) -> Self {
        ::metrics::describe_histogram!(side.duration(), Unit::Seconds, "how long calls took");
        ::metrics::describe_gauge!(side.active(), Unit::Count, "calls that run");
        ::metrics::describe_counter!(side.refused(), Unit::Count, "calls that a limit refused");
        Self { side, meters: Arc::new(Meters::new(side, false)) }
    }
}

impl<S> Layer<S> for MetricsLayer {
    type Service = Metered<S>;

    fn layer(&self, inner: S) -> Metered<S> {
        Metered { inner, meters: Arc::clone(&self.meters) }
    }
}

/// A service whose calls are measured.
#[derive(Clone, Debug)]
pub struct Metered<S> {
    inner: S,
    meters: Arc<Meters>,
}

impl<S> Service<Request> for Metered<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    type Response = Response;
    type Error = Status;
    type Future = MeteredFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.inner.poll_ready(cx).map_err(|error| Status::from_error(error.into()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let running = Running::new(self.meters.of(&request));
        MeteredFuture { call: self.inner.call(request), running: Some(running) }
    }
}

pin_project! {
    /// The future of [`Metered`].
    #[derive(Debug)]
    pub struct MeteredFuture<F> {
        #[pin]
        call: F,
        running: Option<Running>,
    }
}

impl<F, E> Future for MeteredFuture<F>
where
    F: Future<Output = Result<Response, E>>,
    E: Into<BoxError>,
{
    type Output = Result<Response, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.call.poll(cx)).map_err(|error| Status::from_error(error.into()));
        Poll::Ready(match this.running.take() {
            Some(running) => running.watch(result),
            None => result,
        })
    }
}

/// A call that runs; dropped before its end, it was given up.
#[derive(Debug)]
struct Running {
    meter: Option<Arc<Meter>>,
    begun: Instant,
}

impl Running {
    fn new(meter: Arc<Meter>) -> Self {
        meter.begun();
        Self { meter: Some(meter), begun: Instant::now() }
    }

    /// Measures what `result` says is over: a result that comes later, when it comes.
    fn watch(mut self, result: Result<Response, Status>) -> Result<Response, Status> {
        match result {
            Ok(mut response) if matches!(response.body(), Reply::Deferred(_)) => {
                response.body_mut().wrap_later(|later| async move { self.watch(later.await) });
                Ok(response)
            }
            result => {
                let server = match &result {
                    Ok(response) => response.peer(),
                    Err(status) => status.peer(),
                };
                self.end(result.as_ref().err(), server);
                result
            }
        }
    }

    fn end(&mut self, failed: Option<&Status>, server: Option<&str>) {
        if let Some(meter) = self.meter.take() {
            meter.ended(self.begun.elapsed(), failed, server);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.meter.is_some() {
            self.end(Some(&Status::new(Code::Cancelled, "the caller gave it up")), None);
        }
    }
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;

//! The layer that tries again.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::call::BoxFuture;
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::{BoxError, Status};

use super::policy::RetryPolicy;
use super::series::{Series, went_well};

/// Tries calls again that failed, where that is safe: those that surely never
/// left, and those of idempotent methods.
///
/// Of a batch those calls are tried again that failed so and may be; when the
/// batch failed as a whole it is tried again if that is safe for all of it. Of a
/// deferred call it is the acceptance that is tried again, never what runs after.
///
/// The error of the last try is the caller's, with [`Status::attempts`]. The next
/// choice of a server hears where that was (`TriedPeers`).
///
/// It stands outside of what chooses a server and of a circuit breaker, so that
/// each try is one of theirs.
///
/// ```
/// use dora::{RetryLayer, RetryPolicy};
/// use tower::ServiceBuilder;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let channel = dora::Endpoint::new("127.0.0.1:1")?.connect_lazy()?;
/// let layered = ServiceBuilder::new().layer(RetryLayer::new(RetryPolicy::new().attempts(2))).service(channel);
///
/// let client = dora::DynamicClient::new(layered);
/// let error = client.call("/user/get", 7).await.expect_err("nothing listens there");
/// assert_eq!(error.attempts(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RetryLayer {
    policy: Arc<RetryPolicy>,
}

impl RetryLayer {
    /// Tries again as `policy` says. All services that the layer is put around
    /// share its budget.
    #[must_use]
    pub fn new(policy: RetryPolicy) -> Self {
        Self { policy: Arc::new(policy) }
    }
}

impl<S> Layer<S> for RetryLayer {
    type Service = Retry<S>;

    fn layer(&self, inner: S) -> Retry<S> {
        Retry::new(inner, Some(Arc::clone(&self.policy)))
    }
}

/// A service whose calls are tried again.
#[derive(Clone, Debug)]
pub struct Retry<S> {
    pub(in crate::middleware) inner: S,
    /// `None`: they are not.
    pub(in crate::middleware) policy: Option<Arc<RetryPolicy>>,
}

impl<S> Retry<S> {
    pub(in crate::middleware) fn new(inner: S, policy: Option<Arc<RetryPolicy>>) -> Self {
        Self { inner, policy }
    }
}

impl<S> Service<Request> for Retry<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static,
{
    type Response = Response;
    type Error = Status;
    type Future = RetryFuture<S>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.inner.poll_ready(cx).map_err(|error| Status::from_error(error.into()))
    }

    fn call(&mut self, request: Request) -> RetryFuture<S> {
        let Some(policy) = &self.policy else {
            return RetryFuture { state: State::First { first: self.inner.call(request), series: None } };
        };
        policy.made(&request);
        let series = Series::new(self.inner.clone(), Arc::clone(policy), request.in_place());
        let first = self.inner.call(series.limited(request));
        RetryFuture { state: State::First { first, series: Some(series) } }
    }
}

pin_project! {
    /// The future of [`Retry`].
    pub struct RetryFuture<S: Service<Request>> {
        #[pin]
        state: State<S>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S: Service<Request>> {
        First { #[pin] first: S::Future, series: Option<Series<S>> },
        // Boxed: most calls never come here.
        Again { future: BoxFuture<Response> },
    }
}

impl<S> Future for RetryFuture<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send> + Send + 'static,
{
    type Output = Result<Response, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let future: BoxFuture<Response> = match state.as_mut().project() {
                StateProjection::Again { future } => return future.as_mut().poll(cx),
                StateProjection::First { first, series } => {
                    let polled = match series {
                        Some(series) if series.has_to_ask() => series.ask(|| first.poll(cx)),
                        _ => first.poll(cx),
                    };
                    let result = ready!(polled).map_err(|error| Status::from_error(error.into()));
                    match series.take() {
                        Some(series) if !went_well(&result) => Box::pin(series.go_on(result)),
                        _ => return Poll::Ready(result),
                    }
                }
            };
            state.set(State::Again { future });
        }
    }
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;

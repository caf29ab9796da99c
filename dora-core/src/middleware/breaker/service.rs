//! The layer of a circuit breaker.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower::util::Oneshot;
use tower::{Layer, Service};

use crate::call::BoxFuture;
use crate::call::body::Body;
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::{BoxError, Status};
use crate::middleware::sifted::send_on;

use super::circuit::{BreakerChange, CircuitBreaker, OnChange};
use super::cover::Cover;
use super::policy::BreakerPolicy;

/// Refuses calls to a service that fails, for a while, so that it can recover and
/// its callers do not wait in vain.
///
/// Each service that the layer is put around has a breaker of its own: put around
/// the channel of each instance, one that fails does not stop the others. With
/// [`per_method`](Self::per_method) each method of it has its own.
///
/// A refused call fails at once with `Code::Unavailable`, unsent, so that a retry
/// outside of the breaker may take it elsewhere. It is over when its result is
/// there, also if that comes later (deferred); a batch counts with each of its
/// calls, and where methods have circuits of their own, only calls of refused
/// methods fail. What counts as a failure, and the rest, is the
/// [`BreakerPolicy`].
///
/// A call that is dropped before its end counts for nothing, unless its deadline
/// has passed. So put timeouts of your own inside of it.
///
/// ```
/// use dora::{BreakerLayer, BreakerPolicy, Code, DynamicClient, Request, Server, Status, Value};
/// use tower::Layer as _;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let broken = |_: Request<Value>| async { Err::<Value, _>(Status::internal("no database")) };
/// let service = Server::builder().dynamic(broken).into_service()?;
///
/// let layer = BreakerLayer::new(BreakerPolicy::new().consecutive_failures(3))
///     .on_change(|change| println!("{:?} -> {:?}: {}", change.from, change.to, change.cause));
/// let client = DynamicClient::new(layer.layer(service));
///
/// for _ in 0..3 {
///     assert_eq!(client.call("/x", 1).await.expect_err("fails").code(), Code::Internal);
/// }
/// let refused = client.call("/x", 1).await.expect_err("is not made");
/// assert!(refused.message().contains("the last 3 calls failed"), "{refused}");
/// assert!(refused.is_unsent());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct BreakerLayer {
    policy: Arc<BreakerPolicy>,
    per_method: bool,
    on_change: Option<OnChange>,
}

impl BreakerLayer {
    /// A breaker for each service that the layer is put around.
    #[must_use]
    pub fn new(policy: BreakerPolicy) -> Self {
        Self { policy: Arc::new(policy), per_method: false, on_change: None }
    }

    /// Gives each method a circuit of its own: one method that fails does not stop
    /// the others. The first 1,024 names have their own, others share one.
    #[must_use]
    pub fn per_method(mut self) -> Self {
        self.per_method = true;
        self
    }

    /// Calls `function` after each change of a state, on the thread of the call
    /// that brought it. A panic of it is logged.
    #[must_use]
    pub fn on_change(mut self, function: impl Fn(&BreakerChange) + Send + Sync + 'static) -> Self {
        self.on_change = Some(Arc::new(function));
        self
    }

    /// One breaker, as told so far, for all services that the layer is put around: for one
    /// that is reached in several ways, or to have the breaker at hand.
    #[must_use]
    pub fn shared(self) -> SharedBreakerLayer {
        SharedBreakerLayer { breaker: self.breaker() }
    }

    fn breaker(&self) -> CircuitBreaker {
        CircuitBreaker::with(Arc::clone(&self.policy), None, self.per_method, self.on_change.clone())
    }
}

impl<S> Layer<S> for BreakerLayer {
    type Service = Breaker<S>;

    fn layer(&self, inner: S) -> Breaker<S> {
        Breaker { inner, breaker: self.breaker() }
    }
}

impl fmt::Debug for BreakerLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerLayer")
            .field("policy", &self.policy)
            .field("per_method", &self.per_method)
            .finish_non_exhaustive()
    }
}

/// A [`BreakerLayer`] whose services have one breaker together.
#[derive(Clone, Debug)]
pub struct SharedBreakerLayer {
    breaker: CircuitBreaker,
}

impl SharedBreakerLayer {
    /// A layer with this breaker.
    #[must_use]
    pub fn new(breaker: CircuitBreaker) -> Self {
        Self { breaker }
    }

    /// The breaker, to look at or to hold open or closed.
    #[must_use]
    pub fn breaker(&self) -> &CircuitBreaker {
        &self.breaker
    }
}

impl<S> Layer<S> for SharedBreakerLayer {
    type Service = Breaker<S>;

    fn layer(&self, inner: S) -> Breaker<S> {
        Breaker { inner, breaker: self.breaker.clone() }
    }
}

/// A service behind a circuit breaker. Clones have the same breaker.
#[derive(Clone, Debug)]
pub struct Breaker<S> {
    inner: S,
    breaker: CircuitBreaker,
}

impl<S> Breaker<S> {
    /// The breaker, to look at or to hold open or closed.
    #[must_use]
    pub fn breaker(&self) -> &CircuitBreaker {
        &self.breaker
    }
}

impl<S> Service<Request> for Breaker<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static,
{
    type Response = Response;
    type Error = Status;
    type Future = BreakerFuture<S>;

    /// Always ready, so that an open breaker refuses at once, whatever the service
    /// within is doing.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> BreakerFuture<S> {
        let inner = self.inner.clone();
        if request.is_batch() {
            let future: BoxFuture<Response> = match self.breaker.is_per_method() {
                true => Box::pin(each_by_its_method(self.breaker.clone(), inner, request)),
                false => Box::pin(all_by_one(self.breaker.clone(), inner, request)),
            };
            return BreakerFuture { state: State::Batch { future } };
        }
        let state = match Cover::of(&self.breaker, &request, Instant::now()) {
            Ok(cover) => State::Calling { call: Oneshot::new(inner, request), cover: Some(cover) },
            Err(status) => State::Refused { status: Some(status) },
        };
        BreakerFuture { state }
    }
}

pin_project! {
    /// The future of [`Breaker`].
    pub struct BreakerFuture<S: Service<Request>> {
        #[pin]
        state: State<S>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S: Service<Request>> {
        Calling { #[pin] call: Oneshot<S, Request>, cover: Option<Cover> },
        Batch { future: BoxFuture<Response> },
        Refused { status: Option<Status> },
    }
}

impl<S> Future for BreakerFuture<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    type Output = Result<Response, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Calling { call, cover } => {
                let mut result = ready!(call.poll(cx)).map_err(|error| Status::from_error(error.into()));
                if let Some(cover) = cover.take() {
                    cover.watch(&mut result, Instant::now());
                }
                Poll::Ready(result)
            }
            StateProjection::Batch { future } => future.as_mut().poll(cx),
            StateProjection::Refused { status } => {
                let ended = || Status::internal("a future was polled after it had ended");
                Poll::Ready(Err(status.take().unwrap_or_else(ended)))
            }
        }
    }
}

/// A batch where all methods have one circuit.
async fn all_by_one<S>(breaker: CircuitBreaker, inner: S, request: Request) -> Result<Response, Status>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    let cover = Cover::of(&breaker, &request, Instant::now())?;
    let mut result = Oneshot::new(inner, request).await.map_err(|error| Status::from_error(error.into()));
    cover.watch(&mut result, Instant::now());
    result
}

/// A batch where each method has a circuit: calls of those that are open fail,
/// the others are sent on.
async fn each_by_its_method<S>(
    breaker: CircuitBreaker,
    inner: S,
    request: Request,
) -> Result<Response, Status>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    let (head, body) = request.into_parts();
    let Body::Batch(calls) = body else {
        return Err(Status::internal("a single call was taken for a batch"));
    };
    let (mut passed, mut permits, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    let now = Instant::now();
    for call in calls {
        match breaker.acquire(&call.head, call.head.deadline().or(head.deadline()), now) {
            Ok(permit) => {
                permits.push((call.key.clone(), permit));
                passed.push(call);
            }
            Err(status) => refused.push((call.key, status)),
        }
    }
    let mut result = send_on(inner, head, passed, refused).await;
    Cover::Each(permits).watch(&mut result, Instant::now());
    result
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;

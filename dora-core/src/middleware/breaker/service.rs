//! The layer of a circuit breaker.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
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
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    /// A breaker for each service.
    Each { policy: Arc<BreakerPolicy>, per_method: bool, on_change: Option<OnChange> },
    /// One for all.
    Shared(CircuitBreaker),
}

impl BreakerLayer {
    /// A breaker for each service that the layer is put around.
    #[must_use]
    pub fn new(policy: BreakerPolicy) -> Self {
        Self { kind: Kind::Each { policy: Arc::new(policy), per_method: false, on_change: None } }
    }

    /// The same breaker around all services: for one that is reached in several
    /// ways, or to have the breaker at hand.
    #[must_use]
    pub fn shared(breaker: CircuitBreaker) -> Self {
        Self { kind: Kind::Shared(breaker) }
    }

    /// Gives each method a circuit of its own: one method that fails does not stop
    /// the others. The first 1,024 names have their own, others share one. Of
    /// no effect on a [`shared`](Self::shared) breaker.
    #[must_use]
    pub fn per_method(mut self) -> Self {
        if let Kind::Each { per_method, .. } = &mut self.kind {
            *per_method = true;
        }
        self
    }

    /// Calls `function` after each change of a state, on the thread of the call
    /// that brought it. Of no effect on a [`shared`](Self::shared) breaker.
    #[must_use]
    pub fn on_change(mut self, function: impl Fn(&BreakerChange) + Send + Sync + 'static) -> Self {
        if let Kind::Each { on_change, .. } = &mut self.kind {
            *on_change = Some(Arc::new(function));
        }
        self
    }
}

impl<S> Layer<S> for BreakerLayer {
    type Service = Breaker<S>;

    fn layer(&self, inner: S) -> Breaker<S> {
        let breaker = match &self.kind {
            Kind::Each { policy, per_method, on_change } => {
                CircuitBreaker::with(Arc::clone(policy), *per_method, on_change.clone())
            }
            Kind::Shared(breaker) => breaker.clone(),
        };
        Breaker { inner, breaker }
    }
}

impl fmt::Debug for BreakerLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Each { policy, .. } => f.debug_tuple("BreakerLayer").field(policy).finish(),
            Kind::Shared(breaker) => f.debug_tuple("BreakerLayer").field(breaker).finish(),
        }
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
        let state = match Cover::of(&self.breaker, &request) {
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
                let result = ready!(call.poll(cx)).map_err(|error| Status::from_error(error.into()));
                Poll::Ready(match cover.take() {
                    Some(cover) => cover.watch(result),
                    None => result,
                })
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
    let cover = Cover::of(&breaker, &request)?;
    let result = Oneshot::new(inner, request).await.map_err(|error| Status::from_error(error.into()));
    cover.watch(result)
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
    for call in calls {
        match breaker.acquire(&call.head, call.head.deadline().or(head.deadline())) {
            Ok(permit) => {
                permits.push((call.key.clone(), permit));
                passed.push(call);
            }
            Err(status) => refused.push((call.key, status)),
        }
    }
    let result = send_on(inner, head, passed, refused).await;
    Cover::Each(permits).watch(result)
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;

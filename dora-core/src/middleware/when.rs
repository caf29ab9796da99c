//! A layer around some methods only.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tower::util::Oneshot;
use tower::{Layer, Service};

use crate::call::head::RequestHead;
use crate::call::method::Method;
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::{BoxError, Status};

/// Puts a layer around the calls of those methods that a predicate picks.
///
/// The predicate sees the method as its `.proto` declares it; calls of names that
/// no service has are never picked. On a client, where a batch goes through as
/// one, it has to be said when a batch is picked, and neither answer is a safe
/// default: a layer that guards ([`any`](Self::any)) must not be got around in the
/// company of other calls, one that trusts ([`all`](Self::all)) must not be talked
/// into what holds for a part only. On a server the two are the same: there each
/// call of a batch comes by itself.
///
/// ```
/// use std::time::Duration;
/// use dora::{Request, Status, WhenLayer};
/// use tower::filter::FilterLayer;
/// use tower::timeout::TimeoutLayer;
///
/// // Nobody deletes, in a batch either.
/// let deny = FilterLayer::new(|_: Request| Err::<Request, _>(Status::permission_denied("read only")));
/// let layer = WhenLayer::any(|method| method.name() == "DeleteUser", deny);
///
/// // Whatever may be called twice is given less time (or tower's `RetryLayer`).
/// let hurry = TimeoutLayer::new(Duration::from_millis(50));
/// let layer = WhenLayer::all(|method| method.is_idempotent(), hurry);
/// # let _ = layer;
/// ```
#[derive(Clone)]
pub struct WhenLayer<P, L> {
    predicate: Arc<P>,
    picks: Picks,
    layer: L,
}

/// When a batch is picked.
#[derive(Clone, Copy, Debug)]
enum Picks {
    Any,
    All,
}

impl<P: Fn(&'static Method) -> bool, L> WhenLayer<P, L> {
    /// Puts `layer` around the methods that `predicate` picks, and on a client
    /// around the batches that have one of them: for layers that forbid or limit.
    pub fn any(predicate: P, layer: L) -> Self {
        Self { predicate: Arc::new(predicate), picks: Picks::Any, layer }
    }

    /// Puts `layer` around the methods that `predicate` picks, and on a client
    /// around the batches that have no others: for layers that rely on what is
    /// picked, as one that calls again does.
    pub fn all(predicate: P, layer: L) -> Self {
        Self { predicate: Arc::new(predicate), picks: Picks::All, layer }
    }
}

impl Picks {
    fn of<P: Fn(&'static Method) -> bool>(self, predicate: &P, request: &Request) -> bool {
        let mut calls = request.calls();
        let picked = |call: &RequestHead| call.descriptor().is_some_and(predicate);
        match self {
            Self::Any => calls.any(picked),
            Self::All => calls.all(picked),
        }
    }
}

impl<P, L: Layer<S>, S: Clone> Layer<S> for WhenLayer<P, L> {
    type Service = When<P, L::Service, S>;

    fn layer(&self, inner: S) -> Self::Service {
        When {
            predicate: Arc::clone(&self.predicate),
            picks: self.picks,
            picked: self.layer.layer(inner.clone()),
            others: inner,
        }
    }
}

impl<P, L: fmt::Debug> fmt::Debug for WhenLayer<P, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WhenLayer").field("layer", &self.layer).finish_non_exhaustive()
    }
}

/// A service with a layer around some of its methods.
pub struct When<P, T, S> {
    predicate: Arc<P>,
    picks: Picks,
    picked: T,
    others: S,
}

impl<P, T: Clone, S: Clone> Clone for When<P, T, S> {
    fn clone(&self) -> Self {
        Self {
            predicate: Arc::clone(&self.predicate),
            picks: self.picks,
            picked: self.picked.clone(),
            others: self.others.clone(),
        }
    }
}

impl<P, T, S> Service<Request> for When<P, T, S>
where
    P: Fn(&'static Method) -> bool,
    T: Service<Request, Response = Response, Error: Into<BoxError>> + Clone,
    S: Service<Request, Response = Response, Error: Into<BoxError>> + Clone,
{
    type Response = Response;
    type Error = Status;
    type Future = WhenFuture<T, S>;

    /// Always ready: which of the two services must be is known with the call,
    /// and waited for as a part of it.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let state = match self.picks.of(&*self.predicate, &request) {
            true => State::Picked { call: Oneshot::new(self.picked.clone(), request) },
            false => State::Other { call: Oneshot::new(self.others.clone(), request) },
        };
        WhenFuture { state }
    }
}

impl<P, T: fmt::Debug, S: fmt::Debug> fmt::Debug for When<P, T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("When")
            .field("picked", &self.picked)
            .field("others", &self.others)
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`When`].
    pub struct WhenFuture<T: Service<Request>, S: Service<Request>> {
        #[pin]
        state: State<T, S>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<T: Service<Request>, S: Service<Request>> {
        Picked { #[pin] call: Oneshot<T, Request> },
        Other { #[pin] call: Oneshot<S, Request> },
    }
}

impl<T, S> Future for WhenFuture<T, S>
where
    T: Service<Request, Response = Response, Error: Into<BoxError>>,
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    type Output = Result<Response, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Picked { call } => {
                call.poll(cx).map_err(|error| Status::from_error(error.into()))
            }
            StateProjection::Other { call } => {
                call.poll(cx).map_err(|error| Status::from_error(error.into()))
            }
        }
    }
}

//! A layer around some methods only.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tower::util::Oneshot;
use tower::{Layer, Service};

use crate::call::method::Method;
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::{BoxError, Status};

/// Puts a layer around the calls of those methods that a predicate picks.
///
/// The predicate sees the method as its `.proto` declares it; calls of names that
/// no service has are never picked. On a client a batch is picked if any of its
/// calls is: it goes through as one.
///
/// ```
/// use std::time::Duration;
/// use dora::WhenLayer;
/// use tower::timeout::TimeoutLayer;
///
/// // Whatever may be called twice is given less time.
/// let layer = WhenLayer::new(|method| method.is_idempotent(), TimeoutLayer::new(Duration::from_millis(50)));
/// # let _ = layer;
/// ```
#[derive(Clone)]
pub struct WhenLayer<P, L> {
    predicate: Arc<P>,
    layer: L,
}

impl<P: Fn(&'static Method) -> bool, L> WhenLayer<P, L> {
    /// Puts `layer` around the methods that `predicate` picks.
    pub fn new(predicate: P, layer: L) -> Self {
        Self { predicate: Arc::new(predicate), layer }
    }
}

impl<P, L: Layer<S>, S: Clone> Layer<S> for WhenLayer<P, L> {
    type Service = When<P, L::Service, S>;

    fn layer(&self, inner: S) -> Self::Service {
        When {
            predicate: Arc::clone(&self.predicate),
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
    picked: T,
    others: S,
}

impl<P, T: Clone, S: Clone> Clone for When<P, T, S> {
    fn clone(&self) -> Self {
        Self {
            predicate: Arc::clone(&self.predicate),
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
        let picked =
            request.calls().filter_map(|call| call.descriptor()).any(|method| (self.predicate)(method));
        let state = match picked {
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

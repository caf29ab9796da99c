//! What is called, known before anybody decides by it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, Stream};
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower::util::Oneshot;
use tower::{Layer, Service};

use crate::call::batch::CallKey;
use crate::call::request::Request;
use crate::call::response::{BatchResults, Reply, Response};
use crate::call::status::{BoxError, Status};

use super::route::Router;

/// Says of each call which method it is, whatever name it was called by, and
/// takes batches apart: each call goes on as a request of its own, and they run
/// concurrently.
///
/// Stands outside all layers that decide by method, so that none is walked
/// around by an alias or within a batch.
#[derive(Clone, Debug)]
pub struct ResolveLayer {
    router: Router,
}

impl ResolveLayer {
    /// Resolves the names that `router` knows.
    #[must_use]
    pub const fn new(router: Router) -> Self {
        Self { router }
    }
}

impl<S> Layer<S> for ResolveLayer {
    type Service = Resolve<S>;

    fn layer(&self, inner: S) -> Resolve<S> {
        Resolve { inner, router: self.router.clone(), last: None }
    }
}

/// A service whose calls are known by their method.
#[derive(Clone, Debug)]
pub struct Resolve<S> {
    inner: S,
    router: Router,
    /// Where the method stands that was called last: mostly it is called again.
    last: Option<u32>,
}

impl<S> Service<Request> for Resolve<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>> + Clone,
{
    type Response = Response;
    type Error = Status;
    type Future = ResolveFuture<S>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.inner.poll_ready(cx).map_err(|error| Status::from_error(error.into()))
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        if !request.is_batch() {
            self.last = self.router.resolve(request.head_mut(), self.last);
            return ResolveFuture { state: State::One { call: self.inner.call(request) } };
        }
        // All of them first, so that each is told the methods of those beside it.
        request.calls_mut().for_each(|call| self.last = self.router.resolve(call, self.last));
        let state = match request.take_apart() {
            Err(single) => State::One { call: self.inner.call(single) },
            Ok(calls) => {
                let done = Vec::with_capacity(calls.len());
                let calls = calls.into_iter();
                let running = calls.map(|(key, request)| Keyed {
                    key,
                    call: Box::pin(Oneshot::new(self.inner.clone(), request)),
                });
                State::Many { running: running.collect(), done }
            }
        };
        ResolveFuture { state }
    }
}

/// How long the calls of one batch are polled one after the other.
const SLICE: Duration = Duration::from_micros(200);

pin_project! {
    /// The future of [`Resolve`].
    pub struct ResolveFuture<S: Service<Request>> {
        #[pin]
        state: State<S>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S: Service<Request>> {
        One { #[pin] call: S::Future },
        // The results stand in the order in which the calls ended.
        Many { running: FuturesUnordered<Keyed<S>>, done: BatchResults },
    }
}

/// A call of a batch.
struct Keyed<S: Service<Request>> {
    key: CallKey,
    call: Pin<Box<Oneshot<S, Request>>>,
}

impl<S> Future for Keyed<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    type Output = (CallKey, Result<Response, Status>);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let result = ready!(self.call.as_mut().poll(cx));
        Poll::Ready((self.key.clone(), result.map_err(|error| Status::from_error(error.into()))))
    }
}

impl<S> Future for ResolveFuture<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    type Output = Result<Response, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::One { call } => call.poll(cx).map_err(|error| Status::from_error(error.into())),
            StateProjection::Many { running, done } => {
                let start = Instant::now();
                loop {
                    match ready!(Pin::new(&mut *running).poll_next(cx)) {
                        Some(result) => done.push(result),
                        None => return Poll::Ready(Ok(Response::new(Reply::Batch(std::mem::take(done))))),
                    }
                    // Others on the connection and its worker are next.
                    if start.elapsed() > SLICE {
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}

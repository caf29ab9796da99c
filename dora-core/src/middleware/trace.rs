//! A span for each call that is served.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::Status;
use crate::call::trace::{CallSpan, Traced};

/// Runs each call in a span that says which method it is, who calls, and how it
/// ended: what the handler logs is told by call, wherever it runs.
///
/// Stands where the method is known and each call of a batch is one of its own,
/// outside of what ends calls.
#[derive(Clone, Copy, Debug, Default)]
pub struct TraceLayer;

impl<S> Layer<S> for TraceLayer {
    type Service = Trace<S>;

    fn layer(&self, inner: S) -> Trace<S> {
        Trace { inner }
    }
}

/// A service whose calls have spans.
#[derive(Clone, Debug)]
pub struct Trace<S> {
    inner: S,
}

impl<S> Service<Request> for Trace<S>
where
    S: Service<Request, Response = Response, Error = Status>,
{
    type Response = Response;
    type Error = Status;
    type Future = TraceFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        match CallSpan::serve(&request) {
            None => TraceFuture { state: State::Plain { future: self.inner.call(request) } },
            Some(call) => self.call_in(call, request),
        }
    }
}

impl<S: Service<Request>> Trace<S> {
    #[cold]
    fn call_in(&mut self, call: Box<CallSpan>, request: Request) -> TraceFuture<S::Future> {
        let entered = call.enter();
        let future = self.inner.call(request);
        drop(entered);
        TraceFuture { state: State::Traced { future: Box::pin(Traced::new(call, future)) } }
    }
}

pin_project! {
    /// The future of [`Trace`].
    pub struct TraceFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F> {
        // Nobody listens.
        Plain { #[pin] future: F },
        Traced { future: Pin<Box<Traced<F>>> },
    }
}

impl<F: Future<Output = Result<Response, Status>>> Future for TraceFuture<F> {
    type Output = Result<Response, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Plain { future } => future.poll(cx),
            StateProjection::Traced { future } => future.as_mut().poll(cx),
        }
    }
}

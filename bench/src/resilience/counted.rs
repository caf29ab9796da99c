//! An instance, and when calls were given to it.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use dora::{Request, Response};
use parking_lot::Mutex;
use tower::Service;

/// A service that notes when it was called.
#[derive(Clone)]
pub(crate) struct Counted<S> {
    inner: S,
    calls: Calls,
}

/// When calls were made.
pub(crate) type Calls = Arc<Mutex<Vec<Instant>>>;

impl<S> Counted<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner, calls: Calls::default() }
    }

    pub(crate) fn calls(&self) -> Calls {
        Arc::clone(&self.calls)
    }
}

impl<S: Service<Request, Response = Response>> Service<Request> for Counted<S> {
    type Response = Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> S::Future {
        self.calls.lock().push(Instant::now());
        self.inner.call(request)
    }
}

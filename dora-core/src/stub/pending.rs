//! A result that comes later.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::call::BoxFuture;
use crate::call::status::Status;

/// The result of an accepted call. Awaiting it gives the result when the server
/// pushes it; dropping it gives the result up (the call runs on).
///
/// It has no deadline of its own: it ends with the result, with the server's own
/// limit on the call, or with the connection.
#[must_use = "the result is lost unless it is awaited"]
pub struct Pending<T>(BoxFuture<T>);

impl<T> Pending<T> {
    pub(super) fn new(future: impl Future<Output = Result<T, Status>> + Send + 'static) -> Self {
        Self(Box::pin(future))
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T, Status>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pending")
    }
}

//! A server without a connection.

use std::task::{Context, Poll};

use tower::Service;
use tower::util::Oneshot;

use crate::call::BoxFuture;
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::Status;
use crate::middleware::serves::Serves;

use super::local;

/// A whole server as a service in this process: clients of generated code stand
/// on it as on a channel.
#[derive(Clone, Debug)]
pub struct InProcess<S> {
    service: S,
}

impl<S> InProcess<S> {
    pub(crate) const fn new(service: S) -> Self {
        Self { service }
    }
}

impl<S> Service<Request> for InProcess<S>
where
    S: Serves,
{
    type Response = Response;
    type Error = Status;
    type Future = BoxFuture<Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> BoxFuture<Response> {
        let service = self.service.clone();
        local::in_mode(request, move |request| {
            let called = Oneshot::new(service, request);
            Box::pin(async move { called.await.map_err(|error| Status::from_error(error.into())) })
        })
    }
}

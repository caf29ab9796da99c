//! Layers around one service.

use std::fmt;
use std::task::{Context, Poll};

use tower::util::Oneshot;
use tower::{Layer, Service};

use crate::call::BoxFuture;
use crate::call::method::ServiceDescriptor;
use crate::call::mount::Mount;
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::Status;
use crate::middleware::serves::Serves;

use super::local;
use super::serve::call_by_name;

/// A generated server with layers around it; still one that can be mounted, and
/// a service for clients in this process.
///
/// Each call, of a batch too, goes through the layers as a request of its own.
#[derive(Clone)]
pub struct Layered<S> {
    descriptor: &'static ServiceDescriptor,
    service: S,
}

/// The methods of a mount as a service: what the layers stand around.
#[derive(Clone, Debug)]
pub struct Methods<M> {
    mount: M,
}

impl<S> Layered<S> {
    /// Puts `layer` around `mount`.
    pub fn new<M: Mount, L: Layer<Methods<M>, Service = S>>(mount: M, layer: L) -> Self {
        Self { descriptor: mount.descriptor(), service: layer.layer(Methods { mount }) }
    }

    /// Puts another layer around all of it.
    #[must_use]
    pub fn layer<L: Layer<S>>(self, layer: L) -> Layered<L::Service> {
        Layered { descriptor: self.descriptor, service: layer.layer(self.service) }
    }
}

impl<M: Mount> Service<Request> for Methods<M> {
    type Response = Response;
    type Error = Status;
    type Future = BoxFuture<Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> BoxFuture<Response> {
        call_by_name(&self.mount, request)
    }
}

impl<S> Mount for Layered<S>
where
    S: Serves + Sync,
{
    fn descriptor(&self) -> &'static ServiceDescriptor {
        self.descriptor
    }

    fn call(&self, index: usize, mut request: Request) -> BoxFuture<Response> {
        if let Some(method) = self.descriptor.methods().get(index) {
            request.head_mut().resolve(method);
        }
        // A copy for each call: a service that is not ready yet, or holds a permit
        // for a call that never comes, is nobody else's.
        let called = Oneshot::new(self.service.clone(), request);
        Box::pin(async move { called.await.map_err(|error| Status::from_error(error.into())) })
    }
}

impl<S> Service<Request> for Layered<S>
where
    S: Serves + Sync,
{
    type Response = Response;
    type Error = Status;
    type Future = BoxFuture<Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> BoxFuture<Response> {
        let layered = self.clone();
        local::serve(self.descriptor, request, move |request| {
            let called = Oneshot::new(layered.service.clone(), request);
            Box::pin(async move { called.await.map_err(|error| Status::from_error(error.into())) })
        })
    }
}

impl<S> fmt::Debug for Layered<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Layered({})", self.descriptor.name())
    }
}

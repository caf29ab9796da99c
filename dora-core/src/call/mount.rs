//! A service that can be mounted on a server.

use std::sync::Arc;

use super::BoxFuture;
use super::method::ServiceDescriptor;
use super::request::Request;
use super::response::Response;
use super::slot::BoxSlot;

/// A service that can be mounted: what generated servers are, with layers around
/// them or without.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be mounted on a server",
    note = "mount the generated server around your implementation: `UsersServer::new({Self})`",
    note = "layers go around it with its own `layer` method, so that it stays a service that can be mounted"
)]
pub trait Mount: Send + Sync + 'static {
    /// What the service is.
    fn descriptor(&self) -> &'static ServiceDescriptor;

    /// Calls the method at `index` of the descriptor's methods, for its result,
    /// whatever the request's mode: who waits for what is settled before.
    fn call(&self, index: usize, request: Request) -> BoxFuture<Response>;

    /// A slot for calls of the method at `index`, which do there what they do by
    /// [`call`](Self::call). Default: there is none, and each takes memory of its own.
    fn slot(&self, _index: usize) -> Option<BoxSlot> {
        None
    }
}

impl<M: Mount + ?Sized> Mount for Arc<M> {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        (**self).descriptor()
    }

    fn call(&self, index: usize, request: Request) -> BoxFuture<Response> {
        (**self).call(index, request)
    }

    fn slot(&self, index: usize) -> Option<BoxSlot> {
        (**self).slot(index)
    }
}

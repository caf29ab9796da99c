//! A service that can be mounted on a server.

use super::BoxFuture;
use super::method::ServiceDescriptor;
use super::request::Request;
use super::response::Response;

/// A service that can be mounted: what generated servers are.
pub trait Mount: Send + Sync + 'static {
    /// What the service is.
    fn descriptor(&self) -> &'static ServiceDescriptor;

    /// Calls the method at `index` of the descriptor's methods.
    fn call(&self, index: usize, request: Request) -> BoxFuture<Response>;
}

//! What a server can serve with.

use tower::Service;

use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::BoxError;

/// What the layers of a server make of it: a service of requests that is copied for
/// each call and runs on any thread. It is implemented for all that are.
#[diagnostic::on_unimplemented(
    message = "a server cannot serve with the layers `{Self}`",
    label = "the layers make a service that does not fit",
    note = "what layers make is to be a `tower::Service<dora::Request, Response = dora::Response>` that is `Clone`, \
            `Send` and `'static`, with futures that are `Send`, and an error that turns into a boxed one",
    note = "a layer that is not `Clone`, such as a `RateLimit`, becomes so within a `tower::buffer::BufferLayer`, \
            added before it: `.layer(BufferLayer::<dora::Request>::new(1024)).layer(RateLimitLayer::new(..))`"
)]
pub trait Serves:
    Service<Request, Response = Response, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static
{
}

#[diagnostic::do_not_recommend]
impl<S> Serves for S where
    S: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static
{
}

//! From a packed body to a typed handler and back.

use std::future::{Future, ready};

use crate::call::BoxFuture;
use crate::call::body::Body;
use crate::call::method::ServiceDescriptor;
use crate::call::mount::Mount;
use crate::call::nearest::no_method;
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::Status;
use crate::pack::message::{Message, open};

/// Runs one handler: opens the message, calls, wraps what comes back.
///
/// # Errors
/// The body is not the handler's message, or the handler's own error.
pub async fn unary<Req, Resp, F, Fut>(request: Request, handler: F) -> Result<Response, Status>
where
    Req: Message,
    Resp: Message,
    F: FnOnce(Request<Req>) -> Fut,
    Fut: Future<Output = Result<Response<Resp>, Status>>,
{
    let (head, body) = request.into_parts();
    let message = open(body)?;
    let response = handler(Request::from_parts(head, message)).await?;
    Ok(response.map(Body::message))
}

/// Calls the method of `service` that the request names: for a service that is
/// called without a router.
pub fn dispatch(service: &impl Mount, request: Request) -> BoxFuture<Response> {
    let ServiceDescriptor { methods, .. } = service.descriptor();
    let name = request.method().as_str();
    let found = methods.iter().position(|method| method.path == name || method.aliases.contains(&name));
    match found {
        Some(index) => service.call(index, request),
        None => {
            let known = methods.iter().flat_map(|method| method.aliases.iter().chain([&method.path]));
            Box::pin(ready(Err(no_method(name, known.copied()))))
        }
    }
}

/// The answer to a call of a method that the service does not have.
pub fn unknown_method(_index: usize, request: Request) -> BoxFuture<Response> {
    Box::pin(ready(Err(no_method(request.method().as_str(), std::iter::empty()))))
}

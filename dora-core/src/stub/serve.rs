//! From a packed body to a typed handler and back.

use std::future::{Future, Ready, ready};

use crate::call::BoxFuture;
use crate::call::head::RequestHead;
use crate::call::method::{Method, ServiceDescriptor};
use crate::call::mount::Mount;
use crate::call::nearest::no_method;
use crate::call::request::Request;
use crate::call::response::{Reply, Response};
use crate::call::status::Status;
use crate::pack::message::{Message, open};

use super::local;

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
    Ok(response.map(Reply::message))
}

/// Calls the methods of `service` that the request names, as a server would:
/// for a service that is called in this process.
pub fn dispatch<M: Mount + Clone>(service: &M, request: Request) -> BoxFuture<Response> {
    let service = service.clone();
    local::serve(service.descriptor(), request, move |request| call_by_name(&service, request))
}

/// Calls the method of `service` that a request of one call names.
pub(crate) fn call_by_name(service: &impl Mount, mut request: Request) -> BoxFuture<Response> {
    match method_of(service.descriptor(), request.head()) {
        Some((index, method)) => {
            request.head_mut().resolve(method);
            service.call(index, request)
        }
        None => {
            let known: Vec<_> =
                service.descriptor().methods().iter().flat_map(|method| method.names()).collect();
            let known = known.iter().map(String::as_str);
            Box::pin(ready(Err(no_method(request.method().as_str(), known))))
        }
    }
}

/// The method of `service` that a call names, and its place.
pub(super) fn method_of(
    service: &'static ServiceDescriptor,
    call: &RequestHead,
) -> Option<(usize, &'static Method)> {
    let mut methods = service.methods().iter().enumerate();
    methods.find(|(_, method)| call.is(method)).map(|(index, method)| (index, *method))
}

/// The answer of a method whose handler nobody wrote.
///
/// # Errors
/// Always: `Unimplemented`.
pub fn unimplemented<Req, Resp>(request: Request<Req>) -> Ready<Result<Response<Resp>, Status>> {
    ready(Err(Status::unimplemented(format!("this server does not implement {}", request.method()))))
}

/// The answer to a call of a method that the service does not have.
pub fn unknown_method(_index: usize, request: Request) -> BoxFuture<Response> {
    Box::pin(ready(Err(no_method(request.method().as_str(), std::iter::empty()))))
}

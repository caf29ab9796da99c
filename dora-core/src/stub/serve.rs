//! From a packed body to a typed handler and back.

use std::future::{self, Future, Ready};
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::call::BoxFuture;
use crate::call::head::RequestHead;
use crate::call::method::{Method, ServiceDescriptor};
use crate::call::mount::Mount;
use crate::call::nearest::no_method;
use crate::call::request::Request;
use crate::call::response::{Reply, Response};
use crate::call::slot::{BoxSlot, Show, Slot};
use crate::call::status::Status;
use crate::pack::message::{Message, open};

use super::local;

/// Runs one handler: opens the message, calls, wraps what comes back.
///
/// # Errors
/// The body is not the handler's message, or the handler's own error.
pub fn unary<Req, Resp, F, Fut>(
    request: Request,
    handler: F,
) -> impl Future<Output = Result<Response, Status>>
where
    Req: Message,
    Resp: Message,
    F: FnOnce(Request<Req>) -> Fut,
    Fut: Future<Output = Result<Response<Resp>, Status>>,
{
    Unary { state: State::Unopened { request, handler }, message: PhantomData }
}

/// A slot for calls of `handler`, each of which is as [`unary`].
pub fn slot<Req, Resp, F, Fut>(handler: F) -> BoxSlot
where
    Req: Message,
    Resp: Message,
    F: FnOnce(Request<Req>) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<Response<Resp>, Status>> + Send + 'static,
{
    let call = Unary { state: State::Ended, message: PhantomData };
    Box::pin(UnarySlot { handler, call })
}

/// A single call in a slot of its own.
#[must_use]
pub fn call_in(mut slot: BoxSlot, request: Request) -> BoxFuture<Response> {
    slot.as_mut().put(request);
    slot
}

pin_project! {
    /// A handler at work. Of an `async fn` the request, its message and what the handler makes
    /// of them would each have a place; here they have one.
    struct Unary<Req, F, Fut> {
        #[pin]
        state: State<F, Fut>,
        message: PhantomData<fn(Req)>,
    }
}

pin_project! {
    #[project = StateProjection]
    #[project_replace = StateReplaced]
    enum State<F, Fut> {
        Unopened { request: Request, handler: F },
        Running { #[pin] running: Fut },
        Ended,
    }
}

impl<Req, Resp, F, Fut> Unary<Req, F, Fut>
where
    Req: Message,
    F: FnOnce(Request<Req>) -> Fut,
    Fut: Future<Output = Result<Response<Resp>, Status>>,
{
    #[inline]
    fn poll_typed(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Response<Resp>, Status>> {
        let mut state = self.project().state;
        if matches!(*state, State::Unopened { .. })
            && let StateReplaced::Unopened { request, handler } = state.as_mut().project_replace(State::Ended)
        {
            let (head, body) = request.into_parts();
            let running = handler(Request::from_parts(head, open(body)?));
            state.set(State::Running { running });
        }
        let StateProjection::Running { running } = state.as_mut().project() else {
            return Poll::Ready(Err(Status::internal("a future was polled after it had ended")));
        };
        let result = ready!(running.poll(cx));
        state.set(State::Ended);
        // It ran, whatever a call that it made itself came to.
        Poll::Ready(result.map_err(Status::maybe_sent))
    }
}

impl<Req, Resp, F, Fut> Future for Unary<Req, F, Fut>
where
    Req: Message,
    Resp: Message,
    F: FnOnce(Request<Req>) -> Fut,
    Fut: Future<Output = Result<Response<Resp>, Status>>,
{
    type Output = Result<Response, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_typed(cx).map_ok(|response| response.map(Reply::message))
    }
}

pin_project! {
    /// Calls of one handler, one at a time.
    struct UnarySlot<Req, F, Fut> {
        handler: F,
        #[pin]
        call: Unary<Req, F, Fut>,
    }
}

impl<Req, Resp, F, Fut> Future for UnarySlot<Req, F, Fut>
where
    Req: Message,
    Resp: Message,
    F: FnOnce(Request<Req>) -> Fut,
    Fut: Future<Output = Result<Response<Resp>, Status>>,
{
    type Output = Result<Response, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().call.poll(cx)
    }
}

impl<Req, Resp, F, Fut> Slot for UnarySlot<Req, F, Fut>
where
    Req: Message,
    Resp: Message,
    F: FnOnce(Request<Req>) -> Fut + Clone + Send,
    Fut: Future<Output = Result<Response<Resp>, Status>> + Send,
{
    fn put(self: Pin<&mut Self>, request: Request) {
        let this = self.project();
        let handler = this.handler.clone();
        this.call.project().state.set(State::Unopened { request, handler });
    }

    fn poll_shown(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        show: &mut Show<'_>,
    ) -> Poll<Result<(), Status>> {
        let response = ready!(self.project().call.poll_typed(cx))?;
        show(response.metadata(), response.body());
        Poll::Ready(Ok(()))
    }
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
            Box::pin(future::ready(Err(no_method(request.method().as_str(), known))))
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
    future::ready(Err(Status::unimplemented(format!("this server does not implement {}", request.method()))))
}

/// The answer to a call of a method that the service does not have.
pub fn unknown_method(_index: usize, request: Request) -> BoxFuture<Response> {
    Box::pin(future::ready(Err(no_method(request.method().as_str(), std::iter::empty()))))
}

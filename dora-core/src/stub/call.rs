//! A typed call that is being put together.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tower::Service;
use tower::util::Oneshot;

use crate::call::body::Body;
use crate::call::deadline::Deadline;
use crate::call::method::{Method, MethodName};
use crate::call::mode::Mode;
use crate::call::request::{IntoRequest, Request};
use crate::call::response::Response;
use crate::call::status::{BoxError, Status};
use crate::pack::message::{Message, open};

use super::pending::Pending;

/// Whatever calls can be made through: a channel, tower layers over one, or a
/// generated server in this process.
pub trait Caller: Service<Request, Response = Response, Error: Into<BoxError>> + Clone {}

impl<S> Caller for S where S: Service<Request, Response = Response, Error: Into<BoxError>> + Clone {}

/// A call that is being put together; awaiting it makes it.
///
/// `M` says what is awaited: [`Wait`] the result, [`NoResult`] the
/// acknowledgement alone, [`Deferred`] the acknowledgement, with the result to
/// be awaited later.
#[must_use = "a call is made when it is awaited"]
pub struct Call<S, Req, Resp, M = Wait> {
    service: S,
    pub(super) target: Target,
    timeout: Option<Duration>,
    idempotent: Option<bool>,
    pub(super) request: Request<Req>,
    result: PhantomData<fn() -> (Resp, M)>,
}

/// What is called.
pub(super) enum Target {
    Method(&'static Method),
    Name(MethodName),
}

impl<S, Req, Resp, M> Call<S, Req, Resp, M> {
    /// A call of a method of a `.proto`.
    pub fn new(service: S, method: &'static Method, request: impl IntoRequest<Req>) -> Self {
        Self::to(service, Target::Method(method), request.into_request())
    }

    /// A call of whatever is behind `name`.
    pub fn named(service: S, name: impl Into<MethodName>, request: impl IntoRequest<Req>) -> Self {
        Self::to(service, Target::Name(name.into()), request.into_request())
    }

    fn to(service: S, target: Target, request: Request<Req>) -> Self {
        Self { service, target, timeout: None, idempotent: None, request, result: PhantomData }
    }

    /// How long the caller waits, in place of the method's own timeout and the
    /// channel's. Counted from when the call is awaited.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The moment at which the caller gives up: for a call on behalf of another
    /// one, that one's [`Request::deadline`].
    pub fn deadline(mut self, deadline: Deadline) -> Self {
        self.request.head_mut().deadline = Some(deadline);
        self
    }

    /// Adds a metadata pair.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.request.metadata_mut().append(key, value);
        self
    }

    /// Says whether calling twice is the same as calling once, in place of what
    /// the method's options say.
    pub fn idempotent(mut self, idempotent: bool) -> Self {
        self.idempotent = Some(idempotent);
        self
    }

    /// Waits for the result.
    pub fn wait(self) -> Call<S, Req, Resp, Wait> {
        self.awaiting()
    }

    /// Waits for the acknowledgement that the call was accepted; its result is
    /// not wanted.
    pub fn no_result(self) -> Call<S, Req, Resp, NoResult> {
        self.awaiting()
    }

    /// Waits for the acknowledgement; the result is awaited later.
    pub fn deferred(self) -> Call<S, Req, Resp, Deferred> {
        self.awaiting()
    }

    fn awaiting<N>(self) -> Call<S, Req, Resp, N> {
        let Self { service, target, timeout, idempotent, request, result: _ } = self;
        Call { service, target, timeout, idempotent, request, result: PhantomData }
    }
}

impl<S, Req: Message, Resp, M: Awaited<Resp>> Call<S, Req, Resp, M> {
    /// The service and the request for it.
    pub(super) fn into_request(self) -> (S, Request) {
        let Self { service, target, timeout, idempotent, request, .. } = self;
        let (mut head, message) = request.into_parts();
        let own = match target {
            Target::Name(name) => {
                head.method = name;
                None
            }
            Target::Method(method) => {
                head.method = MethodName::from_static(method.path);
                head.legacy_name = method.aliases.first().copied();
                head.idempotent |= method.idempotent;
                method.timeout
            }
        };
        head.idempotent = idempotent.unwrap_or(head.idempotent);
        head.mode = M::MODE;
        // Whichever is earlier: a deadline that is passed on does not stretch the
        // method's own timeout.
        let timeout = timeout.or(own).map(Deadline::after);
        head.deadline = timeout.into_iter().chain(head.deadline).min();
        (service, Request::from_parts(head, Body::message(message)))
    }
}

impl<S: Caller, Req: Message, Resp: Message> Call<S, Req, Resp, Wait> {
    /// Makes the call for the whole response, with its metadata.
    ///
    /// # Errors
    /// As awaiting the call itself.
    pub async fn response(self) -> Result<Response<Resp>, Status> {
        let (service, request) = self.into_request();
        let response = Oneshot::new(service, request).await;
        let (metadata, body) = response.map_err(|error| Status::from_error(error.into()))?.into_parts();
        Ok(Response::from_parts(metadata, open(body)?))
    }
}

impl<S: Caller, Req: Message, Resp: Message, M: Awaited<Resp>> IntoFuture for Call<S, Req, Resp, M> {
    type Output = Result<M::Output, Status>;
    type IntoFuture = CallFuture<S, Resp, M>;

    fn into_future(self) -> Self::IntoFuture {
        let (service, request) = self.into_request();
        CallFuture { response: Oneshot::new(service, request), result: PhantomData }
    }
}

impl<S, Req, Resp, M> fmt::Debug for Call<S, Req, Resp, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name: &dyn fmt::Display = match &self.target {
            Target::Method(method) => &method.path,
            Target::Name(name) => name,
        };
        write!(f, "Call({name})")
    }
}

pin_project! {
    /// The future of a [`Call`].
    pub struct CallFuture<S: Service<Request>, Resp, M> {
        #[pin]
        response: Oneshot<S, Request>,
        result: PhantomData<fn() -> (Resp, M)>,
    }
}

impl<S: Caller, Resp, M: Awaited<Resp>> Future for CallFuture<S, Resp, M> {
    type Output = Result<M::Output, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let response = ready!(self.project().response.poll(cx));
        Poll::Ready(match response {
            Ok(response) => M::output(response.into_body()),
            Err(error) => Err(Status::from_error(error.into())),
        })
    }
}

/// What awaiting a call gives.
pub trait Awaited<Resp> {
    /// The mode on the wire.
    const MODE: Mode;
    /// What the caller gets.
    type Output;

    /// The output from the body of the response.
    ///
    /// # Errors
    /// The body is not what it should be.
    fn output(body: Body) -> Result<Self::Output, Status>;
}

/// The result is awaited.
#[derive(Debug)]
pub enum Wait {}

/// The acknowledgement is awaited; the result is not wanted.
#[derive(Debug)]
pub enum NoResult {}

/// The acknowledgement is awaited; the result comes later.
#[derive(Debug)]
pub enum Deferred {}

impl<Resp: Message> Awaited<Resp> for Wait {
    const MODE: Mode = Mode::Wait;
    type Output = Resp;

    fn output(body: Body) -> Result<Resp, Status> {
        open(body)
    }
}

impl<Resp> Awaited<Resp> for NoResult {
    const MODE: Mode = Mode::NoResult;
    type Output = ();

    fn output(_: Body) -> Result<(), Status> {
        Ok(())
    }
}

impl<Resp: Message> Awaited<Resp> for Deferred {
    const MODE: Mode = Mode::Deferred;
    type Output = Pending<Resp>;

    fn output(body: Body) -> Result<Pending<Resp>, Status> {
        Ok(Pending::new(body))
    }
}

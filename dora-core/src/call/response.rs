//! The result of a call.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;

use super::BoxFuture;
use super::batch::CallKey;
use super::body::Body;
use super::metadata::Metadata;
use super::packed::PackMessage;
use super::status::Status;

/// The result of a call that went well.
///
/// Layers see `Response<Reply>`; generated handlers give it with their message.
/// ```
/// use dora::{Response, Value, value};
///
/// // A message is a response: `Ok(user.into())` in a handler. With metadata:
/// let mut response = Response::new(value!({ "name" => "Ada" }));
/// response.metadata_mut().insert("cache", "hit");
///
/// let (metadata, user) = response.into_parts();
/// assert_eq!(metadata.get("cache"), Some("hit"));
/// assert_eq!(user.get("name"), Some(&Value::from("Ada")));
/// ```
#[derive(Clone)]
pub struct Response<T = Reply> {
    metadata: Metadata,
    peer: Option<Arc<str>>,
    body: T,
}

/// What a call was answered with, between layers.
#[non_exhaustive]
pub enum Reply {
    /// The result.
    Result(Body),
    /// The call was accepted; its result is not wanted.
    Accepted,
    /// The call was accepted; its result comes later.
    Deferred(Deferred),
    /// How each call of a batch ended.
    Batch(BatchResults),
}

/// How each call of a batch ended, under its key, in no particular order.
pub type BatchResults = Vec<(CallKey, Result<Response, Status>)>;

/// A response that comes later. Awaiting it gives it, or why there is none.
pub struct Deferred(Mutex<BoxFuture<Response>>);

impl Deferred {
    /// A response that comes when `future` ends.
    pub fn new(future: impl Future<Output = Result<Response, Status>> + Send + 'static) -> Self {
        Self(Mutex::new(Box::pin(future)))
    }
}

impl Future for Deferred {
    type Output = Result<Response, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().0.get_mut().as_mut().poll(cx)
    }
}

impl Reply {
    /// A result that is packed when it is sent.
    #[must_use]
    pub fn message<M: PackMessage>(message: M) -> Self {
        Self::Result(Body::message(message))
    }

    /// Puts another future in the place of a result that comes later, around it.
    pub(crate) fn wrap_later<F>(&mut self, wrap: impl FnOnce(Deferred) -> F)
    where
        F: Future<Output = Result<Response, Status>> + Send + 'static,
    {
        *self = match std::mem::replace(self, Self::Accepted) {
            Self::Deferred(later) => Self::Deferred(Deferred::new(wrap(later))),
            other => other,
        };
    }

    /// The result.
    ///
    /// # Errors
    /// `Code::Internal`: it is another reply than a result.
    pub fn into_result(self) -> Result<Body, Status> {
        match self {
            Self::Result(body) => Ok(body),
            other => Err(Status::internal(format!("the reply is {other:?}, and not a result"))),
        }
    }
}

impl From<Body> for Reply {
    fn from(body: Body) -> Self {
        Self::Result(body)
    }
}

/// Never the content: it is an application's, and `Debug` ends up in logs.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Result(body) => f.debug_tuple("Result").field(body).finish(),
            Self::Accepted => f.write_str("Accepted"),
            Self::Deferred(_) => f.write_str("Deferred"),
            Self::Batch(results) => write!(f, "Batch({} results)", results.len()),
        }
    }
}

impl fmt::Debug for Deferred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Deferred")
    }
}

impl Response {
    /// A response with a message that is packed when it is sent: what a mock or a
    /// cache answers.
    #[must_use]
    pub fn message<M: PackMessage>(message: M) -> Self {
        Self::new(Reply::message(message))
    }

    /// The response to a call whose result is not wanted.
    #[must_use]
    pub const fn accepted() -> Self {
        Self::new(Reply::Accepted)
    }

    /// The response to a call whose result comes later.
    pub fn deferred(later: impl Future<Output = Result<Self, Status>> + Send + 'static) -> Self {
        Self::new(Reply::Deferred(Deferred::new(later)))
    }
}

impl<T> Response<T> {
    /// A response with `body` and no metadata.
    pub const fn new(body: T) -> Self {
        Self::from_parts(Metadata::new(), body)
    }

    /// Puts a response together.
    pub const fn from_parts(metadata: Metadata, body: T) -> Self {
        Self { metadata, peer: None, body }
    }

    /// Takes a response apart.
    pub fn into_parts(self) -> (Metadata, T) {
        (self.metadata, self.body)
    }

    /// The body: the message, for a generated client.
    pub const fn body(&self) -> &T {
        &self.body
    }

    /// The body, to change.
    pub const fn body_mut(&mut self) -> &mut T {
        &mut self.body
    }

    /// The body alone.
    pub fn into_body(self) -> T {
        self.body
    }

    /// The same response with another body.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Response<U> {
        Response { metadata: self.metadata, peer: self.peer, body: change(self.body) }
    }

    /// Pairs that travel with the result.
    pub const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Pairs that travel with the result, to change.
    pub const fn metadata_mut(&mut self) -> &mut Metadata {
        &mut self.metadata
    }

    /// The server that answered, as its endpoint is called; `None` in process.
    pub fn peer(&self) -> Option<&str> {
        self.peer.as_deref()
    }

    pub(crate) fn with_peer(self, peer: Option<Arc<str>>) -> Self {
        Self { peer, ..self }
    }

    pub(crate) fn take_peer(&mut self) -> Option<Arc<str>> {
        self.peer.take()
    }
}

/// Never the body: it is an application's, and `Debug` ends up in logs.
impl<T> fmt::Debug for Response<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("metadata", &self.metadata)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

/// Lets a handler end with `Ok(message.into())`.
impl<T> From<T> for Response<T> {
    fn from(body: T) -> Self {
        Self::new(body)
    }
}

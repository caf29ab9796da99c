//! A call on its way to a handler.

use std::fmt;
use std::slice;
use std::sync::Arc;

use super::batch::{BatchEntry, BatchPart, CallKey};
use super::body::{BatchCall, Body};
use super::deadline::Deadline;
use super::extensions::Extensions;
use super::head::RequestHead;
use super::metadata::Metadata;
use super::method::Method;
use super::mode::Mode;
use super::name::MethodName;
use super::origin::{Peer, RequestOrigin};

/// A call: method, body, metadata, deadline. Cheap to clone.
///
/// Layers see `Request<Body>`; generated handlers get it with their message.
///
/// # Rules about a method
///
/// The layers of a server, and those that a generated server has by its own
/// `layer`, see one call at a time, and [`method`](Self::method) is its canonical
/// path whatever name and packet it came by. That is the place to forbid
/// something.
///
/// A layer elsewhere, around a client's channel or by hand around a server in this
/// process, sees what the caller said: a batch as one request, and a dynamic call by
/// the name that was written. A rule that holds there too, and is the same on
/// both ends, asks all calls of the request, each by whichever of its names:
///
/// ```
/// use dora::{Method, Request, ServiceDescriptor};
///
/// # static USERS: ServiceDescriptor = ServiceDescriptor::new("users.v1.Users", &[&DELETE_USER]);
/// // Generated, as `users_descriptor::DELETE_USER`.
/// static DELETE_USER: Method =
///     Method::new(&USERS, "DeleteUser", "/users.v1.Users/DeleteUser").with_aliases(&["/user/delete"]);
///
/// fn deletes(request: &Request) -> bool {
///     request.calls().any(|call| call.is(&DELETE_USER))
/// }
/// # let mut request = Request::new(dora::Body::message(dora::Value::Null));
/// # request.head_mut().set_method("/user/delete");
/// # assert!(deletes(&request));
/// ```
///
/// # Batches
///
/// On a client a batch is one request: it is sent, timed and retried as one.
/// [`calls`](Self::calls) gives the heads of all calls of a request, of a single
/// one its own; a [`when`](crate::middleware::when::WhenLayer) and an
/// [`intercept`](crate::middleware::intercept::InterceptLayer) look there too.
///
/// On a server a batch is taken apart before the first layer: each call passes
/// all layers as a request of its own, and [`batch`](Self::batch) tells what it
/// came with. So a rule or a limit of a method holds whatever packet it came in.
///
/// # Example
///
/// A client's request is its message, with whatever else is to be said:
///
/// ```
/// use std::time::Duration;
///
/// use dora::{Deadline, Request, Value, value};
///
/// let mut request = Request::new(value!({ "id" => 7 }));
/// request.metadata_mut().insert("tenant", "acme");
/// request.head_mut().set_deadline(Some(Deadline::after(Duration::from_millis(200))));
///
/// // What a handler or a layer reads on the other end:
/// assert_eq!(request.metadata().get("tenant"), Some("acme"));
/// assert!(request.deadline().is_some());
/// assert_eq!(request.body().get("id"), Some(&Value::from(7)));
/// ```
#[derive(Clone)]
pub struct Request<T = Body> {
    head: Box<RequestHead>,
    body: T,
}

impl<T> Request<T> {
    /// A request with `body` and nothing else said.
    pub fn new(body: T) -> Self {
        Self { head: Box::default(), body }
    }

    /// Puts a request together.
    pub const fn from_parts(head: Box<RequestHead>, body: T) -> Self {
        Self { head, body }
    }

    /// Takes a request apart.
    pub fn into_parts(self) -> (Box<RequestHead>, T) {
        (self.head, self.body)
    }

    /// A copy that is sent in place of this, by who answers for all copies that it makes.
    /// What became of them is known by how they end; clones, each of which is another try,
    /// tell each other.
    pub(crate) fn in_place(&self) -> Self
    where
        T: Clone,
    {
        Self { head: Box::new(self.head.in_place()), body: self.body.clone() }
    }

    /// All of it but the body.
    pub fn head(&self) -> &RequestHead {
        &self.head
    }

    /// All of it but the body, to change.
    pub fn head_mut(&mut self) -> &mut RequestHead {
        &mut self.head
    }

    /// The body: the message, in a generated handler.
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

    /// The same request with another body.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Request<U> {
        Request { head: self.head, body: change(self.body) }
    }

    /// The canonical path of the method, `/package.Service/Method`, where the method
    /// is known: in the layers of a server whatever name it was called by, in those of
    /// a client for generated calls.
    ///
    /// Else the name as its caller wrote it: of a method that nobody has declared,
    /// and, around a client, of every dynamic call. A batch on a client is called
    /// [`BATCH`](Request::BATCH). A rule about a method that may stand there asks
    /// [`calls`](Request::calls) and [`RequestHead::is`].
    pub fn method(&self) -> &MethodName {
        self.head.method()
    }

    /// The name as it was sent: for logs, and for handlers that still tell old names
    /// apart. No rule should go by it, as one method has several.
    ///
    /// On a client it is the same as [`method`](Self::method): by which of its names a
    /// generated call is sent is known when it is packed.
    pub fn called_as(&self) -> &MethodName {
        self.head.called_as()
    }

    /// The method as its `.proto` declares it, with all options; `None` for a
    /// name that no service has, and around a client for dynamic calls and for a
    /// batch as a whole.
    pub fn descriptor(&self) -> Option<&'static Method> {
        self.head.descriptor()
    }

    /// Pairs that travel with the call.
    pub fn metadata(&self) -> &Metadata {
        self.head.metadata()
    }

    /// Pairs that travel with the call, to change.
    pub fn metadata_mut(&mut self) -> &mut Metadata {
        self.head.metadata_mut()
    }

    /// When the caller gives up. Calls made on behalf of this one should carry
    /// it on: what remains of it is passed to the next server.
    pub fn deadline(&self) -> Option<Deadline> {
        self.head.deadline()
    }

    /// What the caller waits for.
    pub fn mode(&self) -> Mode {
        self.head.mode()
    }

    /// Whether calling twice is the same as calling once: of a batch, whether it
    /// is so for all its calls.
    pub fn is_idempotent(&self) -> bool {
        self.head.is_idempotent()
    }

    /// Where the call came from; `None` for one made in this process.
    pub fn origin(&self) -> Option<&RequestOrigin> {
        self.head.origin()
    }

    /// Who calls.
    pub fn peer(&self) -> &Peer {
        self.head.peer()
    }

    /// On a server, the batch that the call came in. `None` for a single call, and
    /// on a client, where a batch is a request itself: [`calls`](Request::calls) are
    /// what is in it.
    pub fn batch(&self) -> Option<&BatchPart> {
        self.head.batch()
    }

    /// Values of layers in this process.
    pub fn extensions(&self) -> &Extensions {
        self.head.extensions()
    }

    /// Values of layers in this process, to change.
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        self.head.extensions_mut()
    }
}

impl Request {
    /// The name that [`method`](Self::method) gives for a batch on a client. No
    /// service has a method of this name.
    pub const BATCH: MethodName = MethodName::from_static("(batch)");

    /// A batch of `calls`. It is idempotent if all of them are. Each needs a key of its
    /// own: a channel refuses a batch in which two have the same.
    pub fn batch_of(calls: Vec<BatchCall>) -> Self {
        let mut head = Box::<RequestHead>::default();
        head.set_method(Self::BATCH);
        head.set_idempotent(calls.iter().all(|call| call.head.is_idempotent()));
        Self { head, body: Body::Batch(calls) }
    }

    /// Whether it is a batch that is not taken apart yet.
    pub const fn is_batch(&self) -> bool {
        matches!(self.body, Body::Batch(_))
    }

    /// The heads of its calls: those of a batch that is not taken apart, else its
    /// own. A rule that is asked of them holds on both ends.
    pub fn calls(&self) -> Calls<'_> {
        match &self.body {
            Body::Batch(calls) => Calls { single: None, batch: calls.iter() },
            _ => Calls { single: Some(&self.head), batch: Default::default() },
        }
    }

    /// The heads of its calls, to change: those of a batch, else its own.
    pub fn calls_mut(&mut self) -> impl Iterator<Item = &mut RequestHead> {
        let (single, calls): (_, &mut [BatchCall]) = match &mut self.body {
            Body::Batch(calls) => (None, calls),
            _ => (Some(&mut *self.head), &mut []),
        };
        single.into_iter().chain(calls.iter_mut().map(|call| &mut *call.head))
    }

    /// Takes a batch apart: each call becomes a request with what the batch says
    /// for all of them, its own deadline if that is earlier, its own metadata
    /// behind. A single call comes back as it is.
    ///
    /// # Errors
    /// It is a single call.
    pub fn take_apart(self) -> Result<Vec<(CallKey, Self)>, Self> {
        let Body::Batch(calls) = self.body else { return Err(self) };
        let entry = |call: &BatchCall| {
            BatchEntry::new(call.key.clone(), call.head.method().clone(), call.head.descriptor())
        };
        let siblings: Arc<[BatchEntry]> = calls.iter().map(entry).collect();
        let whole = &self.head;
        let parts = calls.into_iter().enumerate().map(|(index, BatchCall { key, mut head, body })| {
            head.inherit(whole);
            head.set_batch(BatchPart::new(index, Arc::clone(&siblings)));
            (key, Self { head, body })
        });
        Ok(parts.collect())
    }
}

/// The heads of a request's calls: of a batch in their order, else the one.
///
/// A type of its own, and not an opaque one: it drops nothing, so that what a rule
/// says of the calls of a request may be followed by moving the request.
#[derive(Clone, Debug)]
pub struct Calls<'a> {
    single: Option<&'a RequestHead>,
    batch: slice::Iter<'a, BatchCall>,
}

impl<'a> Iterator for Calls<'a> {
    type Item = &'a RequestHead;

    fn next(&mut self) -> Option<&'a RequestHead> {
        self.single.take().or_else(|| self.batch.next().map(|call| &*call.head))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let calls = usize::from(self.single.is_some()) + self.batch.len();
        (calls, Some(calls))
    }
}

impl ExactSizeIterator for Calls<'_> {}

/// Never the body: it is an application's, and `Debug` ends up in logs.
impl<T> fmt::Debug for Request<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Request").field(&self.head).finish()
    }
}

/// What a generated client method takes: the message alone, or a request that
/// says more about the call.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no request of `{T}`",
    note = "a generated method takes its message, or a `dora::Request` of it"
)]
pub trait IntoRequest<T> {
    /// The request.
    fn into_request(self) -> Request<T>;

    /// The message, and what is said beside it, if anything is: a message alone needs
    /// no head before it is known who asks for one.
    #[doc(hidden)]
    fn into_message(self) -> (Option<Box<RequestHead>>, T)
    where
        Self: Sized,
    {
        let (head, message) = self.into_request().into_parts();
        (Some(head), message)
    }
}

impl<T> IntoRequest<T> for T {
    fn into_request(self) -> Request<T> {
        Request::new(self)
    }

    #[inline]
    fn into_message(self) -> (Option<Box<RequestHead>>, T) {
        (None, self)
    }
}

impl<T> IntoRequest<T> for Request<T> {
    fn into_request(self) -> Self {
        self
    }
}

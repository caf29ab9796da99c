//! A typed call that is being put together.

use std::convert::Infallible;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::call::deadline::Deadline;
use crate::call::method::Method;
use crate::call::name::MethodName;
use crate::call::packed::PackMessage;
use crate::call::request::{IntoRequest, Request};
use crate::call::response::Response;
use crate::call::status::Status;
use crate::pack::message::Message;

use super::awaited::{Awaited, Deferred, NoResult, Wait, result};
use super::batch::Batch;
use super::called::Called;
use super::caller::Caller;
use super::draft::Draft;
use super::future::CallFuture;

/// A call that is being put together; awaiting it makes it.
///
/// `M` says what is awaited: [`Wait`] the result, [`NoResult`] the
/// acknowledgement alone, [`Deferred`] the acknowledgement, with the result to
/// be awaited later.
/// ```
/// use std::time::Duration;
///
/// use dora::{DynamicClient, Request, Server, Status, Value, value};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let echo = |request: Request<Value>| async move { Ok::<Value, Status>(request.into_body()) };
/// # let users = DynamicClient::new(Server::builder().dynamic(echo).into_service()?);
/// // Of a generated client: `users.get_user(GetUserRequest { id: 7 })`.
/// let get = || users.call("/user/get", value!({ "id" => 7 }));
///
/// let user = get().timeout(Duration::from_millis(200)).metadata("tenant", "acme").await?;
/// get().no_result().await?; // acknowledged; the result is not wanted
/// let pending = get().deferred().await?; // acknowledged ..
/// assert_eq!(pending.await?, user); // .. and the result awaited later
/// # Ok(())
/// # }
/// ```
#[must_use = "a call is made when it is awaited"]
pub struct Call<S, Req, Resp, M = Wait> {
    service: S,
    draft: Draft<Req>,
    types: PhantomData<fn() -> (Resp, M)>,
}

impl<S, Req: PackMessage, Resp, M> Call<S, Req, Resp, M> {
    /// A call of a method of a `.proto`.
    #[inline]
    pub fn new(service: S, method: &'static Method, request: impl IntoRequest<Req>) -> Self {
        let (head, message) = request.into_message();
        Self { service, draft: Draft::new(method, head, message), types: PhantomData }
    }

    /// A call of whatever is behind `name`.
    pub fn named(service: S, name: impl Into<MethodName>, request: impl IntoRequest<Req>) -> Self {
        let (head, message) = request.into_message();
        Self { service, draft: Draft::named(name.into(), head, message), types: PhantomData }
    }
}

impl<S, Req, Resp, M> Call<S, Req, Resp, M> {
    /// How long the caller waits, in place of the method's own timeout and the
    /// channel's. Counted from when the call is awaited.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.draft.set_timeout(timeout);
        self
    }

    /// The moment at which the caller gives up: for a call on behalf of another
    /// one, that one's [`Request::deadline`].
    pub fn deadline(mut self, deadline: Deadline) -> Self {
        self.draft.set_deadline(deadline);
        self
    }

    /// Adds a metadata pair.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.draft.head_mut().metadata_mut().append(key, value);
        self
    }

    /// Says whether calling twice is the same as calling once, in place of what
    /// the method's options say.
    pub fn idempotent(mut self, idempotent: bool) -> Self {
        self.draft.head_mut().set_idempotent(idempotent);
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
        let Self { service, draft, types: _ } = self;
        Call { service, draft, types: PhantomData }
    }
}

impl<S, Req: Message, Resp, M: Awaited<Resp>> Call<S, Req, Resp, M> {
    /// The service and the request for it.
    pub(super) fn into_request(self) -> (S, Request) {
        (self.service, self.draft.into_request(M::MODE))
    }
}

impl<S, Req: Message, Resp: Message> Call<S, Req, Resp, Wait> {
    /// Begins a batch with this call, through the service that it is made through:
    /// that of a client, layers and all.
    ///
    /// ```
    /// use dora::{DynamicClient, Request, Server, Status, Value};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let echo = |request: Request<Value>| async move { Ok::<Value, Status>(request.into_body()) };
    /// # let php = DynamicClient::new(Server::builder().dynamic(echo).into_service()?);
    /// let (user, orders) =
    ///     php.call("/user/get", 7).batch().call(php.call("/order/list", 8)).send().await?;
    /// assert_eq!((user?, orders?), (Value::from(7), Value::from(8)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn batch(self) -> Batch<S, (Result<Resp, Status>,)> {
        let (service, request) = self.into_request();
        Batch::begun(service, request)
    }
}

impl<S: Caller, Req: Message, Resp: Message> Call<S, Req, Resp, Wait> {
    /// Makes the call for the whole response, with its metadata.
    ///
    /// # Errors
    /// As awaiting the call itself.
    pub async fn response(self) -> Result<Response<Resp>, Status> {
        let method = self.draft.name();
        let (service, request) = self.into_request();
        result(Called::new(service, request).await?, &method)
    }
}

impl<S: Caller, Req: Message, Resp: Message, M: Awaited<Resp>> Call<S, Req, Resp, M>
where
    S: Send + 'static,
    S::Future: Send,
    Resp: Send,
    M: 'static,
    M::Output: Send + 'static,
{
    /// Makes the call in a task of its own, so that it runs while its caller does
    /// something else. Dropping the handle lets it run on.
    ///
    /// Must be called within a tokio runtime.
    pub fn spawn(self) -> JoinHandle<Result<M::Output, Status>> {
        tokio::spawn(self.into_future())
    }
}

impl<S: Caller, Req: Message, Resp: Message, M: Awaited<Resp>> IntoFuture for Call<S, Req, Resp, M> {
    type Output = Result<M::Output, Status>;
    type IntoFuture = CallFuture<S, Req, Resp, M>;

    #[inline]
    fn into_future(self) -> Self::IntoFuture {
        CallFuture::new(self.service, self.draft)
    }
}

impl<S, Req, Resp, M> fmt::Debug for Call<S, Req, Resp, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({})", self.draft.name())
    }
}

/// What no call is.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a call becomes a future when it is awaited",
    label = "a call that is not made yet",
    note = "`client.method(request).spawn()` makes it in a task of its own",
    note = "where a future is expected, as by `join!`, `select!` and `tokio::spawn`: \
            `client.method(request).into_future()`, with `use std::future::IntoFuture`"
)]
pub trait NotBegun {}

/// A call is no future before it is awaited. This impl never holds; it is there for
/// what the compiler says to who spawns or joins a call as one.
#[doc(hidden)]
impl<S, Req, Resp, M> Future for Call<S, Req, Resp, M>
where
    Self: NotBegun,
{
    type Output = Infallible;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Infallible> {
        Poll::Pending
    }
}

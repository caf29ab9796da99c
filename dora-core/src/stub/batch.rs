//! Several typed calls in one packet.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tower::Service;

use crate::call::batch::CallKey;
use crate::call::body::BatchCall;
use crate::call::deadline::Deadline;
use crate::call::mode::Mode;
use crate::call::name::MethodName;
use crate::call::request::Request;
use crate::call::response::{Reply, Response};
use crate::call::status::Status;
use crate::pack::message::Message;

use super::called::Called;
use super::caller::Caller;
use super::joins::Joins;
use super::pending::Pending;
use super::results::{Ended, Results};

/// Calls that travel in one packet and run concurrently on the server.
///
/// [`call`](Self::call) adds calls of any types: their results come as a tuple in
/// the order of the calls. [`list`](Self::list) makes a batch of any length whose
/// calls have one type of result, which come as a `Vec`. Each result is a
/// `Result` of its own: one call that fails takes none of the others with it.
///
/// What is said on a call (timeout, metadata, idempotent) holds for that call;
/// what is said on the batch holds for all, and its timeout for the whole. The server
/// keeps the timeouts of calls, as all are answered at once; where each call has one, the
/// batch is given up 250 ms after the last. The
/// calls go through the service of the batch, which is of the same type as theirs:
/// a client on layers makes its batches on the same layers, or begins one with a
/// call ([`Call::batch`](crate::stub::call::Call::batch)).
///
/// ```
/// use dora::{Batch, DynamicClient, Request, Server, Status, Value};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let echo = |request: Request<Value>| async move {
/// #     match request.body() {
/// #         Value::Int(13) => Err(Status::not_found("no user 13")),
/// #         _ => Ok(request.into_body()),
/// #     }
/// # };
/// # let channel = Server::builder().dynamic(echo).into_service()?;
/// let php = DynamicClient::new(channel.clone());
/// // Of a channel: `channel.batch()`.
/// let batch = Batch::new(channel.clone());
/// let (user, orders) = batch.call(php.call("/user/get", 7)).call(php.call("/order/list", 13)).send().await?;
/// assert_eq!(user?, Value::from(7));
/// assert!(orders.is_err(), "and the user came all the same");
///
/// let mut users = Batch::new(channel).list();
/// for id in 0..10 {
///     users.push(php.call("/user/get", id));
/// }
/// let users: Result<Vec<Value>, Status> = users.send().await?.into_iter().collect();
/// assert_eq!(users?.len(), 10);
/// # Ok(())
/// # }
/// ```
#[must_use = "a batch is sent by `send`, `no_result` or `deferred`"]
pub struct Batch<S, T = ()> {
    service: S,
    calls: Vec<BatchCall>,
    head: Request<()>,
    timeout: Option<Duration>,
    results: PhantomData<fn() -> T>,
}

impl<S> Batch<S> {
    /// A batch without calls.
    pub fn new(service: S) -> Self {
        Self { service, calls: Vec::new(), head: Request::new(()), timeout: None, results: PhantomData }
    }

    /// A batch of any length, whose calls all have results of type `R`.
    pub fn list<R: Message>(self) -> Batch<S, Vec<Result<R, Status>>> {
        self.growing()
    }
}

impl<S, R> Batch<S, (Result<R, Status>,)> {
    /// A batch of one call.
    pub(super) fn begun(service: S, request: Request) -> Self {
        let (head, body) = request.into_parts();
        let mut batch = Batch::new(service);
        batch.calls.push(BatchCall::new(CallKey::Int(0), head, body));
        batch.growing()
    }
}

impl<S, R: Message> Batch<S, (Result<R, Status>,)> {
    /// A batch of any length from one that a call has begun (`call.batch()`): the calls
    /// that are added have results of its type.
    pub fn list(self) -> Batch<S, Vec<Result<R, Status>>> {
        self.growing()
    }
}

impl<S, T> Batch<S, T> {
    /// How long the caller waits for the whole. Default: the channel's timeout.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The moment at which the caller gives up: for calls on behalf of another
    /// one, that one's [`Request::deadline`].
    pub fn deadline(mut self, deadline: Deadline) -> Self {
        self.head.head_mut().set_deadline(Some(deadline));
        self
    }

    /// Adds a metadata pair for all calls.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.head.metadata_mut().append(key, value);
        self
    }

    /// The number of calls.
    #[must_use]
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether there are no calls yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Adds a call. Its mode is the batch's: of a method whose calls wait for no
    /// result by default, say `wait()`.
    pub fn call<C: Joins<S, T>>(mut self, call: C) -> Batch<S, C::Next> {
        self.add(call);
        self.growing()
    }

    fn add(&mut self, call: impl Joins<S, T>) {
        let key = CallKey::Int(i64::try_from(self.calls.len()).unwrap_or(i64::MAX));
        self.calls.push(call.join(key));
    }

    fn growing<N>(self) -> Batch<S, N> {
        let Self { service, calls, head, timeout, results: _ } = self;
        Batch { service, calls, head, timeout, results: PhantomData }
    }
}

impl<S, R: Message> Batch<S, Vec<Result<R, Status>>> {
    /// Adds a call to a batch of any length.
    pub fn push(&mut self, call: impl Joins<S, Vec<Result<R, Status>>>) {
        self.add(call);
    }
}

impl<S, R: Message, C: Joins<S, Vec<Result<R, Status>>>> Extend<C> for Batch<S, Vec<Result<R, Status>>> {
    fn extend<I: IntoIterator<Item = C>>(&mut self, calls: I) {
        calls.into_iter().for_each(|call| self.push(call));
    }
}

impl<S: Caller, T> Batch<S, T> {
    /// Sends the calls, when what it gives is awaited, and waits for all results. A
    /// list without calls is not sent.
    ///
    /// # Errors
    /// The packet as a whole failed; what came of each call is in the results.
    pub fn send(self) -> BatchFuture<S, T> {
        let (service, request, calls) = self.into_request(Mode::Wait);
        let response = (!calls.is_empty()).then(|| Called::new(service, request));
        BatchFuture { response, calls, results: PhantomData }
    }

    /// The service, the request for it, and the names of its calls.
    fn into_request(self, mode: Mode) -> (S, Request, Vec<MethodName>) {
        let Self { service, calls, head, timeout, results: _ } = self;
        let names = calls.iter().map(|call| call.head.method().clone()).collect();
        (service, batch(calls, head, timeout, mode), names)
    }
}

impl<S: Caller, T: Results> Batch<S, T> {
    /// Sends the calls and waits for the acknowledgement alone.
    ///
    /// # Errors
    /// The packet was not accepted.
    pub async fn no_result(self) -> Result<(), Status> {
        let (service, request, calls) = self.into_request(Mode::NoResult);
        if calls.is_empty() {
            return Ok(());
        }
        Called::new(service, request).await.map(drop)
    }

    /// Sends the calls and waits for the acknowledgement; the results are awaited
    /// later.
    ///
    /// # Errors
    /// The packet was not accepted.
    pub async fn deferred(self) -> Result<Pending<T>, Status> {
        let (service, request, calls) = self.into_request(Mode::Deferred);
        if calls.is_empty() {
            return Ok(Pending::new(async { T::open(&mut Ended::default()) }));
        }
        let response = Called::new(service, request).await?;
        Ok(Pending::new(async move { T::open(&mut Ended::new(settled(response).await?, calls)?) }))
    }
}

pin_project! {
    /// The future of [`Batch::send`].
    #[must_use = "a batch is sent when this is awaited"]
    pub struct BatchFuture<S: Service<Request>, T> {
        // None of a batch without calls.
        #[pin]
        response: Option<Called<S>>,
        calls: Vec<MethodName>,
        results: PhantomData<fn() -> T>,
    }
}

impl<S: Caller, T: Results> Future for BatchFuture<S, T> {
    type Output = Result<T, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut ended = match this.response.as_pin_mut() {
            None => Ended::default(),
            Some(response) => Ended::new(ready!(response.poll(cx))?, std::mem::take(this.calls))?,
        };
        Poll::Ready(T::open(&mut ended))
    }
}

/// How long after the last of its calls' own deadlines a batch is still awaited: the
/// server ends those calls itself, and what came of the others is on its way.
const GRACE: Duration = Duration::from_millis(250);

/// The request of a batch.
pub(super) fn batch(
    calls: Vec<BatchCall>,
    said: Request<()>,
    timeout: Option<Duration>,
    mode: Mode,
) -> Request {
    let own: Option<Vec<Deadline>> = calls.iter().map(|call| call.head.deadline()).collect();
    let last = own.and_then(|own| own.into_iter().max());
    let last = last.map(|last| Deadline::from_instant(last.instant(), GRACE));
    let mut request = Request::batch_of(calls);
    let (said, ()) = said.into_parts();
    let deadlines = [timeout.map(Deadline::after), said.deadline(), last];
    let deadline = deadlines.into_iter().flatten().min();
    let head = request.head_mut();
    head.metadata_mut().clone_from(said.metadata());
    head.set_deadline(deadline);
    head.set_mode(mode);
    request
}

/// The response itself, where a layer answered with it in place of a later one.
pub(super) async fn settled(response: Response) -> Result<Response, Status> {
    let (metadata, reply) = response.into_parts();
    match reply {
        Reply::Deferred(later) => later.await,
        reply => Ok(Response::from_parts(metadata, reply)),
    }
}

impl<S, T> fmt::Debug for Batch<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batch({} calls)", self.calls.len())
    }
}

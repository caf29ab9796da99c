//! Several typed calls in one packet.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use tower::Service;
use tower::util::Oneshot;

use crate::call::batch::{BatchRequest, BatchResponse, BatchResults};
use crate::call::body::Body;
use crate::call::deadline::Deadline;
use crate::call::mode::Mode;
use crate::call::response::Response;
use crate::call::status::{BoxError, Status};
use crate::pack::message::{Message, open};

use super::call::{Awaited, Call};
use super::pending::Pending;

/// Calls that travel in one packet and run concurrently on the server.
///
/// The results come as a tuple in the order of the calls, each a `Result` of its
/// own: one call that fails takes none of the others with it. The calls' own
/// services, timeouts and metadata are not used; those of the batch are.
#[must_use = "a batch is sent by `send`, `no_result` or `deferred`"]
pub struct Batch<S, T = ()> {
    service: S,
    request: BatchRequest,
    timeout: Option<Duration>,
    results: PhantomData<fn() -> T>,
}

impl<S> Batch<S> {
    /// A batch without calls.
    pub fn new(service: S) -> Self {
        Self { service, request: BatchRequest::default(), timeout: None, results: PhantomData }
    }
}

impl<S, T> Batch<S, T> {
    /// How long the caller waits. Default: the channel's timeout.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Adds a metadata pair for all calls.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.request.metadata.append(key, value);
        self
    }

    /// Adds a call.
    pub fn call<C, Req, Resp, M>(mut self, call: Call<C, Req, Resp, M>) -> Batch<S, T::Next>
    where
        T: Append<Resp>,
        Req: Message,
        M: Awaited<Resp>,
    {
        self.request.calls.push(call.into_request().1);
        let Self { service, request, timeout, .. } = self;
        Batch { service, request, timeout, results: PhantomData }
    }
}

impl<S, E, T: Results> Batch<S, T>
where
    S: Service<BatchRequest, Response = BatchResponse, Error = E>,
    E: Into<BoxError>,
{
    /// Sends the calls and waits for all results.
    ///
    /// # Errors
    /// The packet as a whole failed; what came of each call is in the tuple.
    pub async fn send(self) -> Result<T, Status> {
        match self.exchange(Mode::Wait).await? {
            BatchResponse::Results(results) => T::open(results),
            _ => Err(unexpected()),
        }
    }

    /// Sends the calls and waits for the acknowledgement alone.
    ///
    /// # Errors
    /// The packet was not accepted.
    pub async fn no_result(self) -> Result<(), Status> {
        self.exchange(Mode::NoResult).await.map(drop)
    }

    /// Sends the calls and waits for the acknowledgement; the results are awaited
    /// later.
    ///
    /// # Errors
    /// The packet was not accepted.
    pub async fn deferred(self) -> Result<Pending<T>, Status> {
        match self.exchange(Mode::Deferred).await? {
            BatchResponse::Deferred(results) => {
                Ok(Pending::of(Box::pin(async move { T::open(results.await?) })))
            }
            _ => Err(unexpected()),
        }
    }

    async fn exchange(self, mode: Mode) -> Result<BatchResponse, Status> {
        let Self { service, mut request, timeout, .. } = self;
        request.mode = mode;
        request.deadline = timeout.map(Deadline::after);
        Oneshot::new(service, request).await.map_err(|error| Status::from_error(error.into()))
    }
}

impl<S, T> fmt::Debug for Batch<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batch({} calls)", self.request.calls.len())
    }
}

fn unexpected() -> Status {
    Status::internal("the service answered a batch in another mode than it was asked")
}

/// The results of a batch, as a tuple of `Result`s.
pub trait Results: Sized {
    /// The tuple from the packed results.
    ///
    /// # Errors
    /// There are fewer results than calls.
    fn open(results: BatchResults) -> Result<Self, Status>;
}

/// A tuple of results with one more at its end.
pub trait Append<Resp> {
    /// The longer tuple.
    type Next;
}

fn next<Resp: Message>(
    results: &mut impl Iterator<Item = Result<Response<Body>, Status>>,
) -> Result<Result<Resp, Status>, Status> {
    let result = results.next().ok_or_else(|| Status::data_loss("fewer results than calls"))?;
    Ok(result.and_then(|response| open(response.into_body())))
}

macro_rules! tuples {
    ($($name:ident)*) => { tuples!(@ () $($name)*); };
    (@ ($($name:ident)*)) => {};
    (@ ($($name:ident)*) $new:ident $($rest:ident)*) => {
        impl<$($name,)* $new> Append<$new> for ($(Result<$name, Status>,)*) {
            type Next = ($(Result<$name, Status>,)* Result<$new, Status>,);
        }

        impl<$($name: Message,)* $new: Message> Results for ($(Result<$name, Status>,)* Result<$new, Status>,) {
            fn open(results: BatchResults) -> Result<Self, Status> {
                let mut results = results.into_iter();
                Ok(($(next::<$name>(&mut results)?,)* next::<$new>(&mut results)?,))
            }
        }

        tuples!(@ ($($name)* $new) $($rest)*);
    };
}

tuples!(A B C D E F G H I J K L M N O P);

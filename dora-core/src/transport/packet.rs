//! Running the calls of one packet.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::stream::{FuturesUnordered, Stream};
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower::Service;
use tower::util::Oneshot;

use crate::call::deadline::Deadline;
use crate::call::request::{Request, RequestHead, RequestOrigin};
use crate::call::response::Response;
use crate::call::status::{BoxError, Status};
use crate::guid::Guid;
use crate::pack::packet::{Call, CallKey, CallResult, Calls, RequestPacket, ResponseData};

pin_project! {
    /// The running calls of a packet; ends with the `data` of its answer.
    #[project = RunProjection]
    pub(super) enum Run<S: Service<Request>> {
        One { #[pin] call: Oneshot<S, Request> },
        Many { running: FuturesUnordered<Keyed<S>>, done: Vec<(CallKey, CallResult)> },
    }
}

/// Whence a packet came, and when.
#[derive(Clone, Copy)]
pub(super) struct From {
    pub(super) guid: Guid,
    pub(super) peer: SocketAddr,
    pub(super) begun: Instant,
    pub(super) deadline: Option<Deadline>,
}

/// Starts no call yet: each begins at its first poll.
///
/// The calls of a packet run concurrently, under the deadline and the metadata
/// of the packet.
pub(super) fn run<S>(service: &S, packet: RequestPacket, from: From) -> Run<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>> + Clone,
{
    let From { guid, peer, begun, deadline } = from;
    let kind = packet.kind;
    let request = |call: Call, metadata| {
        let head = RequestHead {
            method: call.name,
            metadata,
            deadline,
            mode: kind.mode(),
            origin: Some(RequestOrigin { guid, kind, peer, begun, protocol: "tcp", raw: call.raw }),
            ..RequestHead::default()
        };
        Oneshot::new(service.clone(), Request::from_parts(Box::new(head), call.param))
    };
    match packet.calls {
        Calls::One(call) => Run::One { call: request(call, packet.metadata) },
        Calls::Many(calls) => {
            let done = Vec::with_capacity(calls.len());
            let running = calls
                .into_iter()
                .map(|(key, call)| Keyed { key, call: Box::pin(request(call, packet.metadata.clone())) })
                .collect();
            Run::Many { running, done }
        }
    }
}

impl<S> Future for Run<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    type Output = ResponseData;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ResponseData> {
        match self.project() {
            RunProjection::One { call } => call.poll(cx).map(|result| ResponseData::One(settle(result))),
            RunProjection::Many { running, done } => loop {
                match ready!(Pin::new(&mut *running).poll_next(cx)) {
                    Some(result) => done.push(result),
                    None => return Poll::Ready(ResponseData::Many(std::mem::take(done))),
                }
            },
        }
    }
}

/// A call of a multi packet.
pub(super) struct Keyed<S: Service<Request>> {
    key: CallKey,
    call: Pin<Box<Oneshot<S, Request>>>,
}

impl<S> Future for Keyed<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    type Output = (CallKey, CallResult);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let result = ready!(self.call.as_mut().poll(cx));
        Poll::Ready((self.key.clone(), settle(result)))
    }
}

fn settle<E: Into<BoxError>>(result: Result<Response, E>) -> CallResult {
    result.map_err(|error| Status::from_error(error.into()))
}

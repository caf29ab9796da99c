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
use crate::call::extensions::Extensions;
use crate::call::metadata::Metadata;
use crate::call::mode::PacketKind;
use crate::call::request::{Request, RequestHead, RequestOrigin};
use crate::call::response::Response;
use crate::call::status::{BoxError, Status};
use crate::guid::Guid;
use crate::call::batch::CallKey;
use crate::pack::packet::{Call, CallResult, Calls, RequestPacket, ResponseData};

pin_project! {
    /// The running calls of a packet; ends with the `data` of its answer.
    #[project = RunProjection]
    pub(super) enum Run<S: Service<Request>> {
        // By far the most frequent: the service was ready and was called.
        Called { #[pin] call: S::Future },
        One { #[pin] call: Oneshot<S, Request> },
        Many { running: FuturesUnordered<Keyed<S>>, done: Vec<(CallKey, CallResult)> },
        // What is left of a run that has ended, or never was.
        Ended { status: Option<Status> },
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

/// Calls the service for a packet of one call; for one of many, and for a
/// service that is not ready, the calls begin when they are polled.
pub(super) fn begin<S>(service: &mut S, packet: RequestPacket, from: From, cx: &mut Context<'_>) -> Run<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>> + Clone,
{
    if matches!(packet.calls, Calls::Many(_)) {
        return run(service, packet, from);
    }
    match service.poll_ready(cx) {
        Poll::Pending => run(service, packet, from),
        Poll::Ready(Err(error)) => Run::Ended { status: Some(Status::from_error(error.into())) },
        Poll::Ready(Ok(())) => {
            let RequestPacket { kind, calls, metadata, .. } = packet;
            let Calls::One(call) = calls else { return Run::Ended { status: None } };
            Run::Called { call: service.call(request(call, metadata, kind, from)) }
        }
    }
}

/// Starts no call yet: each begins at its first poll.
///
/// The calls of a packet run concurrently, under the deadline and the metadata
/// of the packet.
pub(super) fn run<S>(service: &S, packet: RequestPacket, from: From) -> Run<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>> + Clone,
{
    let RequestPacket { kind, calls, metadata, .. } = packet;
    let oneshot = |call, metadata| Oneshot::new(service.clone(), request(call, metadata, kind, from));
    match calls {
        Calls::One(call) => Run::One { call: oneshot(call, metadata) },
        Calls::Many(calls) => {
            let done = Vec::with_capacity(calls.len());
            let calls = calls.into_iter();
            let running =
                calls.map(|(key, call)| Keyed { key, call: Box::pin(oneshot(call, metadata.clone())) });
            Run::Many { running: running.collect(), done }
        }
    }
}

fn request(call: Call, metadata: Metadata, kind: PacketKind, from: From) -> Request {
    let From { guid, peer, begun, deadline } = from;
    let head = Box::new(RequestHead {
        method: call.name,
        legacy_name: None,
        metadata,
        deadline,
        mode: kind.mode(),
        idempotent: false,
        origin: Some(RequestOrigin { guid, kind, peer, begun, protocol: "tcp", raw: call.raw }),
        extensions: Extensions::default(),
    });
    Request::from_parts(head, call.param)
}

impl<S> Future for Run<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    type Output = ResponseData;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ResponseData> {
        match self.project() {
            RunProjection::Called { call } => call.poll(cx).map(|result| ResponseData::One(settle(result))),
            RunProjection::Ended { status } => {
                let status =
                    status.take().unwrap_or_else(|| Status::internal("a run was polled after its end"));
                Poll::Ready(ResponseData::One(Err(status)))
            }
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

//! From a packet to the request it is, and from the response to its answer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower::Service;

use crate::call::body::{BatchCall, Body};
use crate::call::deadline::Deadline;
use crate::call::head::RequestHead;
use crate::call::mode::PacketKind;
use crate::call::origin::{Connection, PacketOrigin, RequestOrigin};
use crate::call::request::Request;
use crate::call::response::{Reply, Response};
use crate::call::status::{BoxError, Status};
use crate::guid::Guid;
use crate::pack::packet::{Call, CallResult, Calls, RequestPacket, ResponseData};

/// When a packet came, over which connection, and what it says for all its calls.
#[derive(Clone)]
pub(super) struct Arrival {
    pub(super) connection: Arc<Connection>,
    pub(super) guid: Guid,
    /// When its bytes came: its deadlines count from then.
    pub(super) received: Instant,
    /// When it is taken up.
    pub(super) begun: Instant,
}

/// The request that a packet is: a single call, or a batch.
pub(super) fn request(packet: RequestPacket, arrival: Arrival) -> Request {
    let RequestPacket { kind, calls, metadata, timeout, .. } = packet;
    let Arrival { connection, guid, received, begun } = arrival;
    let origin = RequestOrigin::new(connection, begun).with_packet(PacketOrigin::new(guid, kind));
    let mut request = match calls {
        Calls::One(call) => {
            let (head, body) = part(call, kind, &origin, received);
            Request::from_parts(head, body)
        }
        Calls::Many(calls) => Request::batch_of(
            calls
                .into_iter()
                .map(|(key, call)| {
                    let (head, body) = part(call, kind, &origin, received);
                    BatchCall::new(key, head, body)
                })
                .collect(),
        ),
    };
    let is_batch = request.is_batch();
    let head = request.head_mut();
    let timeout = timeout.map(|timeout| Deadline::from_instant(received, timeout));
    head.set_deadline(head.deadline().into_iter().chain(timeout).min());
    head.set_mode(kind.mode());
    if head.metadata().is_empty() {
        *head.metadata_mut() = metadata;
    } else {
        head.metadata_mut().inherit(&metadata);
    }
    if is_batch {
        head.set_origin(origin);
    }
    request
}

/// What one call of a packet says for itself.
fn part(call: Call, kind: PacketKind, origin: &RequestOrigin, received: Instant) -> (Box<RequestHead>, Body) {
    let Call { name, param, timeout, metadata, raw } = call;
    let mut head = Box::<RequestHead>::default();
    head.set_method(name);
    head.set_mode(kind.mode());
    head.set_deadline(timeout.map(|timeout| Deadline::from_instant(received, timeout)));
    *head.metadata_mut() = metadata;
    let mut origin = origin.clone();
    if let Some(packet) = origin.packet_mut() {
        packet.raw = raw;
    }
    head.set_origin(origin);
    (head, param)
}

/// The `data` of the answer to a packet that ended with `result`.
fn data(result: Result<Response, Status>) -> ResponseData {
    match result.map(Response::into_parts) {
        Ok((_, Reply::Batch(results))) => {
            ResponseData::Many(results.into_iter().map(|(key, result)| (key, packed(result))).collect())
        }
        Ok((metadata, reply)) => ResponseData::One(packed(Ok(Response::from_parts(metadata, reply)))),
        Err(status) => ResponseData::One(Err(status)),
    }
}

fn packed(result: Result<Response, Status>) -> CallResult {
    let (metadata, reply) = result?.into_parts();
    Ok(Response::from_parts(metadata, reply.into_result()?))
}

pin_project! {
    /// The running calls of a packet; ends with the `data` of its answer.
    #[project = RunProjection]
    pub(super) enum Run<S: Service<Request>> {
        Called { #[pin] call: S::Future },
        // What is left of a run that has ended, or never was.
        Ended { status: Option<Status> },
    }
}

/// Calls the service, which is always ready: waiting for what it consists of is
/// part of each call.
pub(super) fn run<S>(service: &mut S, request: Request, cx: &mut Context<'_>) -> Run<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    match service.poll_ready(cx) {
        Poll::Ready(Ok(())) => Run::Called { call: service.call(request) },
        Poll::Ready(Err(error)) => Run::Ended { status: Some(Status::from_error(error.into())) },
        Poll::Pending => Run::Ended { status: Some(Status::unavailable("the server is not ready")) },
    }
}

impl<S> Future for Run<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    type Output = ResponseData;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ResponseData> {
        match self.project() {
            RunProjection::Called { call } => {
                call.poll(cx).map(|result| data(result.map_err(|error| Status::from_error(error.into()))))
            }
            RunProjection::Ended { status } => {
                let status =
                    status.take().unwrap_or_else(|| Status::internal("a run was polled after its end"));
                Poll::Ready(ResponseData::One(Err(status)))
            }
        }
    }
}

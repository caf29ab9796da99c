//! Frames of a carrier as requests.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::time::Instant;
use tower::util::Oneshot;
use tower::{Layer, Service};

use crate::call::capabilities::Capabilities;
use crate::call::dora_code;
use crate::call::mode::{Mode, PacketKind};
use crate::call::origin::{Connection, Peer};
use crate::call::packer::{Packer, PackerSet};
use crate::call::request::Request;
use crate::call::response::{Reply, Response};
use crate::call::status::{BoxError, Status};
use crate::generation::Generation;
use crate::guid::Guid;
use crate::pack::compress::is_gzip;
use crate::pack::envelope::Format;
use crate::pack::limits::Limits;
use crate::pack::packet::{Refused, ResponsePacket};

use super::frame::{Answer, Frame};
use super::incoming::{Arrival, Asked, Unpacked, unpack};
use super::reply::{data, write};

/// Unpacks requests and packs their responses: makes a service of frames, for a
/// carrier to bring them to, of a service of requests, such as
/// `Server::into_service` gives and every generated server is.
///
/// Packings and gzip are told apart per frame, and answered in kind. Every frame
/// is answered: what does not decode with the code that PHP's server would say.
/// A request may have another guid in its body than its frame has; each is
/// answered where it stood.
#[derive(Clone, Debug)]
pub struct UnpackLayer {
    connection: Arc<Connection>,
    packers: PackerSet,
    limits: Limits,
}

impl UnpackLayer {
    /// For frames from the carrier `name`: what handlers see as
    /// [`Request::peer`].
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        let connection = Connection::new("carrier", Peer::Other(name.into()));
        Self { connection: Arc::new(connection), packers: PackerSet::ALL, limits: Limits::default() }
    }

    /// For frames that come over `connection`: with a door of its own, a peer, and
    /// values such as its identity.
    #[must_use]
    pub fn connection(self, connection: Connection) -> Self {
        Self { connection: Arc::new(connection), ..self }
    }

    /// The packings that are accepted. Default: all.
    #[must_use]
    pub fn packers(self, packers: impl IntoIterator<Item = Packer>) -> Self {
        Self { packers: PackerSet::from_iter(packers), ..self }
    }

    /// Bounds on unpacking.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }
}

impl<S> Layer<S> for UnpackLayer {
    type Service = Unpack<S>;

    fn layer(&self, inner: S) -> Unpack<S> {
        Unpack { inner, manner: self.clone() }
    }
}

/// A service of requests as one of frames. It never fails: every error is an
/// answer.
#[derive(Clone, Debug)]
pub struct Unpack<S> {
    inner: S,
    manner: UnpackLayer,
}

impl<S> Service<Frame> for Unpack<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static,
{
    type Response = Answer;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Infallible>> + Send>>;

    /// Always ready: to wait for the inner service is part of each call.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, frame: Frame) -> Self::Future {
        let UnpackLayer { connection, packers, limits } = &self.manner;
        let gzip = is_gzip(&frame.body);
        let now = Instant::now();
        let arrival = Arrival { connection, guid: Some(frame.guid), received: now, begun: now };
        let Unpacked { packer, packet, .. } = unpack(frame.body, (*packers, limits), &arrival, |_| None);
        let mut manner = Manner { frame: frame.guid, body: frame.guid, packer, gzip, can: None };
        match packet {
            Ok(Asked { kind: kind @ PacketKind::Control, .. }) => {
                let status = Status::raw(dora_code::UNKNOWN_COMMAND, dora_code::UNKNOWN_COMMAND_MESSAGE);
                Box::pin(ready(Ok(manner.refused(Some(kind), &status))))
            }
            Ok(Asked { request, kind, guid, can }) => {
                manner.body = guid.unwrap_or(frame.guid);
                manner.can = can.map(|_| Capabilities::of_packers(*packers));
                if kind.mode() == Mode::Deferred && request.calls().len() == 0 {
                    return Box::pin(ready(Ok(manner.nothing())));
                }
                let called = Oneshot::new(self.inner.clone(), request);
                Box::pin(async move {
                    let result = called.await.map_err(|error| Status::from_error(error.into()));
                    Ok(manner.answer(kind, result))
                })
            }
            Err(Refused { guid, kind, status }) => {
                manner.body = guid.unwrap_or(frame.guid);
                Box::pin(ready(Ok(manner.refused(kind, &status))))
            }
        }
    }
}

/// How a frame is answered: in the manner that it came.
#[derive(Clone, Copy)]
struct Manner {
    /// The guid of the frame.
    frame: Guid,
    /// The guid for the body.
    body: Guid,
    packer: Packer,
    gzip: bool,
    can: Option<Capabilities>,
}

impl Manner {
    fn frame(&self, packet: ResponsePacket) -> Frame {
        let format = Format { packer: self.packer, generation: Generation::Guid };
        let mut body = Vec::new();
        write(&packet.with_can(self.can), format, self.gzip, &mut body);
        Frame::new(self.frame, body)
    }

    /// The answer to a packet whose calls ended with `result`, or run on.
    fn answer(self, kind: PacketKind, result: Result<Response, Status>) -> Answer {
        match (kind.mode(), result) {
            (Mode::Wait, result) => Answer::new(self.ended(kind, result)),
            (Mode::NoResult, _) => Answer::new(self.frame(ResponsePacket::accepted(Some(self.body)))),
            (_, result) => self.deferred(kind, result),
        }
    }

    /// The acknowledgement, and the result behind it.
    fn deferred(self, kind: PacketKind, result: Result<Response, Status>) -> Answer {
        let accepted = Answer::new(self.frame(ResponsePacket::accepted(Some(self.body))));
        accepted.with_later(async move {
            let (metadata, reply) = match result.map(Response::into_parts) {
                Ok((_, Reply::Deferred(later))) => return Ok(self.pushed(kind, later.await)),
                Ok(parts) => parts,
                Err(status) => return Ok(self.pushed(kind, Err(status))),
            };
            Ok(self.pushed(kind, Ok(Response::from_parts(metadata, reply))))
        })
    }

    /// The answer to a deferred packet of no calls: the original never pushes a
    /// result, and its caller waits in vain.
    fn nothing(self) -> Answer {
        let status = Status::raw(dora_code::NO_CALLS, dora_code::NO_CALLS_MESSAGE);
        let pushed = self.frame(ResponsePacket::refused(Some(self.body), &status).later());
        let accepted = Answer::new(self.frame(ResponsePacket::accepted(Some(self.body))));
        accepted.with_later(ready(Ok(pushed)))
    }

    fn ended(&self, kind: PacketKind, result: Result<Response, Status>) -> Frame {
        self.frame(self.packet(kind, result))
    }

    fn pushed(&self, kind: PacketKind, result: Result<Response, Status>) -> Frame {
        self.frame(self.packet(kind, result).later())
    }

    fn packet(&self, kind: PacketKind, result: Result<Response, Status>) -> ResponsePacket {
        match (kind, result) {
            // There are no results to put the error beside.
            (PacketKind::Calls { multi: true, .. }, Err(status)) => {
                ResponsePacket::refused(Some(self.body), &status)
            }
            (_, result) => ResponsePacket::ended(Some(self.body), data(result)),
        }
    }

    /// The answer to a packet that is refused as a whole. PHP's client waits for
    /// the result of a deferred call whatever the first answer was.
    fn refused(self, kind: Option<PacketKind>, status: &Status) -> Answer {
        let packet = || ResponsePacket::refused(Some(self.body), status);
        let answer = Answer::new(self.frame(packet()));
        if self.packer == Packer::Php && kind.is_some_and(|kind| kind.mode() == Mode::Deferred) {
            return answer.with_later(ready(Ok(self.frame(packet().later()))));
        }
        answer
    }
}

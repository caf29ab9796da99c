//! A packet that was sent, and what comes of it.

use std::borrow::Cow;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker, ready};

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use crate::call::code::Code;
use crate::call::dora_code;
use crate::call::mode::{Mode, PacketKind};
use crate::call::response::{Deferred, Reply, Response};
use crate::call::status::{Origin, Status};
use crate::pack::compress;
use crate::pack::envelope::{Shape, decode_response};
use crate::pack::limits::Limits;
use crate::pack::packet::{CallResult, ResponseData, ResponsePacket};

use super::channel::Handle;
use super::link::Link;
use super::outgoing::Outgoing;
use super::table::Ticket;

/// A packet that was sent, and the place where its answers arrive.
pub(super) struct Exchange {
    handle: Arc<Handle>,
    ticket: Ticket,
    progress: Progress,
    turn: Option<OwnedSemaphorePermit>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Sent,
    /// The first answer is there: what still comes has a guid of its own.
    Answered,
    /// The last answer is there, and the place given back.
    Done,
}

impl Exchange {
    pub(super) async fn begin(
        handle: Arc<Handle>,
        outgoing: Outgoing,
        turn: Option<OwnedSemaphorePermit>,
    ) -> Result<Self, Status> {
        let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
        Self::send(handle, outgoing, turn, &waker)
    }

    pub(super) fn send(
        handle: Arc<Handle>,
        outgoing: Outgoing,
        turn: Option<OwnedSemaphorePermit>,
        waker: &Waker,
    ) -> Result<Self, Status> {
        let ticket = outgoing.send(&handle.link, waker)?;
        Ok(Self { handle, ticket, progress: Progress::Sent, turn })
    }

    fn poll(&mut self, shape: Shape, expected: i64, waker: &Waker) -> Poll<Result<ResponseData, Status>> {
        let link = &self.handle.link;
        let (answer, last) = ready!(link.poll_answer(&self.ticket, waker));
        self.progress = if last { Progress::Done } else { Progress::Answered };
        self.turn = None;
        Poll::Ready(answer.and_then(|body| accept(link, &self.ticket, body, shape, expected)))
    }

    /// The first answer to a packet of calls.
    pub(super) fn poll_first(
        &mut self,
        kind: PacketKind,
        waker: &Waker,
    ) -> Poll<Result<ResponseData, Status>> {
        self.poll(shape(kind), acceptable(kind.mode()), waker)
    }

    /// The next answer, in the given shape.
    pub(super) async fn first(&mut self, shape: Shape, expected: i64) -> Result<ResponseData, Status> {
        poll_fn(|cx| self.poll(shape, expected, cx.waker())).await
    }

    /// Waits for the response to a packet of calls.
    pub(super) async fn response(mut self, kind: PacketKind) -> Result<Response, Status> {
        let data = poll_fn(|cx| self.poll_first(kind, cx.waker())).await?;
        self.finish(data, kind)
    }

    /// The response to a packet of calls, from its first answer.
    pub(super) fn finish(self, data: ResponseData, kind: PacketKind) -> Result<Response, Status> {
        match kind.mode() {
            Mode::Wait => self.opened(data, kind),
            Mode::NoResult => Ok(Response::accepted()),
            Mode::Deferred => Ok(Response::new(Reply::Deferred(Deferred::new(self.later(kind))))),
        }
    }

    /// The later result of a deferred packet.
    async fn later(mut self, kind: PacketKind) -> Result<Response, Status> {
        let result = self.first(shape(kind), dora_code::OK).await;
        let data = result.map_err(|status| match (status.origin(), status.code()) {
            (Origin::Connection, Code::Unavailable) => status.with_raw_code(dora_code::RESULT_LOST),
            _ => status,
        })?;
        self.opened(data, kind)
    }

    fn opened(&self, data: ResponseData, kind: PacketKind) -> Result<Response, Status> {
        match (shape(kind), data) {
            (Shape::One, ResponseData::One(result)) => self.call(result),
            (Shape::Many, ResponseData::Many(results)) => {
                let results = results.into_iter().map(|(key, result)| (key, self.call(result)));
                Ok(Response::new(Reply::Batch(results.collect())))
            }
            _ => Err(self.unexpected()),
        }
    }

    /// How one call ended.
    fn call(&self, result: CallResult) -> Result<Response, Status> {
        let peer = || Arc::clone(&self.handle.link.peer);
        match result {
            Ok(response) => Ok(response.map(Reply::Result).with_peer(Some(peer()))),
            Err(status) => Err(status.with_peer(peer())),
        }
    }

    /// The status of an answer that has no result.
    pub(super) fn unexpected(&self) -> Status {
        let status = Status::data_loss("the answer has no result").with_origin(Origin::Server);
        status.with_peer(Arc::clone(&self.handle.link.peer))
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.progress != Progress::Done {
            let link = &self.handle.link;
            link.close(&self.ticket, self.progress == Progress::Sent && link.endpoint.is_serial());
        }
    }
}

/// What the answer to a packet of calls holds.
const fn shape(kind: PacketKind) -> Shape {
    match kind {
        PacketKind::Calls { multi: true, .. } => Shape::Many,
        PacketKind::Calls { multi: false, .. } => Shape::One,
        PacketKind::Control => Shape::Value,
    }
}

/// The code of a first answer that is none of an error.
const fn acceptable(mode: Mode) -> i64 {
    match mode {
        Mode::Wait => dora_code::OK,
        Mode::NoResult | Mode::Deferred => dora_code::ACCEPTED,
    }
}

/// Reads an answer.
pub(super) fn read(body: Bytes, shape: Shape, limits: &Limits) -> Result<ResponsePacket, Status> {
    let body = match compress::is_gzip(&body) {
        true => compress::inflate(&body, limits.bytes)
            .map_err(|error| Status::data_loss(format!("the answer does not inflate: {error}")))
            .map_err(|status| status.with_origin(Origin::Connection))?,
        false => body,
    };
    decode_response(&body, shape, limits)
}

/// The `data` of an answer with code 0 (or, for an acknowledgement, `expected`);
/// any other is the server's refusal of the packet.
fn accept(
    link: &Link,
    ticket: &Ticket,
    body: Bytes,
    shape: Shape,
    expected: i64,
) -> Result<ResponseData, Status> {
    let generation = link.endpoint.generation;
    let packet = read(body, shape.of(generation), &link.endpoint.limits);
    let packet = packet.map_err(|status| status.with_peer(Arc::clone(&link.peer)))?;
    let refused = |status: Status| Err(status.with_origin(Origin::Server).with_peer(Arc::clone(&link.peer)));
    if packet.guid.is_some_and(|guid| guid != ticket.guid) {
        let message = "the answer's body has another guid than the request";
        return refused(Status::raw(dora_code::FOREIGN_GUID, message));
    }
    match packet.code {
        dora_code::OK => Ok(packet.data),
        code if code == expected => Ok(ResponseData::Empty),
        code => {
            let status = Status::raw(code, Cow::into_owned(packet.message));
            refused(status.with_code(dora_code::refusal(generation, code)))
        }
    }
}

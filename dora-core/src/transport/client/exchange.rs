//! A packet that was sent, and what comes of it.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker, ready};

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use crate::call::code::Code;
use crate::call::dora_code;
use crate::call::mode::{Mode, PacketKind};
use crate::call::name::MethodName;
use crate::call::response::{Deferred, Reply, Response};
use crate::call::status::{Origin, Status};
use crate::carry::answer::{self, Expected, acceptable, response, shape};
use crate::carry::outgoing::Outgoing;
use crate::pack::envelope::Shape;
use crate::pack::packet::ResponseData;

use super::channel::Handle;
use super::link::Link;
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
        Poll::Ready(answer.and_then(|body| open(link, &self.ticket, body, shape, expected)))
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
            Mode::Deferred => Ok(Response::new(Reply::Deferred(Deferred::new(self.later(kind))))),
            Mode::Wait | Mode::NoResult => self.ended(data, kind),
        }
    }

    /// The same of a packet that nothing else comes for.
    #[inline]
    pub(super) fn ended(&self, data: ResponseData, kind: PacketKind) -> Result<Response, Status> {
        match kind.mode() {
            Mode::Wait => response(data, kind, &self.handle.link.peer),
            Mode::NoResult | Mode::Deferred => Ok(Response::accepted()),
        }
    }

    /// The later result of a deferred packet.
    async fn later(mut self, kind: PacketKind) -> Result<Response, Status> {
        let result = self.first(shape(kind), dora_code::OK).await;
        let data = result.map_err(|status| match (status.origin(), status.code()) {
            (Origin::Connection, Code::Unavailable) => status.with_raw_code(dora_code::RESULT_LOST),
            _ => status,
        })?;
        response(data, kind, &self.handle.link.peer)
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

/// What the first answer to the calls of `ticket` holds.
pub(super) fn open_first(
    link: &Link,
    ticket: &Ticket,
    body: Bytes,
    kind: PacketKind,
) -> Result<ResponseData, Status> {
    open(link, ticket, body, shape(kind), acceptable(kind.mode()))
}

/// How a call of `method` has failed: neither an answer that cannot be read, nor one to
/// what could not be read, says itself what it answers.
pub(super) fn named(method: &MethodName, status: Status) -> Status {
    let nameless = match status.origin() {
        Origin::Connection => status.code() == Code::DataLoss,
        Origin::Server => matches!(status.raw_code(), dora_code::NO_CALLS | dora_code::UNKNOWN_PACKING),
        _ => false,
    };
    match nameless {
        true => {
            let message = format!("{method}: {}", status.message());
            status.with_message(message)
        }
        false => status,
    }
}

/// What an answer to the packet of `ticket` holds.
#[inline]
fn open(link: &Link, ticket: &Ticket, body: Bytes, shape: Shape, code: i64) -> Result<ResponseData, Status> {
    let generation = link.endpoint.generation;
    let expected = Expected { guid: ticket.guid, generation, shape, code };
    answer::open(body, &expected, &link.endpoint.limits)
        .map_err(|status| status.with_peer(Arc::clone(&link.peer)))
}

//! Requests into frames, and answers out of bodies.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::call::deadline::Deadline;
use crate::call::dora_code;
use crate::call::mode::Mode;
use crate::call::packer::Packer;
use crate::call::request::Request;
use crate::call::status::{Origin, Status};
use crate::guid::Guid;
use crate::pack::compress;
use crate::pack::envelope::{Format, Shape, decode_response, encode_request};
use crate::pack::limits::Limits;
use crate::pack::packet::{Call, RequestPacket, ResponseData, ResponsePacket};

use super::link::Link;
use super::multiplex::Ticket;

/// Answers of a packet in `mode`: the acknowledgement counts.
pub(super) const fn answers(mode: Mode) -> u8 {
    match mode {
        Mode::Wait | Mode::NoResult => 1,
        Mode::Deferred => 2,
    }
}

/// The call that a request is, by the name that the peer knows.
pub(super) fn call_of(request: Request, packer: Packer) -> Call {
    let (head, param) = request.into_parts();
    let name = match (packer, head.legacy_name) {
        (Packer::Php | Packer::Json, Some(legacy)) => legacy.into(),
        _ => head.method,
    };
    Call::new(name, param)
}

/// What is left of a deadline, for the wire. An asynchronous call is not held to
/// how long its caller waits for the acknowledgement.
fn remaining(deadline: Deadline, mode: Mode, now: Instant) -> Option<Duration> {
    (mode == Mode::Wait).then(|| deadline.remaining(now))
}

/// Packs `packet` and hands it to the connection; the ticket for its answers, of
/// which `waker` is told.
///
/// `deadline` is when the first answer must be there; without one the endpoint's
/// timeout counts from now.
pub(super) fn send(
    link: &Link,
    mut packet: RequestPacket,
    deadline: Option<Deadline>,
    waker: &Waker,
) -> Result<Ticket, Status> {
    let now = Instant::now();
    let mode = packet.kind.mode();
    let deadline = deadline.unwrap_or_else(|| Deadline::from_instant(now, link.endpoint.timeout));
    if deadline.has_passed(now) {
        let status = Status::raw(dora_code::TIMEOUT, "the deadline passed before the call was sent");
        return Err(status.with_peer(Arc::clone(&link.peer)).unsent());
    }
    packet.timeout = remaining(deadline, mode, now);
    let ticket = link.open(Some(deadline.instant()), answers(mode))?;
    if link.endpoint.packer != Packer::Protobuf {
        packet.guid = Some(ticket.guid);
    }
    thread_local! {
        static FRAME: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    // Taken, not borrowed: packing runs code of the message.
    let mut frame = FRAME.take();
    frame.clear();
    let sent = encode(link, &packet, &ticket.guid, &mut frame)
        .map_err(|status| status.with_peer(Arc::clone(&link.peer)).unsent())
        .and_then(|()| link.submit(&ticket, &mut frame, waker));
    if frame.capacity() <= KEPT {
        FRAME.set(frame);
    }
    match sent {
        Ok(()) => Ok(ticket),
        Err(status) => {
            link.close(&ticket, false);
            Err(status)
        }
    }
}

/// A larger buffer is not kept for the thread's next frame.
const KEPT: usize = 64 << 10;

fn encode(link: &Link, packet: &RequestPacket, guid: &Guid, out: &mut Vec<u8>) -> Result<(), Status> {
    let endpoint = &link.endpoint;
    let packed = |error: crate::call::body::PackError| Status::invalid_argument(error.to_string());
    let encoder = &link.encoder;
    let frame = encoder.begin(endpoint.generation, guid, out);
    let format = Format { packer: endpoint.packer, generation: endpoint.generation };
    encode_request(format, packet, out).map_err(packed)?;
    let body = out.get(frame.body()..).unwrap_or_default();
    if endpoint.gzip.is_some_and(|least| body.len() >= least) {
        let body = out.split_off(frame.body());
        compress::deflate(&body, out);
    }
    encoder
        .finish(&frame, out)
        .map_err(|error| Status::invalid_argument(format!("the request does not fit: {error}")))
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
pub(super) fn accept(
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

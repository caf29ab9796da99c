//! Requests into frames.

use std::cell::RefCell;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;

use crate::call::batch::CallKey;
use crate::call::body::{BatchCall, Body};
use crate::call::deadline::Deadline;
use crate::call::dora_code;
use crate::call::head::RequestHead;
use crate::call::mode::{Mode, PacketKind};
use crate::call::name::MethodName;
use crate::call::packed::PackError;
use crate::call::packer::Packer;
use crate::call::request::Request;
use crate::call::status::Status;
use crate::guid::Guid;
use crate::pack::compress;
use crate::pack::envelope::{Format, encode_request};
use crate::pack::packet::{Call, Calls, RequestPacket};

use super::link::Link;
use super::multiplex::Ticket;

/// A packet that is about to be sent.
pub(super) struct Outgoing {
    pub(super) packet: RequestPacket,
    /// When the first answer must be there; without one the endpoint's timeout
    /// counts from when the packet is sent.
    pub(super) deadline: Option<Deadline>,
}

/// Answers of a packet in `mode`: the acknowledgement counts.
const fn answers(mode: Mode) -> u8 {
    match mode {
        Mode::Wait | Mode::NoResult => 1,
        Mode::Deferred => 2,
    }
}

impl Outgoing {
    /// The packet of a request: of one call, or of the calls of a batch.
    pub(super) fn new(request: Request, link: &Link) -> Result<Self, Status> {
        let (mut head, body) = request.into_parts();
        let (mode, deadline) = (head.mode(), head.deadline());
        let packer = link.endpoint.packer;
        let metadata = std::mem::take(head.metadata_mut());
        let (kind, calls) = match body {
            Body::Batch(calls) if calls.is_empty() => {
                let status = Status::invalid_argument("a batch of no calls");
                return Err(status.with_peer(Arc::clone(&link.peer)).unsent());
            }
            Body::Batch(calls) => {
                let now = Instant::now();
                let calls = calls.into_iter().map(|call| keyed(call, mode, deadline, now, packer));
                (kind(link, mode, true)?, Calls::Many(calls.collect()))
            }
            body => {
                let call = Call::new(name(&head, packer), body);
                (kind(link, mode, false)?, Calls::One(call))
            }
        };
        Ok(Self { packet: RequestPacket { kind, calls, metadata, ..RequestPacket::default() }, deadline })
    }

    /// Packs the packet and hands it to the connection; the ticket for its answers,
    /// of which `waker` is told.
    pub(super) fn send(self, link: &Link, waker: &Waker) -> Result<Ticket, Status> {
        let Self { mut packet, deadline } = self;
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
}

/// The kind of a packet for this server, where its generation has a word for it.
fn kind(link: &Link, mode: Mode, multi: bool) -> Result<PacketKind, Status> {
    let generation = link.endpoint.generation;
    PacketKind::calls_of(generation, mode, multi).ok_or_else(|| {
        let message = format!("the {generation:?} generation of Dora-RPC has no deferred results");
        Status::unimplemented(message).with_peer(Arc::clone(&link.peer)).unsent()
    })
}

/// The name that the peer knows: a PHP peer knows legacy names, where there are any.
fn name(head: &RequestHead, packer: Packer) -> MethodName {
    let legacy = head.descriptor().and_then(|method| method.aliases().first());
    match (packer, legacy) {
        (Packer::Php | Packer::Json, Some(legacy)) => MethodName::from_static(legacy),
        _ => head.method().clone(),
    }
}

/// A call of a batch, with what it says for itself.
fn keyed(
    call: BatchCall,
    mode: Mode,
    batch: Option<Deadline>,
    now: Instant,
    packer: Packer,
) -> (CallKey, Call) {
    let BatchCall { key, mut head, body } = call;
    let own = head.deadline().filter(|own| batch.is_none_or(|batch| *own < batch));
    let call = Call {
        timeout: own.and_then(|own| remaining(own, mode, now)),
        metadata: std::mem::take(head.metadata_mut()),
        ..Call::new(name(&head, packer), body)
    };
    (key, call)
}

/// What is left of a deadline, for the wire. An asynchronous call is not held to
/// how long its caller waits for the acknowledgement.
fn remaining(deadline: Deadline, mode: Mode, now: Instant) -> Option<Duration> {
    (mode == Mode::Wait).then(|| deadline.remaining(now))
}

/// A larger buffer is not kept for the thread's next frame.
const KEPT: usize = 64 << 10;

fn encode(link: &Link, packet: &RequestPacket, guid: &Guid, out: &mut Vec<u8>) -> Result<(), Status> {
    let endpoint = &link.endpoint;
    let packed = |error: PackError| Status::invalid_argument(error.to_string());
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

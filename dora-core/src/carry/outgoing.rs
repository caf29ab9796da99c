//! Requests into bodies of frames.

use std::time::Duration;

use tokio::time::Instant;

use crate::call::batch::CallKey;
use crate::call::body::{BatchCall, Body};
use crate::call::deadline::Deadline;
use crate::call::head::RequestHead;
use crate::call::mode::{Mode, PacketKind};
use crate::call::name::MethodName;
use crate::call::packer::Packer;
use crate::call::request::Request;
use crate::call::status::Status;
use crate::guid::Guid;
use crate::pack::compress;
use crate::pack::envelope::{Format, encode_request};
use crate::pack::packet::{Call, Calls, RequestPacket};

/// A packet that is about to be sent.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) packet: RequestPacket,
    /// When the first answer must be there, where the request says.
    pub(crate) deadline: Option<Deadline>,
}

impl Outgoing {
    /// The packet of a request: of one call, or of the calls of a batch.
    ///
    /// # Errors
    /// A batch of no calls, or a mode that the generation has no word for.
    pub(crate) fn new(request: Request, format: Format) -> Result<Self, Status> {
        let (mut head, body) = request.into_parts();
        let (mode, deadline) = (head.mode(), head.deadline());
        let packer = format.packer;
        let metadata = std::mem::take(head.metadata_mut());
        let (kind, calls) = match body {
            Body::Batch(calls) if calls.is_empty() => {
                return Err(Status::invalid_argument("a batch of no calls"));
            }
            Body::Batch(calls) => {
                let now = Instant::now();
                let calls = calls.into_iter().map(|call| keyed(call, mode, deadline, now, packer));
                (kind(format, mode, true)?, Calls::Many(calls.collect()))
            }
            body => {
                let call = Call::new(name(&head, packer), body);
                (kind(format, mode, false)?, Calls::One(call))
            }
        };
        Ok(Self { packet: RequestPacket { kind, calls, metadata, ..RequestPacket::default() }, deadline })
    }
}

/// Says under which guid a packet is sent, and what is left until `deadline`.
pub(crate) fn address(
    packet: &mut RequestPacket,
    packer: Packer,
    guid: Guid,
    deadline: Option<Deadline>,
    now: Instant,
) {
    let mode = packet.kind.mode();
    packet.timeout = deadline.and_then(|deadline| remaining(deadline, mode, now));
    // PHP looks for it in the body; two Dora ends have it in the header.
    if packer != Packer::Protobuf {
        packet.guid = Some(guid);
    }
}

/// Appends the body of a frame to `out`, gzipped if it has at least `gzip` bytes.
///
/// # Errors
/// A parameter cannot be packed this way; `out` has then more bytes than before.
pub(crate) fn write(
    packet: &RequestPacket,
    format: Format,
    gzip: Option<usize>,
    out: &mut Vec<u8>,
) -> Result<(), Status> {
    let start = out.len();
    encode_request(format, packet, out)
        .map_err(|error| Status::invalid_argument(error.to_string()).with_source(error))?;
    if gzip.is_some_and(|least| out.len() - start >= least) {
        let body = out.split_off(start);
        compress::deflate(&body, out);
    }
    Ok(())
}

/// The kind of a packet for this peer, where its generation has a word for it.
fn kind(format: Format, mode: Mode, multi: bool) -> Result<PacketKind, Status> {
    let generation = format.generation;
    PacketKind::calls_of(generation, mode, multi).ok_or_else(|| {
        let message = format!("the {generation:?} generation of Dora-RPC has no deferred results");
        Status::unimplemented(message)
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

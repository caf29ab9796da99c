//! Requests into bodies of frames.

use std::time::Duration;

use tokio::time::Instant;

use crate::call::batch::{CallKey, check_keys};
use crate::call::body::{BatchCall, Body};
use crate::call::deadline::Deadline;
use crate::call::head::RequestHead;
use crate::call::method::Method;
use crate::call::mode::{Mode, PacketKind};
use crate::call::name::MethodName;
use crate::call::packer::Packer;
use crate::call::request::Request;
use crate::call::status::Status;
use crate::generation::Generation;
use crate::pack::compress;
use crate::pack::envelope::{Format, encode_request};
use crate::pack::packet::{Call, Calls, RequestPacket};

/// A packet that is about to be sent.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) packet: RequestPacket,
    /// When the first answer must be there, where the request says.
    pub(crate) deadline: Option<Deadline>,
    /// The calls whose name depends on what the peer knows.
    aliased: Vec<(usize, &'static Method)>,
}

impl Outgoing {
    /// The packet of a request: of one call, or of the calls of a batch.
    ///
    /// # Errors
    /// A batch of no calls or with a key that two have, or a mode that the generation has no word for.
    pub(crate) fn new(request: Request, generation: Generation) -> Result<Self, Status> {
        let (mut head, body) = request.into_parts();
        let (mode, deadline) = (head.mode(), head.deadline());
        let metadata = std::mem::take(head.metadata_mut());
        let mut aliased = Vec::new();
        let (kind, calls) = match body {
            Body::Batch(calls) if calls.is_empty() => {
                return Err(Status::invalid_argument("a batch of no calls"));
            }
            Body::Batch(calls) => {
                check_keys(calls.iter().map(|call| &call.key))?;
                let now = Instant::now();
                aliased.extend(calls.iter().enumerate().filter_map(|(place, call)| alias(place, &call.head)));
                let calls = calls.into_iter().map(|call| keyed(call, mode, deadline, now));
                (kind(generation, mode, true)?, Calls::Many(calls.collect()))
            }
            body => {
                aliased.extend(alias(0, &head));
                let call = Call::new(head.method().clone(), body);
                (kind(generation, mode, false)?, Calls::One(call))
            }
        };
        let packet = RequestPacket { kind, calls, metadata, ..RequestPacket::default() };
        Ok(Self { packet, deadline, aliased })
    }

    /// A packet whose calls have no other name.
    pub(crate) const fn of(packet: RequestPacket, deadline: Deadline) -> Self {
        Self { packet, deadline: Some(deadline), aliased: Vec::new() }
    }

    /// Says for the wire what is left until `deadline`.
    pub(crate) fn expires(&mut self, deadline: Deadline, now: Instant) {
        self.packet.timeout = remaining(deadline, self.packet.kind.mode(), now);
    }

    /// Calls methods by the names that the peer knows: one that packs as PHP does
    /// knows legacy names, where there are any.
    pub(crate) fn name(&mut self, packer: Packer) {
        let name = |method: &Method| match (packer, method.aliases().first()) {
            (Packer::Php | Packer::Json, Some(legacy)) => MethodName::from_static(legacy),
            _ => MethodName::from_static(method.path()),
        };
        for &(place, method) in &self.aliased {
            match &mut self.packet.calls {
                Calls::One(call) => call.name = name(method),
                Calls::Many(calls) => {
                    calls.get_mut(place).into_iter().for_each(|(_, call)| call.name = name(method));
                }
            }
        }
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

/// The method of a call that has legacy names.
fn alias(place: usize, head: &RequestHead) -> Option<(usize, &'static Method)> {
    let method = head.descriptor().filter(|method| !method.aliases().is_empty())?;
    Some((place, method))
}

/// The kind of a packet for this peer, where its generation has a word for it.
fn kind(generation: Generation, mode: Mode, multi: bool) -> Result<PacketKind, Status> {
    PacketKind::calls_of(generation, mode, multi).ok_or_else(|| {
        let message = format!("the {generation:?} generation of Dora-RPC has no deferred results");
        Status::unimplemented(message)
    })
}

/// A call of a batch, with what it says for itself.
fn keyed(call: BatchCall, mode: Mode, batch: Option<Deadline>, now: Instant) -> (CallKey, Call) {
    let BatchCall { key, mut head, body } = call;
    let own = head.deadline().filter(|own| batch.is_none_or(|batch| *own < batch));
    let call = Call {
        timeout: own.and_then(|own| remaining(own, mode, now)),
        metadata: std::mem::take(head.metadata_mut()),
        ..Call::new(head.method().clone(), body)
    };
    (key, call)
}

/// What is left of a deadline, for the wire. An asynchronous call is not held to
/// how long its caller waits for the acknowledgement.
fn remaining(deadline: Deadline, mode: Mode, now: Instant) -> Option<Duration> {
    (mode == Mode::Wait).then(|| deadline.remaining(now))
}

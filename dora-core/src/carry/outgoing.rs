//! Requests into bodies of frames.

use std::time::Duration;

use tokio::time::Instant;

use crate::call::batch::{CallKey, check_keys};
use crate::call::body::{BatchCall, Body};
use crate::call::capabilities::Capabilities;
use crate::call::deadline::Deadline;
use crate::call::head::RequestHead;
use crate::call::method::Method;
use crate::call::mode::{Mode, PacketKind};
use crate::call::name::MethodName;
use crate::call::packed::PackError;
use crate::call::packer::Packer;
use crate::call::request::Request;
use crate::call::status::Status;
use crate::generation::Generation;
use crate::guid::Guid;
use crate::pack::compress;
use crate::pack::envelope::{Format, Parameter, encode_request, encode_single};
use crate::pack::packet::{Call, Calls, RequestPacket, SingleRequest};

/// A request that is about to be sent.
#[derive(Debug)]
pub(crate) struct Outgoing {
    content: Content,
    pub(crate) kind: PacketKind,
    /// When the first answer must be there, where the request says.
    pub(crate) deadline: Option<Deadline>,
    /// What is left until then, where the packet is to say it.
    pub(crate) timeout: Option<Duration>,
}

#[derive(Debug)]
enum Content {
    /// One call, as its request has it: it is written from there.
    Single(Box<RequestHead>, Body),
    /// The calls of a batch, or a command.
    Packet(Box<Assembled>),
}

/// A packet that was put together.
#[derive(Debug)]
struct Assembled {
    packet: RequestPacket,
    /// The calls whose name depends on what the peer knows.
    aliased: Vec<(usize, &'static Method)>,
}

/// What a packet says of its connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Said {
    /// The guid, for peers that look for it in the body.
    pub(crate) guid: Option<Guid>,
    /// What this end can, where the peer is to know.
    pub(crate) can: Option<Capabilities>,
}

impl Outgoing {
    /// The packet of a request: of one call, or of the calls of a batch.
    ///
    /// # Errors
    /// A batch of no calls or with a key that two have, or a mode that the generation has no word for.
    pub(crate) fn new(request: Request, generation: Generation) -> Result<Self, Status> {
        let (head, body) = request.into_parts();
        let (mode, deadline) = (head.mode(), head.deadline());
        let kind = kind(generation, mode, matches!(body, Body::Batch(_)))?;
        let content = match body {
            Body::Batch(calls) => Content::Packet(Box::new(Assembled::batch(*head, calls, kind)?)),
            body => Content::Single(head, body),
        };
        Ok(Self { content, kind, deadline, timeout: None })
    }

    /// A packet whose calls have no other name.
    pub(crate) fn of(packet: RequestPacket, deadline: Deadline) -> Self {
        let kind = packet.kind;
        let content = Content::Packet(Box::new(Assembled { packet, aliased: Vec::new() }));
        Self { content, kind, deadline: Some(deadline), timeout: None }
    }

    /// Says for the wire what is left until `deadline`.
    pub(crate) fn expires(&mut self, deadline: Deadline, now: Instant) {
        self.timeout = remaining(deadline, self.kind.mode(), now);
    }

    /// Whether a parameter has no schema: it means the same to every server only as
    /// PHP packs it.
    pub(crate) fn is_dynamic(&self) -> bool {
        let dynamic = |param: &Body| matches!(param, Body::Message(message) if !message.has_schema());
        match &self.content {
            Content::Single(_, param) => dynamic(param),
            Content::Packet(assembled) => match &assembled.packet.calls {
                Calls::One(call) => dynamic(&call.param),
                Calls::Many(calls) => calls.iter().any(|(_, call)| dynamic(&call.param)),
            },
        }
    }

    /// Appends the body of a frame to `out`, gzipped if it has at least `gzip` bytes.
    /// Methods are called by the names that a peer of this packing knows.
    ///
    /// # Errors
    /// A parameter cannot be packed this way; `out` has then more bytes than before.
    pub(crate) fn write(
        &mut self,
        format: Format,
        said: Said,
        gzip: Option<usize>,
        out: &mut Vec<u8>,
    ) -> Result<(), Status> {
        let Self { content, kind, timeout, .. } = self;
        let (kind, timeout, Said { guid, can }) = (*kind, *timeout, said);
        match content {
            Content::Single(head, param) if format.packer == Packer::Protobuf => {
                let (name, metadata) = (head.method().as_bytes(), head.metadata());
                let request = SingleRequest { kind, name, param, timeout, metadata, can };
                write_single(&request, gzip, out)
            }
            Content::Single(head, param) => {
                let name = match head.descriptor() {
                    Some(method) => known_name(method, format.packer),
                    None => head.method().clone(),
                };
                let calls = Calls::One(Call::new(name, param.clone()));
                let metadata = head.metadata().clone();
                write(&RequestPacket { guid, kind, calls, timeout, metadata, can }, format, gzip, out)
            }
            Content::Packet(assembled) => {
                assembled.name(format.packer);
                let packet = &mut assembled.packet;
                (packet.guid, packet.timeout, packet.can) = (guid, timeout, can);
                write(packet, format, gzip, out)
            }
        }
    }
}

impl Assembled {
    fn batch(mut head: RequestHead, calls: Vec<BatchCall>, kind: PacketKind) -> Result<Self, Status> {
        if calls.is_empty() {
            return Err(Status::invalid_argument("a batch of no calls"));
        }
        check_keys(calls.iter().map(|call| &call.key))?;
        let (deadline, now) = (head.deadline(), Instant::now());
        let aliased = calls.iter().enumerate().filter_map(|(place, call)| alias(place, &call.head)).collect();
        let calls = calls.into_iter().map(|call| keyed(call, kind.mode(), deadline, now));
        let calls = Calls::Many(calls.collect());
        let metadata = std::mem::take(head.metadata_mut());
        Ok(Self { packet: RequestPacket { kind, calls, metadata, ..RequestPacket::default() }, aliased })
    }

    /// Calls methods by the names that the peer knows.
    fn name(&mut self, packer: Packer) {
        for &(place, method) in &self.aliased {
            if let Calls::Many(calls) = &mut self.packet.calls {
                calls.get_mut(place).into_iter().for_each(|(_, call)| call.name = known_name(method, packer));
            }
        }
    }
}

/// What a peer of this packing calls a method: one that packs as PHP does knows legacy
/// names, where there are any.
fn known_name(method: &Method, packer: Packer) -> MethodName {
    match (packer, method.aliases().first()) {
        (Packer::Php | Packer::Json, Some(legacy)) => MethodName::from_static(legacy),
        _ => MethodName::from_static(method.path()),
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
    packed(gzip, out, |out| encode_request(format, packet, out))
}

/// As [`write`], of a packet of one call in protobuf packing.
///
/// # Errors
/// As there.
#[inline]
pub(crate) fn write_single<P: Parameter>(
    request: &SingleRequest<'_, P>,
    gzip: Option<usize>,
    out: &mut Vec<u8>,
) -> Result<(), Status> {
    packed(gzip, out, |out| encode_single(request, out))
}

#[inline]
fn packed(
    gzip: Option<usize>,
    out: &mut Vec<u8>,
    encode: impl FnOnce(&mut Vec<u8>) -> Result<(), PackError>,
) -> Result<(), Status> {
    let start = out.len();
    encode(out).map_err(|error| Status::invalid_argument(error.to_string()).with_source(error))?;
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

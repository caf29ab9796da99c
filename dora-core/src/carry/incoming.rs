//! Bodies of requests into packets, and packets into the requests they are.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use crate::call::body::{BatchCall, Body};
use crate::call::capabilities::Capabilities;
use crate::call::deadline::Deadline;
use crate::call::dora_code;
use crate::call::head::RequestHead;
use crate::call::mode::PacketKind;
use crate::call::name::MethodName;
use crate::call::origin::{Connection, PacketOrigin, RequestOrigin};
use crate::call::packer::{Packer, PackerSet};
use crate::call::request::Request;
use crate::call::status::Status;
use crate::guid::Guid;
use crate::pack::compress;
use crate::pack::detect::detect;
use crate::pack::envelope::{decode_request, glimpse, plain_request};
use crate::pack::limits::Limits;
use crate::pack::packet::{Call, Calls, PlainRequest, Refused, RequestPacket};

/// A packet as the request that it is.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Its calls: a single one, or a batch. Of a command, its name and parameter.
    pub(crate) request: Request,
    pub(crate) kind: PacketKind,
    /// The guid in the body.
    pub(crate) guid: Option<Guid>,
    /// What the sender can.
    pub(crate) can: Option<Capabilities>,
}

/// When a packet came, and over which connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival<'a> {
    pub(crate) connection: &'a Arc<Connection>,
    /// The guid of its frame.
    pub(crate) guid: Option<Guid>,
    /// When its bytes came: its deadlines count from then.
    pub(crate) received: Instant,
    /// When it is taken up.
    pub(crate) begun: Instant,
}

/// The body of a request, read.
pub(crate) struct Unpacked {
    /// How it is packed, as far as it can be told.
    pub(crate) packer: Packer,
    /// Its bytes, inflated.
    pub(crate) bytes: usize,
    /// The packet; or it is refused, with the code and message to answer.
    pub(crate) packet: Result<Asked, Refused>,
}

/// Reads the body of a request; `known`: names that need not be read.
#[inline]
pub(crate) fn unpack(
    body: Bytes,
    (packers, limits): (PackerSet, &Limits),
    arrival: &Arrival<'_>,
    known: impl FnOnce(&[u8]) -> Option<MethodName>,
) -> Unpacked {
    let refused = |code, message: String| {
        let packet = Err(Refused::new(Status::raw(code, message)));
        Unpacked { packer: Packer::Php, bytes: 0, packet }
    };
    let body = match compress::is_gzip(&body) {
        true => match compress::inflate(&body, limits.bytes) {
            Ok(body) => body,
            Err(error) => {
                let message = format!("{}: gzip: {error}", dora_code::NO_CALLS_MESSAGE);
                return refused(dora_code::NO_CALLS, message);
            }
        },
        false => body,
    };
    if body.is_empty() {
        return refused(dora_code::NO_CALLS, dora_code::NO_CALLS_MESSAGE.to_owned());
    }
    let (packer, bytes) = (detect(&body), body.len());
    let packet = match packer.filter(|packer| packers.contains(*packer)) {
        Some(packer) => match plain_request(packer, body, known) {
            Ok(plain) => Ok(Asked::plain(plain, arrival)),
            Err(body) => decode_request(packer, body, limits).map(|packet| Asked::of(packet, arrival)),
        },
        None => {
            let (guid, kind) = glimpse(&body);
            let message = unknown_packing(packer, packers);
            Err(Refused::new(Status::raw(dora_code::UNKNOWN_PACKING, message)).of(guid, kind))
        }
    };
    Unpacked { packer: packer.unwrap_or(Packer::Php), bytes, packet }
}

/// Why a packet is refused that is packed as `packer`, and who takes which.
fn unknown_packing(packer: Option<Packer>, packers: PackerSet) -> String {
    let wrong = dora_code::UNKNOWN_PACKING_MESSAGE;
    match packer {
        Some(packer) => format!(
            "{wrong}: {packer} is not taken here, only: {packers}; give the endpoint `.packer(..)` of one of them, or \
             add it to `Server::packers`"
        ),
        None => format!("{wrong}: it begins as no packing does; taken here: {packers}"),
    }
}

impl Asked {
    #[inline]
    fn plain(plain: PlainRequest, arrival: &Arrival<'_>) -> Self {
        let PlainRequest { kind, timeout, name, param } = plain;
        let deadline = timeout.map(|timeout| Deadline::from_instant(arrival.received, timeout));
        let origin = arrival.origin(None, kind);
        let head = RequestHead::received(name, kind.mode(), deadline, origin);
        let request = Request::from_parts(head, Body::Packed(param));
        Self { request, kind, guid: None, can: None }
    }

    fn of(packet: RequestPacket, arrival: &Arrival<'_>) -> Self {
        let RequestPacket { guid, kind, calls, timeout, metadata, can } = packet;
        let origin = arrival.origin(guid, kind);
        let mut request = match calls {
            Calls::One(call) => {
                let (head, body) = part(call, kind, origin, arrival.received);
                Request::from_parts(head, body)
            }
            Calls::Many(calls) => {
                let calls = calls.into_iter().map(|(key, call)| {
                    let (head, body) = part(call, kind, origin.clone(), arrival.received);
                    BatchCall::new(key, head, body)
                });
                let mut batch = Request::batch_of(calls.collect());
                batch.head_mut().set_origin(origin);
                batch
            }
        };
        let head = request.head_mut();
        let timeout = timeout.map(|timeout| Deadline::from_instant(arrival.received, timeout));
        head.set_deadline(head.deadline().into_iter().chain(timeout).min());
        head.set_mode(kind.mode());
        if head.metadata().is_empty() {
            *head.metadata_mut() = metadata;
        } else {
            head.metadata_mut().inherit(&metadata);
        }
        Self { request, kind, guid, can }
    }
}

impl Arrival<'_> {
    /// Where the calls of the packet come from; `within`: the guid in its body.
    #[inline]
    fn origin(&self, within: Option<Guid>, kind: PacketKind) -> RequestOrigin {
        let guid = within.or(self.guid).unwrap_or(Guid::ZERO);
        RequestOrigin::new(Arc::clone(self.connection), self.begun).with_packet(PacketOrigin::new(guid, kind))
    }
}

/// Notes that a request which had to wait is taken up now.
pub(crate) fn begin(request: &mut Request, now: Instant) {
    request.head_mut().begin(now);
    request.calls_mut().for_each(|call| call.begin(now));
}

/// What one call of a packet says for itself.
fn part(
    call: Call,
    kind: PacketKind,
    mut origin: RequestOrigin,
    received: Instant,
) -> (Box<RequestHead>, Body) {
    let Call { name, param, timeout, metadata, raw } = call;
    if let Some(packet) = origin.packet_mut() {
        packet.raw = raw;
    }
    let deadline = timeout.map(|timeout| Deadline::from_instant(received, timeout));
    let mut head = RequestHead::received(name, kind.mode(), deadline, origin);
    *head.metadata_mut() = metadata;
    (head, param)
}

//! Bodies of requests into packets, and packets into the requests they are.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use crate::call::body::{BatchCall, Body};
use crate::call::deadline::Deadline;
use crate::call::dora_code;
use crate::call::head::RequestHead;
use crate::call::mode::PacketKind;
use crate::call::origin::{Connection, PacketOrigin, RequestOrigin};
use crate::call::packer::{Packer, PackerSet};
use crate::call::request::Request;
use crate::call::status::Status;
use crate::guid::Guid;
use crate::pack::compress;
use crate::pack::detect::detect;
use crate::pack::envelope::{decode_request, glimpse};
use crate::pack::limits::Limits;
use crate::pack::packet::{Call, Calls, Refused, RequestPacket};

/// The body of a request, read.
pub(crate) struct Unpacked {
    /// How it is packed, as far as it can be told.
    pub(crate) packer: Packer,
    /// Its bytes, inflated.
    pub(crate) bytes: usize,
    /// The packet; or it is refused, with the code and message to answer.
    pub(crate) packet: Result<RequestPacket, Refused>,
}

/// Reads the body of a request.
pub(crate) fn unpack(body: Bytes, packers: PackerSet, limits: &Limits) -> Unpacked {
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
        Some(packer) => decode_request(packer, body, limits),
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

/// When a packet came, over which connection, and what it says for all its calls.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) connection: Arc<Connection>,
    pub(crate) guid: Guid,
    /// When its bytes came: its deadlines count from then.
    pub(crate) received: Instant,
    /// When it is taken up.
    pub(crate) begun: Instant,
}

/// The request that a packet is: a single call, or a batch.
pub(crate) fn request(packet: RequestPacket, arrival: Arrival) -> Request {
    let RequestPacket { kind, calls, metadata, timeout, .. } = packet;
    let Arrival { connection, guid, received, begun } = arrival;
    let origin = RequestOrigin::new(connection, begun).with_packet(PacketOrigin::new(guid, kind));
    let mut request = match calls {
        Calls::One(call) => {
            let (head, body) = part(call, kind, origin, received);
            Request::from_parts(head, body)
        }
        Calls::Many(calls) => {
            let calls = calls.into_iter().map(|(key, call)| {
                let (head, body) = part(call, kind, origin.clone(), received);
                BatchCall::new(key, head, body)
            });
            let mut batch = Request::batch_of(calls.collect());
            batch.head_mut().set_origin(origin);
            batch
        }
    };
    let head = request.head_mut();
    let timeout = timeout.map(|timeout| Deadline::from_instant(received, timeout));
    head.set_deadline(head.deadline().into_iter().chain(timeout).min());
    head.set_mode(kind.mode());
    if head.metadata().is_empty() {
        *head.metadata_mut() = metadata;
    } else {
        head.metadata_mut().inherit(&metadata);
    }
    request
}

/// What one call of a packet says for itself.
fn part(
    call: Call,
    kind: PacketKind,
    mut origin: RequestOrigin,
    received: Instant,
) -> (Box<RequestHead>, Body) {
    let Call { name, param, timeout, metadata, raw } = call;
    let mut head = Box::<RequestHead>::default();
    head.set_method(name);
    head.set_mode(kind.mode());
    head.set_deadline(timeout.map(|timeout| Deadline::from_instant(received, timeout)));
    *head.metadata_mut() = metadata;
    if let Some(packet) = origin.packet_mut() {
        packet.raw = raw;
    }
    head.set_origin(origin);
    (head, param)
}

//! Packets in each packing: the arrays of PHP and JSON, and our own protobuf.

mod array;
mod json;
mod php;
mod protobuf;

use std::fmt::Display;

use bytes::Bytes;

use crate::call::batch::CallKey;
use crate::call::body::Body;
use crate::call::dora_code;
use crate::call::metadata::Metadata;
use crate::call::mode::PacketKind;
use crate::call::name::MethodName;
use crate::call::packed::{PackError, PackMessage};
use crate::call::packer::Packer;
use crate::call::status::{Origin, Status};
use crate::generation::Generation;
use crate::guid::Guid;

use self::array::ArrayFormat;
use self::json::Json;
use self::php::Php;
use super::detect::detect;
use super::limits::Limits;
use super::packet::{PlainRequest, Refused, RequestPacket, ResponsePacket, SingleRequest};

/// How a packet is written: the packing, and in PHP's the generation of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// The packing.
    pub packer: Packer,
    /// Whose order of keys and whose layers.
    pub generation: Generation,
}

impl From<Packer> for Format {
    fn from(packer: Packer) -> Self {
        Self { packer, generation: Generation::Guid }
    }
}

/// What an answer is expected to hold: the packing alone does not tell the
/// result of one call from a map of results, nor a bare value from a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The result of one call.
    One,
    /// A map of results.
    Many,
    /// The value of a control command.
    Value,
    /// The bare result of one call ([`Generation::Bare`]).
    Bare,
    /// A map of bare results.
    BareMany,
}

impl Shape {
    /// The same of an answer of `generation`.
    #[must_use]
    pub const fn of(self, generation: Generation) -> Self {
        match (self, generation) {
            (Self::One, Generation::Bare) => Self::Bare,
            (Self::Many, Generation::Bare) => Self::BareMany,
            (shape, _) => shape,
        }
    }
}

/// Reads a request packet. Parameters stay slices of `body`, which is taken and
/// not shared: every other handle on a frame costs as much as reading its head.
///
/// # Errors
/// The packet is refused, with the Dora code and message to answer.
pub fn decode_request(packer: Packer, body: Bytes, limits: &Limits) -> Result<RequestPacket, Refused> {
    match packer {
        Packer::Php => array::decode_request::<Php>(&body, limits).map_err(|refused| {
            let (guid, kind) = glimpse(&body);
            refused.of(guid, kind)
        }),
        Packer::Json => array::decode_request::<Json>(&body, limits),
        Packer::Protobuf => protobuf::decode_request(body, limits),
    }
}

/// Recognizes a request that is [plain](PlainRequest), as nearly every one is in protobuf
/// packing; what is not comes back for [`decode_request`]. A name that is `known` is taken
/// from there: it saves a handle on the frame.
#[inline]
pub(crate) fn plain_request(
    packer: Packer,
    body: Bytes,
    known: impl FnOnce(&[u8]) -> Option<MethodName>,
) -> Result<PlainRequest, Bytes> {
    match packer {
        Packer::Protobuf => protobuf::plain_request(body, known),
        Packer::Php | Packer::Json => Err(body),
    }
}

/// Recognizes the answer to a call that went well and says nothing else, as nearly every
/// one does in protobuf packing, and gives its result; what is none comes back for
/// [`decode_response`].
#[inline]
pub(crate) fn plain_result(body: Bytes) -> Result<Body, Bytes> {
    protobuf::plain_result(body)
}

/// What can be told at a glance of a PHP request that does not decode: the guid
/// that stands first, and the `type` that stands last, as the PHP clients write
/// them. It costs the same whatever lies between.
#[must_use]
pub fn glimpse(body: &[u8]) -> (Option<Guid>, Option<PacketKind>) {
    (php::first_guid(body), php::last_kind(body))
}

/// Appends a request packet to `out`.
///
/// # Errors
/// A parameter cannot be packed this way; `out` has then more bytes than before.
pub fn encode_request(
    format: impl Into<Format>,
    packet: &RequestPacket,
    out: &mut Vec<u8>,
) -> Result<(), PackError> {
    let Format { packer, generation } = format.into();
    match packer {
        Packer::Php => array::encode_request::<Php>(generation, packet, out),
        Packer::Json => array::encode_request::<Json>(generation, packet, out),
        Packer::Protobuf => protobuf::encode_request(packet, out),
    }
}

/// Appends a request packet of one call in protobuf packing, which needs no packet made of
/// its parts.
///
/// # Errors
/// As [`encode_request`].
#[inline]
pub(crate) fn encode_single<P: Parameter>(
    request: &SingleRequest<'_, P>,
    out: &mut Vec<u8>,
) -> Result<(), PackError> {
    protobuf::encode_single(request, out)
}

/// Reads a response packet. Results stay slices of `body`, which is taken as
/// [`decode_request`] takes it.
///
/// # Errors
/// The packet cannot be read; the status says why.
pub fn decode_response(body: Bytes, shape: Shape, limits: &Limits) -> Result<ResponsePacket, Status> {
    let packet = match detect(&body) {
        Some(Packer::Php) => array::decode_response::<Php>(&body, shape, limits),
        Some(Packer::Json) => array::decode_response::<Json>(&body, shape, limits),
        Some(Packer::Protobuf) => protobuf::decode_response(body, shape, limits),
        // The code that PHP would give blames the caller.
        None => Err(Status::data_loss("the answer is packed in no known way")),
    };
    packet.map_err(|status| status.with_origin(Origin::Connection))
}

/// Appends a response packet to `out`. A result that cannot be packed becomes
/// the error of its call.
pub fn encode_response(format: impl Into<Format>, packet: &ResponsePacket, out: &mut Vec<u8>) {
    let Format { packer, generation } = format.into();
    match packer {
        Packer::Php => array::encode_response::<Php>(generation, packet, out),
        Packer::Json => array::encode_response::<Json>(generation, packet, out),
        Packer::Protobuf => protobuf::encode_response(packet, out),
    }
}

/// Appends the answer to a single call that went well, in protobuf packing, from what it
/// consists of.
///
/// # Errors
/// The message cannot be packed this way; `out` has then more bytes than before.
#[inline]
pub(crate) fn encode_success(
    metadata: &Metadata,
    message: &dyn PackMessage,
    out: &mut Vec<u8>,
) -> Result<(), PackError> {
    protobuf::encode_success(metadata, message, out)
}

/// The members of a JSON object, or the elements of a list under their places, as
/// slices of `value`: for doors whose envelope is JSON of another shape. Of equal keys
/// the last one stands. `None` when it is something else.
///
/// # Errors
/// It is no JSON, or over the limits of depth and number: in words.
pub fn json_pairs(value: &Bytes, limits: &Limits) -> Result<Option<Vec<(CallKey, Bytes)>>, String> {
    <Json as ArrayFormat>::pairs(value, limits)
}

/// Holds JSON of another shape than packets have to the limits of depth and number, before
/// a parser makes anything of it. What is no JSON is left to that parser.
///
/// # Errors
/// It is over one of them: in words.
pub fn check_json(json: &[u8], limits: &Limits) -> Result<(), String> {
    json::check(json, limits)
}

/// The answer to a packet that does not decode: the code and text of the
/// original, and the reason behind it.
fn undecodable(reason: impl Display) -> Refused {
    Refused::new(Status::raw(dora_code::NO_CALLS, format!("{}: {reason}", dora_code::NO_CALLS_MESSAGE)))
}

/// A request of more calls than a packet may have.
fn too_many_calls(limits: &Limits) -> Refused {
    Refused::new(Status::resource_exhausted(format!(
        "more than {} calls in one packet: send them in several, or raise `Limits::calls` by `Server::limits`",
        limits.calls
    )))
}

/// The status of an answer that does not decode.
fn unreadable(reason: impl Display) -> Status {
    Status::data_loss(format!("the answer does not decode: {reason}"))
}

/// What a call is made with: a message, or the body that was made of one.
pub(crate) trait Parameter {
    /// Appends it, packed.
    fn put(&self, packer: Packer, out: &mut Vec<u8>) -> Result<(), PackError>;

    /// The bytes that [`put`](Self::put) appends: exact for Protobuf, else an estimate.
    fn len(&self, packer: Packer) -> usize;
}

impl<M: PackMessage> Parameter for M {
    #[inline]
    fn put(&self, packer: Packer, out: &mut Vec<u8>) -> Result<(), PackError> {
        self.pack(packer, out)
    }

    #[inline]
    fn len(&self, packer: Packer) -> usize {
        self.packed_len(packer)
    }
}

impl Parameter for Body {
    #[inline]
    fn put(&self, packer: Packer, out: &mut Vec<u8>) -> Result<(), PackError> {
        pack_body(self, packer, out)
    }

    #[inline]
    fn len(&self, packer: Packer) -> usize {
        body_len(self, packer)
    }
}

/// Appends the packed body to `out`.
#[inline]
fn pack_body(body: &Body, packer: Packer, out: &mut Vec<u8>) -> Result<(), PackError> {
    match body {
        Body::Message(message) => message.pack(packer, out),
        Body::Packed(packed) if packed.packer == packer => {
            out.extend_from_slice(&packed.bytes);
            Ok(())
        }
        Body::Packed(packed) => {
            let reason = format!("the body is packed as {} already", packed.packer);
            Err(PackError { packer, reason })
        }
        Body::Batch(_) => Err(PackError { packer, reason: "a batch within a batch".to_owned() }),
    }
}

/// The bytes that [`pack_body`] appends: exact for Protobuf, else an estimate.
#[inline]
fn body_len(body: &Body, packer: Packer) -> usize {
    match body {
        Body::Message(message) => message.packed_len(packer),
        Body::Packed(packed) => packed.bytes.len(),
        Body::Batch(_) => 0,
    }
}

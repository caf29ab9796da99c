//! The envelope in each packing: packets to bytes and back, and what becomes of
//! packets that are wrong.

mod requests;
mod responses;
mod round_trip;

use bytes::Bytes;
use dora_core::call::batch::CallKey;
use dora_core::call::body::Body;
use dora_core::call::packed::Packed;
use dora_core::call::packer::Packer;
use dora_core::pack::envelope::{decode_request, encode_request, encode_response};
use dora_core::pack::limits::Limits;
use dora_core::pack::message::Message;
use dora_core::pack::packet::{Call, Calls, Refused, RequestPacket, ResponsePacket};
use dora_core::pack::value::Value;

const PACKERS: [Packer; 3] = [Packer::Php, Packer::Json, Packer::Protobuf];
const ARRAYS: [Packer; 2] = [Packer::Php, Packer::Json];
const GUID: &str = "0123456789abcdef0123456789abcdef";

/// A value, packed on its own.
fn pack(packer: Packer, value: &Value) -> Bytes {
    let mut out = Vec::new();
    dora_core::call::packed::PackMessage::pack(value, packer, &mut out).expect("it can be packed");
    out.into()
}

fn unpack(body: &Body) -> Value {
    match body {
        Body::Packed(packed) => unpacked(packed),
        other => panic!("{other:?} did not come over a wire"),
    }
}

fn unpacked(packed: &Packed) -> Value {
    Value::unpack(packed.clone()).expect("it is a value")
}

/// A request packet that a peer writes as this array.
fn read(packer: Packer, packet: &Value) -> Result<RequestPacket, Refused> {
    decode_request(packer, pack(packer, packet), &Limits::default())
}

fn written(packer: Packer, packet: &RequestPacket) -> Bytes {
    let mut out = Vec::new();
    encode_request(packer, packet, &mut out).expect("it can be packed");
    out.into()
}

fn answered(packer: Packer, packet: &ResponsePacket) -> Bytes {
    let mut out = Vec::new();
    encode_response(packer, packet, &mut out);
    out.into()
}

/// The one call of a single packet.
#[track_caller]
fn one(packet: RequestPacket) -> Call {
    match packet.calls {
        Calls::One(call) => call,
        Calls::Many(calls) => panic!("{calls:?} are several calls"),
    }
}

/// The keys and names of the calls of a multi packet.
#[track_caller]
fn names(packet: &RequestPacket) -> Vec<(CallKey, &str)> {
    match &packet.calls {
        Calls::One(call) => panic!("{call:?} is a single call"),
        Calls::Many(calls) => calls.iter().map(|(key, call)| (key.clone(), call.name.as_str())).collect(),
    }
}

#[track_caller]
fn refused(packet: Result<RequestPacket, Refused>) -> (i64, String) {
    let Refused { status, .. } = packet.expect_err("the packet is wrong");
    (status.raw_code(), status.message().to_owned())
}

//! The envelope that dora-core writes and reads by hand is the one of
//! `proto/dora/wire/v1/packet.proto`: what either side writes, the other reads.

use std::time::Duration;

use bytes::Bytes;
use dora::schema::wire::{self, Kind};
use dora::{Code, Metadata, Mode, Packer, Response, Status};
use dora_core::call::batch::CallKey;
use dora_core::call::body::Body;
use dora_core::call::capabilities::Capabilities;
use dora_core::call::mode::PacketKind;
use dora_core::pack::envelope::{Shape, decode_request, decode_response, encode_request, encode_response};
use dora_core::pack::limits::Limits;
use dora_core::pack::packet::{Call, CallResult, Calls, RequestPacket, ResponseData, ResponsePacket};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use prost::Message;

const KINDS: [(Kind, PacketKind); 7] = [
    (Kind::WaitSingle, PacketKind::calls(Mode::Wait, false)),
    (Kind::WaitMulti, PacketKind::calls(Mode::Wait, true)),
    (Kind::NoResultSingle, PacketKind::calls(Mode::NoResult, false)),
    (Kind::NoResultMulti, PacketKind::calls(Mode::NoResult, true)),
    (Kind::DeferredSingle, PacketKind::calls(Mode::Deferred, false)),
    (Kind::DeferredMulti, PacketKind::calls(Mode::Deferred, true)),
    (Kind::Control, PacketKind::Control),
];

fn is_multi(kind: Kind) -> bool {
    matches!(kind, Kind::WaitMulti | Kind::NoResultMulti | Kind::DeferredMulti)
}

// The schema's packets as ours.

fn our_metadata(pairs: &[wire::Pair]) -> Metadata {
    pairs.iter().map(|pair| (pair.key.clone(), pair.value.clone())).collect()
}

fn our_request(packet: &wire::RequestPacket) -> RequestPacket {
    let call = |call: &wire::Call| Call {
        timeout: timeout(call.timeout_ms),
        metadata: our_metadata(&call.metadata),
        ..Call::new(call.name.clone(), Body::packed(Packer::Protobuf, call.param.clone()))
    };
    let key = |call: &wire::Call| match call.key.clone().expect("calls of a multi packet have keys") {
        wire::call::Key::Index(index) => CallKey::Int(index),
        wire::call::Key::NameKey(name) => CallKey::Str(name),
    };
    RequestPacket {
        guid: None,
        kind: KINDS.iter().find(|(kind, _)| *kind == packet.kind()).expect("a kind").1,
        calls: match is_multi(packet.kind()) {
            true => Calls::Many(packet.calls.iter().map(|each| (key(each), call(each))).collect()),
            false => Calls::One(call(&packet.calls[0])),
        },
        timeout: timeout(packet.timeout_ms),
        metadata: our_metadata(&packet.metadata),
        can: packet.can.map(Capabilities::from_bits),
    }
}

fn timeout(ms: u64) -> Option<Duration> {
    (ms > 0).then(|| Duration::from_millis(ms))
}

fn our_result(result: &wire::Result) -> CallResult {
    let metadata = our_metadata(&result.metadata);
    match Code::from_number(result.status.into()) {
        None => Ok(Response::from_parts(metadata, Body::packed(Packer::Protobuf, result.data.clone()))),
        Some(code) => Err(Status::raw(result.code, result.message.clone())
            .with_code(code)
            .with_details(result.details.clone())
            .with_metadata(metadata)),
    }
}

fn our_response(packet: &wire::ResponsePacket, shape: Shape) -> ResponsePacket {
    let key = |result: &wire::Result| match result.key.clone().expect("results of a multi packet have keys") {
        wire::result::Key::Index(index) => CallKey::Int(index),
        wire::result::Key::NameKey(name) => CallKey::Str(name),
    };
    let data = match (&packet.value, shape, &*packet.results) {
        (Some(value), ..) => ResponseData::Value(Body::packed(Packer::Protobuf, value.clone())),
        (None, _, []) => ResponseData::Empty,
        (None, Shape::Many, results) => {
            ResponseData::Many(results.iter().map(|each| (key(each), our_result(each))).collect())
        }
        (None, _, results) => ResponseData::One(our_result(&results[0])),
    };
    ResponsePacket {
        guid: None,
        code: packet.code(),
        message: if packet.message.is_empty() { "OK".into() } else { packet.message.clone().into() },
        is_result: packet.is_result,
        data,
        can: packet.can.map(Capabilities::from_bits),
    }
}

// Our packets as the schema's.

fn their_metadata(metadata: &Metadata) -> Vec<wire::Pair> {
    metadata.iter().map(|(key, value)| wire::Pair { key: key.into(), value: value.into() }).collect()
}

fn packed(body: &Body) -> Bytes {
    match body {
        Body::Packed(packed) if packed.packer == Packer::Protobuf => packed.bytes.clone(),
        other => panic!("{other:?} was not packed as protobuf"),
    }
}

fn their_request(packet: &RequestPacket) -> wire::RequestPacket {
    let call = |key: Option<&CallKey>, call: &Call| wire::Call {
        name: call.name.as_str().to_owned(),
        param: packed(&call.param),
        key: key.map(|key| match key {
            CallKey::Int(index) => wire::call::Key::Index(*index),
            CallKey::Str(name) => wire::call::Key::NameKey(name.clone()),
        }),
        timeout_ms: timeout_ms(call.timeout),
        metadata: their_metadata(&call.metadata),
    };
    wire::RequestPacket {
        kind: KINDS.iter().find(|(_, kind)| *kind == packet.kind).expect("a kind").0.into(),
        calls: match &packet.calls {
            Calls::One(one) => vec![call(None, one)],
            Calls::Many(many) => many.iter().map(|(key, each)| call(Some(key), each)).collect(),
        },
        timeout_ms: timeout_ms(packet.timeout),
        metadata: their_metadata(&packet.metadata),
        can: packet.can.map(Capabilities::bits),
    }
}

fn timeout_ms(timeout: Option<Duration>) -> u64 {
    timeout.map_or(0, |timeout| u64::try_from(timeout.as_millis()).expect("ms"))
}

fn their_result(key: Option<&CallKey>, result: &CallResult) -> wire::Result {
    let key = key.map(|key| match key {
        CallKey::Int(index) => wire::result::Key::Index(*index),
        CallKey::Str(name) => wire::result::Key::NameKey(name.clone()),
    });
    match result {
        Ok(response) => wire::Result {
            data: packed(response.body()),
            metadata: their_metadata(response.metadata()),
            key,
            ..wire::Result::default()
        },
        Err(status) => wire::Result {
            status: status.code().number().into(),
            code: status.raw_code(),
            message: status.message().to_owned(),
            data: Bytes::new(),
            details: status.details().clone(),
            metadata: their_metadata(status.metadata()),
            key,
        },
    }
}

fn their_response(packet: &ResponsePacket) -> wire::ResponsePacket {
    let (results, value) = match &packet.data {
        ResponseData::Empty => (Vec::new(), None),
        ResponseData::One(result) => (vec![their_result(None, result)], None),
        ResponseData::Many(results) => {
            (results.iter().map(|(key, result)| their_result(Some(key), result)).collect(), None)
        }
        ResponseData::Value(value) => (Vec::new(), Some(packed(value))),
    };
    wire::ResponsePacket {
        code: Some(packet.code),
        message: if packet.message == "OK" { String::new() } else { packet.message.to_string() },
        is_result: packet.is_result,
        results,
        value,
        can: packet.can.map(Capabilities::bits),
    }
}

// Any packets of the schema that mean something.

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..200).prop_map(Bytes::from)
}

fn pairs() -> impl Strategy<Value = Vec<wire::Pair>> {
    vec(("[a-c]{0,2}|\\PC{0,9}", "\\PC{0,20}"), 0..4)
        .prop_map(|pairs| pairs.into_iter().map(|(key, value)| wire::Pair { key, value }).collect())
}

fn any_call() -> impl Strategy<Value = wire::Call> {
    let key = prop_oneof![
        any::<i64>().prop_map(wire::call::Key::Index),
        (-2..2_i64).prop_map(wire::call::Key::Index),
        bytes().prop_map(wire::call::Key::NameKey),
    ];
    ("[ -~é]{0,20}", bytes(), key, any_timeout(), pairs()).prop_map(
        |(name, param, key, timeout_ms, metadata)| wire::Call {
            name,
            param,
            key: Some(key),
            timeout_ms,
            metadata,
        },
    )
}

fn any_timeout() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(u64::MAX), 1..100_000_u64]
}

fn any_request() -> impl Strategy<Value = wire::RequestPacket> {
    let said = (any_timeout(), pairs(), option::of(any::<u32>()));
    (0..KINDS.len(), any_call(), vec(any_call(), 0..6), said).prop_map(
        |(kind, mut one, many, (timeout_ms, metadata, can))| {
            let kind = KINDS[kind].0;
            let calls = match kind {
                // It waits for results and would have none: refused.
                Kind::WaitMulti if many.is_empty() => {
                    vec![wire::Call { key: Some(wire::call::Key::Index(0)), ..one }]
                }
                kind if is_multi(kind) => many,
                _ => {
                    one.key = None;
                    vec![one]
                }
            };
            wire::RequestPacket { kind: kind.into(), calls, timeout_ms, metadata, can }
        },
    )
}

fn any_result() -> impl Strategy<Value = wire::Result> {
    let key = prop_oneof![
        any::<i64>().prop_map(wire::result::Key::Index),
        bytes().prop_map(wire::result::Key::NameKey),
    ];
    let code = prop_oneof![any::<i64>(), -3..3_i64];
    (0..17_u32, code, "\\PC{0,20}", bytes(), bytes(), pairs(), key).prop_map(
        |(status, code, message, data, details, metadata, key)| match status {
            0 => wire::Result { data, metadata, key: Some(key), ..wire::Result::default() },
            _ => {
                let data = Bytes::new();
                wire::Result { status, code, message, data, details, metadata, key: Some(key) }
            }
        },
    )
}

fn any_response() -> impl Strategy<Value = (wire::ResponsePacket, Shape)> {
    let shape = prop_oneof![Just(Shape::One), Just(Shape::Many), Just(Shape::Value)];
    let code = prop_oneof![Just(0), any::<i64>()];
    (
        shape,
        code,
        "\\PC{0,12}",
        any::<bool>(),
        any_result(),
        vec(any_result(), 0..6),
        option::of(bytes()),
        option::of(any::<u32>()),
    )
        .prop_map(|(shape, code, message, is_result, mut one, many, value, can)| {
            one.key = None;
            let (results, value) = match shape {
                Shape::One => (vec![one], None),
                Shape::Many => (many, None),
                Shape::Value | Shape::Bare | Shape::BareMany => (Vec::new(), value),
            };
            let message = if message == "OK" { String::new() } else { message };
            (wire::ResponsePacket { code: Some(code), message, is_result, results, value, can }, shape)
        })
}

proptest! {
    #[test]
    fn requests_of_the_schema_are_read(packet in any_request()) {
        let body = Bytes::from(packet.encode_to_vec());
        let read = decode_request(Packer::Protobuf, body, &Limits::default()).expect("it is valid");
        prop_assert_eq!(their_request(&read), packet);
    }

    #[test]
    fn requests_we_write_are_of_the_schema(packet in any_request()) {
        let mut body = Vec::new();
        encode_request(Packer::Protobuf, &our_request(&packet), &mut body).expect("all of it is packed");
        prop_assert_eq!(body[0], 0x08);
        prop_assert_eq!(wire::RequestPacket::decode(&*body).expect("it is valid"), packet);
    }

    #[test]
    fn responses_of_the_schema_are_read((packet, shape) in any_response()) {
        let body = Bytes::from(packet.encode_to_vec());
        let read = decode_response(body, shape, &Limits::default()).expect("it is valid");
        prop_assert_eq!(their_response(&read), packet);
    }

    #[test]
    fn responses_we_write_are_of_the_schema((packet, shape) in any_response()) {
        let mut body = Vec::new();
        encode_response(Packer::Protobuf, &our_response(&packet, shape), &mut body);
        prop_assert_eq!(body[0], 0x08);
        prop_assert_eq!(wire::ResponsePacket::decode(&*body).expect("it is valid"), packet);
    }
}

#[test]
fn every_kind_of_the_schema_has_its_own() {
    let numbers: Vec<i32> = KINDS.iter().map(|(kind, _)| *kind as i32).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7]);
    assert!(Kind::try_from(8).is_err(), "a kind was added to the schema alone");
}

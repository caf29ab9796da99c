//! Packets of any bytes: unpacking ends with a packet or an error, never with a
//! panic.

use bytes::Bytes;
use dora_core::call::batch::CallKey;
use dora_core::call::body::Body;
use dora_core::call::metadata::Metadata;
use dora_core::call::mode::{Mode, PacketKind};
use dora_core::call::packer::Packer;
use dora_core::call::response::Response;
use dora_core::call::status::Status;
use dora_core::guid::Guid;
use dora_core::pack::envelope::{Shape, decode_request, decode_response, encode_request, encode_response};
use dora_core::pack::limits::Limits;
use dora_core::pack::message::open;
use dora_core::pack::packet::{Call, Calls, RequestPacket, ResponseData, ResponsePacket};
use dora_core::pack::value::Value;
use dora_core::value;
use proptest::collection::vec;
use proptest::prelude::*;

const PACKERS: [Packer; 3] = [Packer::Php, Packer::Json, Packer::Protobuf];
const SHAPES: [Shape; 5] = [Shape::One, Shape::Many, Shape::Value, Shape::Bare, Shape::BareMany];

fn metadata() -> Metadata {
    let mut metadata = Metadata::new();
    metadata.append("trace", "0af7");
    metadata
}

fn requests() -> Vec<Vec<u8>> {
    let call = |name: &'static str| Call {
        metadata: metadata(),
        timeout: Some(std::time::Duration::from_millis(7)),
        ..Call::new(name, Body::message(value!({ "id" => 7, "list" => [1.5, true, null, "text"] })))
    };
    let many = vec![(CallKey::Int(3), call("/a")), (CallKey::from("key"), call("/b"))];
    let packets = [
        (PacketKind::calls(Mode::Wait, false), Calls::One(call("/a"))),
        (PacketKind::calls(Mode::Deferred, true), Calls::Many(many)),
        (PacketKind::Control, Calls::One(call("getStat"))),
    ];
    let mut bodies = Vec::new();
    for (kind, calls) in packets {
        let timeout = Some(std::time::Duration::from_millis(300));
        let packet =
            RequestPacket { guid: Some(Guid::ZERO), kind, calls, timeout, metadata: metadata(), can: None };
        for packer in PACKERS {
            let mut body = Vec::new();
            encode_request(packer, &packet, &mut body).expect("packs");
            bodies.push(body);
        }
    }
    bodies
}

fn responses() -> Vec<Vec<u8>> {
    let good = || Ok(Response::from_parts(metadata(), Body::message(value!({ "name" => "Ada" }))));
    let bad = || Err(Status::not_found("no user").with_details("d").with_metadata(metadata()));
    let many = vec![(CallKey::Int(0), good()), (CallKey::from("k"), bad())];
    let all = [
        ResponseData::One(good()),
        ResponseData::One(bad()),
        ResponseData::Many(many),
        ResponseData::Value(Body::message(value!([1, 2]))),
        ResponseData::Empty,
    ];
    let mut bodies = Vec::new();
    for data in all {
        let guid = Some(Guid::ZERO);
        let packet = ResponsePacket { guid, code: 0, message: "OK".into(), is_result: true, data, can: None };
        for packer in PACKERS {
            let mut body = Vec::new();
            encode_response(packer, &packet, &mut body);
            bodies.push(body);
        }
    }
    bodies
}

/// Unpacks `body` in every way, down to the values.
fn unpack(body: Vec<u8>) {
    let body = Bytes::from(body);
    let small = Limits::default().with_depth(5).with_nodes(20).with_bytes(100).with_calls(1);
    for limits in [Limits::default(), small] {
        for packer in PACKERS {
            let Ok(packet) = decode_request(packer, body.clone(), &limits) else { continue };
            assert!(packet.calls.len() <= limits.calls);
            let calls = match packet.calls {
                Calls::One(call) => vec![call],
                Calls::Many(calls) => calls.into_iter().map(|(_, call)| call).collect(),
            };
            for call in calls {
                let _ = call.name.to_string();
                drop(open::<Value>(call.param));
            }
        }
        for shape in SHAPES {
            let Ok(packet) = decode_response(body.clone(), shape, &limits) else { continue };
            match packet.data {
                ResponseData::One(Ok(response)) => drop(open::<Value>(response.into_body())),
                ResponseData::Many(results) => {
                    for (_, result) in results {
                        drop(result.map(|response| open::<Value>(response.into_body())));
                    }
                }
                ResponseData::Value(value) => drop(open::<Value>(value)),
                _ => {}
            }
        }
    }
}

fn mutated(bodies: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), 0..4u8, any::<u8>());
    (prop::sample::select(bodies), vec(change, 1..6)).prop_map(|(mut body, changes)| {
        for (index, how, byte) in changes {
            let place = index.index(body.len().max(1));
            match how {
                _ if body.is_empty() => body.push(byte),
                0 => body[place] = byte,
                1 => body.insert(place, byte),
                2 => drop(body.remove(place)),
                _ => body.truncate(place),
            }
        }
        body
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_unpack_without_panic(body in vec(any::<u8>(), 0..300)) {
        unpack(body);
    }

    #[test]
    fn bytes_that_begin_like_a_packet_unpack_without_panic(
        first in prop::sample::select(vec![&b"a:1:{"[..], b"{\"api\":", &[8, 1, 0x12]]),
        rest in vec(any::<u8>(), 0..100),
    ) {
        unpack([first, &rest].concat());
    }

    #[test]
    fn changed_requests_unpack_without_panic(body in mutated(requests())) {
        unpack(body);
    }

    #[test]
    fn changed_responses_unpack_without_panic(body in mutated(responses())) {
        unpack(body);
    }
}

#[test]
fn the_unchanged_ones_are_good() {
    for body in requests() {
        let body = Bytes::from(body);
        assert!(
            PACKERS.iter().any(|packer| decode_request(*packer, body.clone(), &Limits::default()).is_ok())
        );
    }
    for body in responses() {
        let body = Bytes::from(body);
        assert!(SHAPES.iter().any(|shape| decode_response(body.clone(), *shape, &Limits::default()).is_ok()));
    }
}

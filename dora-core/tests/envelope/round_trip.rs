//! What one end writes, the other reads, in every packing.

use std::time::Duration;

use bytes::Bytes;
use dora_core::call::batch::CallKey;
use dora_core::call::body::Body;
use dora_core::call::capabilities::Capabilities;
use dora_core::call::metadata::Metadata;
use dora_core::call::mode::{Mode, PacketKind};
use dora_core::call::packer::Packer;
use dora_core::call::response::Response;
use dora_core::call::status::Status;
use dora_core::guid::Guid;
use dora_core::pack::envelope::{Shape, decode_request, decode_response};
use dora_core::pack::limits::Limits;
use dora_core::pack::packet::{Call, CallResult, Calls, RequestPacket, ResponseData, ResponsePacket};
use dora_core::pack::value::Value;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use super::{PACKERS, answered, unpack, written};

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        btree_map("[a-z]{1,3}", inner, 1..4).prop_map(|pairs| Value::Array(pairs.into_iter().collect()))
    })
}

/// A text key that no packing takes for an integer.
fn any_key() -> impl Strategy<Value = CallKey> {
    prop_oneof![
        any::<i64>().prop_map(CallKey::from),
        "[a-z\\\\\"é]{0,6}".prop_map(|key| CallKey::from(&*key))
    ]
}

fn any_metadata() -> impl Strategy<Value = Metadata> {
    btree_map("[a-z-]{1,8}", "\\PC{0,12}", 0..4).prop_map(|pairs| pairs.into_iter().collect())
}

fn any_guid() -> impl Strategy<Value = Guid> {
    any::<u128>().prop_map(Guid::from_u128)
}

fn unique<T>(mut pairs: Vec<(CallKey, T)>) -> Vec<(CallKey, T)> {
    let mut seen = std::collections::HashSet::new();
    pairs.retain(|(key, _)| seen.insert(key.clone()));
    pairs
}

/// A request, and its calls once more, to compare with.
#[derive(Clone, Debug)]
struct Asked {
    guid: Guid,
    kind: PacketKind,
    timeout: Option<u64>,
    metadata: Metadata,
    /// What each call says for itself.
    own_timeout: Option<u64>,
    own_metadata: Metadata,
    can: Option<u32>,
    calls: Vec<(CallKey, (String, Value))>,
}

fn any_request() -> impl Strategy<Value = Asked> {
    let kind = prop_oneof![
        Just(PacketKind::Control),
        (0..3, any::<bool>()).prop_map(|(mode, multi)| {
            PacketKind::calls([Mode::Wait, Mode::NoResult, Mode::Deferred][mode as usize], multi)
        }),
    ];
    let calls = vec((any_key(), ("\\PC{0,20}", any_value())), 1..5);
    let said = || (option::of(1..u64::from(u32::MAX)), any_metadata());
    (any_guid(), kind, said(), said(), option::of(any::<u32>()), calls).prop_map(
        |(guid, kind, (timeout, metadata), (own_timeout, own_metadata), can, calls)| Asked {
            guid,
            kind,
            timeout,
            metadata,
            own_timeout,
            own_metadata,
            can,
            calls: unique(calls),
        },
    )
}

fn request(asked: &Asked) -> RequestPacket {
    let call = |(name, param): &(String, Value)| Call {
        timeout: asked.own_timeout.map(Duration::from_millis),
        metadata: asked.own_metadata.clone(),
        ..Call::new(name.clone(), Body::message(param.clone()))
    };
    let calls = match asked.kind {
        PacketKind::Calls { multi: true, .. } => {
            Calls::Many(asked.calls.iter().map(|(key, each)| (key.clone(), call(each))).collect())
        }
        _ => Calls::One(call(&asked.calls[0].1)),
    };
    RequestPacket {
        guid: Some(asked.guid),
        kind: asked.kind,
        calls,
        timeout: asked.timeout.map(Duration::from_millis),
        metadata: asked.metadata.clone(),
        can: asked.can.map(Capabilities::from_bits),
    }
}

#[derive(Clone, Debug)]
enum Ended {
    Well(Value, Metadata),
    Badly { code: i64, message: String, details: Vec<u8>, metadata: Metadata },
}

fn any_end() -> impl Strategy<Value = Ended> {
    prop_oneof![
        (any_value(), any_metadata()).prop_map(|(value, metadata)| Ended::Well(value, metadata)),
        (any::<i64>(), "\\PC{3,12}", "\\PC{0,9}", any_metadata()).prop_map(
            |(code, message, details, metadata)| Ended::Badly {
                code,
                message,
                details: details.into_bytes(),
                metadata
            }
        ),
    ]
}

fn result(end: &Ended) -> CallResult {
    match end.clone() {
        Ended::Well(value, metadata) => Ok(Response::from_parts(metadata, Body::message(value))),
        Ended::Badly { code, message, details, metadata } => {
            Err(Status::raw(code, message).with_details(details).with_metadata(metadata))
        }
    }
}

fn check(read: &CallResult, end: &Ended) -> Result<(), TestCaseError> {
    match (read, end) {
        (Ok(response), Ended::Well(value, metadata)) => {
            prop_assert_eq!(&unpack(response.body()), value);
            prop_assert_eq!(response.metadata(), metadata);
        }
        (Err(status), Ended::Badly { code, message, details, metadata }) => {
            prop_assert_eq!((status.raw_code(), status.message()), (*code, &**message));
            prop_assert_eq!((&**status.details(), status.metadata()), (&**details, metadata));
        }
        (read, end) => prop_assert!(false, "{:?} was read as {:?}", end, read),
    }
    Ok(())
}

proptest! {
    #[test]
    fn requests(asked in any_request()) {
        for packer in PACKERS {
            let body = written(packer, &request(&asked));
            let read = decode_request(packer, body, &Limits::default()).expect("we wrote it");
            prop_assert_eq!(read.kind, asked.kind);
            prop_assert_eq!(read.timeout, asked.timeout.map(Duration::from_millis));
            prop_assert_eq!(&read.metadata, &asked.metadata);
            prop_assert_eq!(read.can, asked.can.map(Capabilities::from_bits));
            prop_assert_eq!(read.guid, Some(asked.guid).filter(|_| packer != Packer::Protobuf));
            let calls: Vec<_> = match read.calls {
                Calls::One(call) => vec![(asked.calls[0].0.clone(), call)],
                Calls::Many(calls) => {
                    prop_assert_eq!(calls.len(), asked.calls.len());
                    calls
                }
            };
            for ((key, call), (asked_key, (name, param))) in calls.iter().zip(&asked.calls) {
                prop_assert_eq!((key, call.name.as_str()), (asked_key, &**name));
                prop_assert_eq!(&unpack(&call.param), param);
                prop_assert_eq!(call.timeout, asked.own_timeout.map(Duration::from_millis));
                prop_assert_eq!(&call.metadata, &asked.own_metadata);
            }
        }
    }

    #[test]
    fn responses(guid in any_guid(), is_result: bool, can in option::of(any::<u32>()), ends in vec((any_key(), any_end()), 1..5)) {
        let ends = unique(ends);
        for (packer, shape) in PACKERS.into_iter().flat_map(|packer| [(packer, Shape::One), (packer, Shape::Many)]) {
            let data = match shape {
                Shape::Many => ResponseData::Many(ends.iter().map(|(key, end)| (key.clone(), result(end))).collect()),
                _ => ResponseData::One(result(&ends[0].1)),
            };
            let packet = ResponsePacket { guid: Some(guid), code: 0, message: "OK".into(), is_result, data, can: can.map(Capabilities::from_bits) };
            let read = decode_response(answered(packer, &packet), shape, &Limits::default()).expect("we wrote it");
            prop_assert_eq!((read.code, &*read.message, read.is_result), (0, "OK", is_result));
            prop_assert_eq!(read.can, packet.can);
            prop_assert_eq!(read.guid, Some(guid).filter(|_| packer != Packer::Protobuf));
            match read.data {
                ResponseData::One(read) => check(&read, &ends[0].1)?,
                ResponseData::Many(read) => {
                    prop_assert_eq!(read.len(), ends.len());
                    for ((key, read), (sent, end)) in read.iter().zip(&ends) {
                        prop_assert_eq!(key, sent);
                        check(read, end)?;
                    }
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(mut body in vec(any::<u8>(), 0..300), first in 0..4_usize) {
        let starts: [&[u8]; 4] = [b"", b"a:3:{s:3:\"api\";", b"{\"api\":{\"one\":", &[8, 1, 0x12]];
        body.splice(0..0, starts[first].iter().copied());
        let body = Bytes::from(body);
        for packer in PACKERS {
            let _ = decode_request(packer, body.clone(), &Limits::default());
        }
        for shape in [Shape::One, Shape::Many, Shape::Value] {
            let _ = decode_response(body.clone(), shape, &Limits::default());
        }
    }

    #[test]
    fn packets_cut_short_or_changed_are_read_or_refused(asked in any_request(), at: prop::sample::Index, to: u8) {
        for packer in PACKERS {
            let body = written(packer, &request(&asked));
            let at = at.index(body.len());
            let _ = decode_request(packer, body.slice(..at), &Limits::default());
            let mut changed = body.to_vec();
            changed[at] = to;
            let _ = decode_request(packer, changed.into(), &Limits::default());
        }
    }
}

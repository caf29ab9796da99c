//! Every recorded answer, through the framework's own decoding.

use std::collections::BTreeMap;

use dora_core::call::batch::CallKey;
use dora_core::pack::envelope::{Shape, decode_response};
use dora_core::pack::message::open;
use dora_core::pack::packet::{CallResult, ResponseData, ResponsePacket};
use dora_core::pack::value::Value;
use dora_integration_tests::exact::Exact;
use dora_integration_tests::serialized;
use dora_integration_tests::vectors::{Case, Recording, Sent, Side, load_all};

use crate::convert::{body_of, cut, dialect_of, int, limits, pairs, text, to_exact, value_of};

#[test]
fn every_recorded_answer_is_read_as_php_reads_it() {
    let mut read = 0;
    for recording in load_all().expect("every recording loads") {
        for case in &recording.cases {
            let shapes = shapes(case);
            let answers = case.sent().filter(|sent| sent.from == Side::Server && !sent.partial);
            for sent in answers {
                let shape = shapes.get(&sent.decoded.guid).copied().unwrap_or(Shape::One);
                check(&recording, sent, shape, &format!("{}, case {}", recording.file, case.name));
                read += 1;
            }
        }
    }
    assert!(read > 900, "{read}");
}

/// What each request of a case asks for. By the guid in its body, which the
/// original answers to.
fn shapes(case: &Case) -> BTreeMap<Vec<u8>, Shape> {
    let requests = case.sent().filter(|sent| sent.from == Side::Client && !sent.partial);
    let shape = |value: &Exact| match value.get("type") {
        Some(Exact::Str(kind)) if kind == b"SC" => Shape::Value,
        Some(Exact::Str(kind)) if kind.ends_with(b"_M") => Shape::Many,
        _ => Shape::One,
    };
    let guid = |value: &Exact| match value.get("guid") {
        Some(Exact::Str(guid)) => guid.clone(),
        _ => Vec::new(),
    };
    // Some of them are no values: whatever else they are, they are not multi.
    let read = |sent: &Sent| serialized::read(sent.decoded.serialized.as_deref()?).ok();
    let values = requests.filter_map(read);
    values.map(|value| (guid(&value), shape(&value))).collect()
}

fn check(recording: &Recording, sent: &Sent, shape: Shape, name: &str) {
    let frame = cut(&dialect_of(recording), &sent.bytes);
    let guid = frame.guid.expect("a guid in the header");
    assert_eq!(guid.as_bytes(), &sent.decoded.guid[..], "{name}");
    let wanted = value_of(sent).expect("a recorded value");
    let packet = decode_response(body_of(&frame), shape, &limits());
    let packet = packet.unwrap_or_else(|status| panic!("{name}: {status}"));
    let ResponsePacket { guid, code, message, is_result, data, can } = packet;
    assert_eq!(can, None, "{name}: PHP does not say what it can");
    assert_eq!(guid.map(|guid| guid.as_bytes()[..].into()).as_ref(), wanted.get("guid"), "{name}");
    assert_eq!((code, &*message), (int(&wanted, "code"), text(&wanted, "msg")), "{name}");
    assert_eq!(is_result, wanted.get("isresult") == Some(&1.into()), "{name}");
    let wanted = wanted.get("data").expect("data");
    match data {
        ResponseData::Empty => assert_eq!(*wanted, Exact::Array(Vec::new()), "{name}"),
        ResponseData::One(result) => check_result(result, wanted, Exact::eq, name),
        ResponseData::Many(results) => {
            assert_eq!(results.len(), pairs(wanted).len(), "{name}");
            for ((key, result), (wanted_key, wanted)) in results.into_iter().zip(pairs(wanted)) {
                let key = match key {
                    CallKey::Int(key) => Exact::Int(key),
                    CallKey::Str(key) => Exact::Str(key.into()),
                };
                assert_eq!(key, *wanted_key, "{name}");
                check_result(result, wanted, Exact::eq, name);
            }
        }
        ResponseData::Value(value) => {
            assert_eq!(to_exact(&open::<Value>(value).expect(name)), *wanted, "{name}");
        }
    }
}

/// Checks how a call ended against the call's own packet.
pub(crate) fn check_result(
    result: CallResult,
    packet: &Exact,
    same: impl Fn(&Exact, &Exact) -> bool,
    name: &str,
) {
    let (code, message) = (int(packet, "code"), text(packet, "msg"));
    match result {
        Ok(response) => {
            assert_eq!((code, message), (0, "OK"), "{name}");
            let value = to_exact(&open::<Value>(response.into_body()).expect(name));
            // A large value is not printed.
            assert!(same(&value, packet.get("data").expect("data")), "{name}");
        }
        Err(status) => {
            assert_eq!((status.raw_code(), status.message()), (code, message), "{name}");
            assert_ne!((code, message), (0, "OK"), "{name}");
        }
    }
}

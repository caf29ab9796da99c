//! The recordings of the generations without a guid in the header, through the
//! framework's own reading and writing.

use bytes::Bytes;
use dora_core::call::packer::Packer;
use dora_core::generation::Generation;
use dora_core::pack::envelope::{Format, Shape, decode_request, decode_response, encode_request};
use dora_core::pack::message::open;
use dora_core::pack::packet::ResponseData;
use dora_core::pack::value::Value;
use dora_integration_tests::exact::Exact;
use dora_integration_tests::raw;
use dora_integration_tests::vectors::{Recording, Sent, Side, load_old};

use crate::convert::{limits, pairs, to_exact};

fn generation(recording: &Recording) -> Generation {
    match recording.generation {
        raw::Generation::Guid => Generation::Guid,
        raw::Generation::Plain => Generation::Plain,
        raw::Generation::Bare => Generation::Bare,
    }
}

fn read(sent: &Sent) -> Option<(Bytes, Exact)> {
    let body = sent.decoded.serialized.clone()?;
    let value = dora_integration_tests::serialized::read(&body).ok()?;
    Some((body.into(), value))
}

#[test]
fn old_requests_are_written_as_their_clients_wrote_them() {
    let mut same = 0;
    for recording in load_old().expect("every recording loads") {
        let format = Format { packer: Packer::Php, generation: generation(&recording) };
        for case in recording.cases.iter().filter(|_| recording.file.starts_with("client-")) {
            for sent in case.sent().filter(|sent| sent.from == Side::Client) {
                let Some((body, value)) = read(sent) else { continue };
                let calls = pairs(value.get("api").expect("api"));
                let whole = |call: &Exact| matches!(call, Exact::Array(fields) if fields.len() == 2);
                if calls.is_empty() || !calls.iter().all(|(_, call)| whole(call)) {
                    continue;
                }
                let packet = decode_request(Packer::Php, body.clone(), &limits()).expect(&case.name);
                let mut out = Vec::new();
                encode_request(format, &packet, &mut out).expect(&case.name);
                assert!(out == body, "{}, case {}", recording.file, case.name);
                same += 1;
            }
        }
    }
    assert!(same > 400, "{same}");
}

#[test]
fn old_answers_are_read_as_their_clients_read_them() {
    let mut compared = 0;
    for recording in load_old().expect("every recording loads") {
        if generation(&recording) != Generation::Bare {
            continue;
        }
        for case in
            recording.cases.iter().filter(|case| !case.name.contains("multi") && !case.name.contains("stat"))
        {
            for sent in case.sent().filter(|sent| sent.from == Side::Server && !sent.partial) {
                let Some((body, value)) = read(sent) else { continue };
                let data = value.get("data").expect("data");
                let shape = Shape::One.of(Generation::Bare);
                let packet = decode_response(body, shape, &limits()).expect(&case.name);
                let name = format!("{}, case {}", recording.file, case.name);
                match packet.data {
                    ResponseData::One(Ok(response)) => {
                        let Ok(ours) = open::<Value>(response.into_body()) else { continue };
                        assert!(to_exact(&ours) == *data, "{name}");
                    }
                    ResponseData::One(Err(status)) => {
                        assert_eq!(data.get("code"), Some(&status.raw_code().into()), "{name}");
                        assert_eq!(data.get("msg"), Some(&status.message().into()), "{name}");
                    }
                    _ => assert_ne!(packet.code, 0, "{name}"),
                }
                compared += 1;
            }
        }
    }
    assert!(compared > 400, "{compared}");
}

//! Every recorded request, written again.

use dora_core::call::body::Body;
use dora_core::call::packer::Packer;
use dora_core::generation::Generation;
use dora_core::pack::compress;
use dora_core::pack::envelope::{decode_request, encode_request};
use dora_core::pack::message::open;
use dora_core::pack::packet::{Call, Calls};
use dora_core::pack::value::Value;
use dora_core::wire::checksum::Salt;
use dora_core::wire::encoder::Encoder;
use dora_integration_tests::exact::Exact;
use dora_integration_tests::raw::MAX_PACKET;
use dora_integration_tests::vectors::{Recording, Sent, Side, load_all};

use crate::convert::{body_of, cut, dialect_of, has_object, limits, pairs, value_of};

#[test]
fn recorded_requests_are_written_as_the_php_client_wrote_them() {
    let (mut same, mut objects) = (0, 0);
    for recording in load_all().expect("every recording loads") {
        if !recording.file.starts_with("client-") {
            continue;
        }
        for case in &recording.cases {
            for sent in case.sent().filter(|sent| sent.from == Side::Client && !sent.partial) {
                let value = value_of(sent).expect("a recorded request");
                // Copies are written of what was referred to.
                if written_by_the_client(&value) && case.name != "val-object-shared" {
                    write_again(&recording, sent, &format!("{}, case {}", recording.file, case.name));
                    same += 1;
                    objects += usize::from(has_object(&value));
                }
            }
        }
    }
    assert!(same > 290 && objects >= 25, "{same}, {objects}");
}

/// Whether there are calls, and each has a name and a parameter: else an
/// application misused its client.
fn written_by_the_client(value: &Exact) -> bool {
    let keys = |call: &Exact| match call {
        Exact::Array(fields) => fields.iter().map(|(key, _)| key.clone()).collect(),
        _ => Vec::new(),
    };
    let calls = pairs(value.get("api").expect("api"));
    !calls.is_empty() && calls.iter().all(|(_, call)| keys(call) == ["name".into(), "param".into()])
}

fn write_again(recording: &Recording, sent: &Sent, name: &str) {
    let dialect = dialect_of(recording);
    let frame = cut(&dialect, &sent.bytes);
    let body = body_of(&frame);
    let mut packet = decode_request(Packer::Php, body.clone(), &limits()).expect(name);
    // Parameters are unpacked and packed again; else they go on as they came.
    // Before 7.1 PHP wrote floats with 17 digits, which we do not.
    if !recording.file.contains("precision17") {
        match &mut packet.calls {
            Calls::One(call) => repack(call),
            Calls::Many(calls) => calls.iter_mut().for_each(|(_, call)| repack(call)),
        }
    }
    let salt = dialect.salt.as_deref().map(Salt::new);
    let encoder = Encoder::new(2 * MAX_PACKET, salt);
    let mut out = Vec::new();
    let guid = frame.guid.expect("a guid in the header");
    let unfinished = encoder.begin(Generation::Guid, &guid, &mut out);
    encode_request(Packer::Php, &packet, &mut out).expect(name);
    let written = out.split_off(unfinished.body());
    assert!(written == body, "{name}:\n{}\n{}", written.escape_ascii(), body.escape_ascii());
    if dialect.gzip {
        compress::deflate(&written, &mut out);
    } else {
        out.extend(written);
    }
    encoder.finish(&unfinished, &mut out).expect(name);
    // Compressed bytes are another library's; inflated they are the same.
    assert!(dialect.gzip || out == sent.bytes, "{name}");
    assert_eq!(body_of(&cut(&dialect, &out)), body, "{name}");
}

fn repack(call: &mut Call) {
    let param = std::mem::replace(&mut call.param, Body::message(Value::Null));
    call.param = Body::message(open::<Value>(param).expect("a value"));
}

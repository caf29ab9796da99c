//! Recorded values as the framework's own, and back.

use bytes::{Bytes, BytesMut};
use dora_core::pack::compress;
use dora_core::pack::limits::Limits;
use dora_core::pack::value::{Array, Key, KeyRef, Object, Value};
use dora_core::wire::checksum::Salt;
use dora_core::wire::decoder::{Decoder, Frame};
use dora_integration_tests::exact::Exact;
use dora_integration_tests::raw::{Dialect, MAX_PACKET};
use dora_integration_tests::serialized;
use dora_integration_tests::vectors::{Recording, Sent};

/// The defaults: they take all that was recorded, 120 levels included.
pub(crate) fn limits() -> Limits {
    Limits::default()
}

/// What the peers of a recording were set to.
pub(crate) fn dialect_of(recording: &Recording) -> Dialect {
    let salt = recording.signed.then(|| recording.salt.clone());
    Dialect { salt, gzip: recording.compressed, ..Dialect::GUID }
}

/// Cuts a frame with the framework's own decoder.
pub(crate) fn cut(dialect: &Dialect, bytes: &[u8]) -> Frame {
    let salt = dialect.salt.as_deref().map(Salt::new);
    let mut buffer = BytesMut::from(bytes);
    let frame = Decoder::new(2 * MAX_PACKET, salt).decode(&mut buffer);
    assert!(buffer.is_empty());
    frame.expect("a good frame").expect("a whole one")
}

/// The body of a frame, inflated by the framework.
pub(crate) fn body_of(frame: &Frame) -> Bytes {
    match compress::is_gzip(&frame.body) {
        true => compress::inflate(&frame.body, limits().bytes).expect("gzip"),
        false => frame.body.clone(),
    }
}

/// A recorded value, read by the tests' own reader.
pub(crate) fn value_of(sent: &Sent) -> Option<Exact> {
    sent.decoded.serialized.as_ref().map(|bytes| serialized::read(bytes).expect("a recorded value"))
}

/// Whether there is an object anywhere in `value`.
pub(crate) fn has_object(value: &Exact) -> bool {
    match value {
        Exact::Object { .. } => true,
        Exact::Array(entries) => entries.iter().any(|(_, value)| has_object(value)),
        _ => false,
    }
}

/// The bytes under a key that has a string.
pub(crate) fn text<'a>(value: &'a Exact, key: &str) -> &'a str {
    match value.get(key) {
        Some(Exact::Str(text)) => str::from_utf8(text).expect("text"),
        other => panic!("{key} is {other:?}"),
    }
}

/// The integer under a key.
pub(crate) fn int(value: &Exact, key: &str) -> i64 {
    match value.get(key) {
        Some(Exact::Int(int)) => *int,
        other => panic!("{key} is {other:?}"),
    }
}

/// The pairs of an array.
pub(crate) fn pairs(value: &Exact) -> &[(Exact, Exact)] {
    match value {
        Exact::Array(entries) => entries,
        other => panic!("no array: {other:?}"),
    }
}

pub(crate) fn to_exact(value: &Value) -> Exact {
    match value {
        Value::Null => Exact::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::Str(value) => value.as_bytes().into(),
        Value::Array(array) => Exact::Array(to_pairs(array)),
        Value::Object(object) => Exact::Object {
            class: object.class().as_bytes().into(),
            properties: to_pairs(object.properties().expect("only objects with properties were recorded")),
        },
    }
}

fn to_pairs(array: &Array) -> Vec<(Exact, Exact)> {
    let key = |key: KeyRef<'_>| match key {
        KeyRef::Int(key) => Exact::Int(key),
        KeyRef::Str(key) => Exact::Str(key.into_owned()),
    };
    array.iter().map(|(k, value)| (key(k), to_exact(value))).collect()
}

pub(crate) fn to_value(exact: &Exact) -> Value {
    match exact {
        Exact::Null => Value::Null,
        Exact::Bool(value) => (*value).into(),
        Exact::Int(value) => (*value).into(),
        Exact::Float(bits) => f64::from_bits(*bits).into(),
        Exact::Str(bytes) => bytes.clone().into(),
        Exact::Array(entries) => to_array(entries).into(),
        Exact::Object { class, properties } => Object::new(class.clone(), to_array(properties)).into(),
    }
}

fn to_array(entries: &[(Exact, Exact)]) -> Array {
    let key = |key: &Exact| match key {
        Exact::Int(key) => Key::Int(*key),
        Exact::Str(key) => Key::from_bytes(key.clone()),
        other => panic!("no key: {other:?}"),
    };
    entries.iter().map(|(k, value)| (key(k), to_value(value))).collect()
}

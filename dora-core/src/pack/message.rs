//! Typed messages and dynamic values in each packing.

use std::any::Any;
use std::sync::Arc;

use crate::call::body::Body;
use crate::call::packed::{PackError, PackMessage, Packed};
use crate::call::packer::Packer;
use crate::call::status::Status;

use super::limits::Limits;
use super::mapped::{Mapped, PathError, ToSerde, from_json, from_php};
use super::php;
use super::unreadable::Unreadable;
use super::value::Value;

/// A message of any packing: generated messages, the well-known types that may
/// stand in their place, and [`Value`].
pub trait Message: PackMessage + Clone + Sized {
    /// Unpacks a message.
    ///
    /// # Errors
    /// `Code::InvalidArgument`: the bytes are no message of this type; the text
    /// names the field.
    fn unpack(packed: Packed) -> Result<Self, Status>;
}

/// The bytes were walked over within the limits of their connection when the
/// envelope was read: what is left to bound is the depth of recursion.
const WALKED: Limits = Limits { depth: Limits::MAX_DEPTH, nodes: usize::MAX, bytes: usize::MAX, calls: 0 };

impl<T: prost::Message + Mapped + Clone + Default + 'static> PackMessage for T {
    fn pack(&self, packer: Packer, out: &mut Vec<u8>) -> Result<(), PackError> {
        let failed = |reason: String| PackError { packer, reason };
        match packer {
            Packer::Protobuf => {
                // As `encode`, without measuring again what was measured for the
                // frame: a vector has room for all that fits into memory.
                self.encode_raw(out);
                Ok(())
            }
            Packer::Php => {
                php::to_writer(&ToSerde::new(self), out).map_err(|error| failed(error.to_string()))
            }
            Packer::Json => self
                .serialize(&mut serde_json::Serializer::new(out))
                .map_err(|error| failed(error.to_string())),
        }
    }

    fn packed_len(&self, packer: Packer) -> usize {
        let len = self.encoded_len();
        match packer {
            Packer::Protobuf => len,
            // Names and punctuation beside the values.
            Packer::Php | Packer::Json => len.saturating_mul(2),
        }
    }
}

impl<T: prost::Message + Mapped + Clone + Default + 'static> Message for T {
    fn unpack(packed: Packed) -> Result<Self, Status> {
        let Packed { packer, bytes } = packed;
        match packer {
            Packer::Protobuf => {
                let dynamic = looks_dynamic(&bytes);
                Self::decode(bytes).map_err(|error| {
                    let hint = "; a dynamic value is no message in this packing: send it as PHP or JSON";
                    let hint = if dynamic { hint } else { "" };
                    wrong(packer, format_args!("{error}{hint}")).with_source(error)
                })
            }
            Packer::Json => from_json(&bytes).map_err(|error| wrong(packer, &error).with_source(error)),
            Packer::Php => from_php(&bytes, &WALKED).map_err(|error| {
                let path = error.path().to_owned();
                let error = PathError { path, error: error.with_path(String::new()) };
                wrong(packer, &error).with_source(error)
            }),
        }
    }
}

/// A dynamic value has no schema for protobuf: within the protobuf envelope it
/// is PHP's `serialize`, so that it arrives as it was.
impl PackMessage for Value {
    fn pack(&self, packer: Packer, out: &mut Vec<u8>) -> Result<(), PackError> {
        match packer {
            Packer::Php | Packer::Protobuf => {
                php::encode(self, out);
                Ok(())
            }
            Packer::Json => serde_json::to_writer(out, self)
                .map_err(|error| PackError { packer, reason: error.to_string() }),
        }
    }

    fn packed_len(&self, packer: Packer) -> usize {
        match packer {
            Packer::Protobuf => {
                let mut bytes = Vec::new();
                php::encode(self, &mut bytes);
                bytes.len()
            }
            // JSON has fewer marks between, and longer escapes.
            Packer::Php | Packer::Json => php::measure(self),
        }
    }

    fn has_schema(&self) -> bool {
        false
    }
}

impl Message for Value {
    fn unpack(packed: Packed) -> Result<Self, Status> {
        match packed.packer {
            Packer::Php => php::decode(&packed.bytes, &WALKED)
                .map_err(|error| wrong(packed.packer, &error).with_source(error)),
            // Opaque to the envelope: nobody has walked over it.
            Packer::Protobuf => php::decode(&packed.bytes, &Limits::default()).map_err(|error| {
                let hint =
                    "a typed message has no dynamic form in this packing, so call with PHP or JSON packing";
                wrong(packed.packer, format_args!("{hint} ({error})")).with_source(error)
            }),
            Packer::Json => serde_json::from_slice(&packed.bytes)
                .map_err(|error| wrong(packed.packer, &error).with_source(error)),
        }
    }
}

/// Whether bytes that should be a protobuf message are a dynamic value, which
/// travels as PHP's array in every packet.
fn looks_dynamic(bytes: &[u8]) -> bool {
    matches!(bytes, [b'a', b':', b'0'..=b'9', ..])
}

fn wrong(packer: Packer, error: impl std::fmt::Display) -> Status {
    Status::invalid_argument(format!("not the message expected ({packer}): {error}"))
}

/// Opens a body as a message. A message that never left this process is handed
/// over as it is.
///
/// # Errors
/// As [`Message::unpack`].
pub fn open<M: Message>(body: Body) -> Result<M, Status> {
    match body {
        Body::Packed(packed) => M::unpack(packed),
        Body::Message(message) => open_message(message),
        Body::Batch(_) => Err(Status::internal("a batch is no message: take it apart first")),
    }
}

fn open_message<M: Message>(message: Arc<dyn PackMessage>) -> Result<M, Status> {
    let any: Arc<dyn Any + Send + Sync> = message.clone();
    if let Ok(same) = any.downcast::<M>() {
        drop(message);
        return Ok(Arc::unwrap_or_clone(same));
    }
    let any: Arc<dyn Any + Send + Sync> = message.clone();
    if let Some(Unreadable { packer, reason }) = any.downcast_ref() {
        return Err(wrong(*packer, reason));
    }
    // Another type with the same fields: a dynamic value for a typed handler,
    // or the reverse. PHP's arrays are what they have in common.
    let mut bytes = Vec::new();
    message
        .pack(Packer::Php, &mut bytes)
        .map_err(|error| Status::internal(error.to_string()).with_source(error))?;
    M::unpack(Packed { packer: Packer::Php, bytes: bytes.into() })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::call::code::Code;
    use crate::value;

    fn packed<M: Message>(packer: Packer, message: &M) -> Body {
        let mut out = Vec::new();
        message.pack(packer, &mut out).expect("it can be packed");
        Body::packed(packer, out.into())
    }

    #[test]
    fn a_body_opens_as_what_was_packed() {
        for packer in [Packer::Php, Packer::Json, Packer::Protobuf] {
            let message = prost_types::Duration { seconds: 3, nanos: 5 };
            assert_eq!(open::<prost_types::Duration>(packed(packer, &message)).expect("the same"), message);
            let message = value!({ "a" => [1, true, null], "b" => "text" });
            assert_eq!(open::<Value>(packed(packer, &message)).expect("the same"), message);
        }
    }

    #[test]
    fn protobuf_lengths_are_exact() {
        let duration = prost_types::Duration { seconds: -3, nanos: -5 };
        let value = value!({ "a" => 1 });
        for message in [&duration as &dyn PackMessage, &value] {
            let mut out = Vec::new();
            message.pack(Packer::Protobuf, &mut out).expect("it can be packed");
            assert_eq!(out.len(), message.packed_len(Packer::Protobuf));
        }
    }

    #[test]
    fn another_message_is_an_error_that_names_the_packing() {
        let wrong: [(Packer, &'static [u8]); 4] = [
            (Packer::Php, b"a:1:{i:0;i:1;}"),
            (Packer::Json, b"[1]"),
            (Packer::Protobuf, b"\xff"),
            (Packer::Json, b"{"),
        ];
        for (packer, bytes) in wrong {
            let body = Body::packed(packer, Bytes::from_static(bytes));
            let status = open::<prost_types::Timestamp>(body).expect_err("it is no timestamp");
            assert_eq!(status.code(), Code::InvalidArgument);
            assert!(status.message().contains(&packer.to_string()), "{status}");
            assert!(std::error::Error::source(&status).is_some(), "{status:?}");
            if packer != Packer::Protobuf {
                let body = Body::packed(packer, Bytes::from_static(b"{"));
                let status = open::<Value>(body).expect_err("it is no value");
                assert!(std::error::Error::source(&status).is_some(), "{status:?}");
            }
        }
    }

    #[test]
    fn a_message_of_this_process_is_handed_over_unpacked() {
        let value = value!({ "text" => "a long enough text to be on the heap" });
        let address = |value: &Value| value.get("text").and_then(Value::as_bytes).map(<[u8]>::as_ptr);
        let before = address(&value);
        let opened: Value = open(Body::message(value)).expect("the same type");
        assert_eq!(address(&opened), before, "moved, not copied");
    }

    #[test]
    fn a_message_that_others_hold_is_cloned() {
        let message: Arc<dyn PackMessage> = Arc::new(Value::from("x"));
        let opened: Value = open(Body::Message(Arc::clone(&message))).expect("the same type");
        assert_eq!(opened, Value::from("x"));
        assert_eq!(open::<Value>(Body::Message(message)).expect("it is still there"), opened);
    }

    #[test]
    fn another_type_with_the_same_fields_is_converted() {
        let typed = prost_types::Struct {
            fields: [("a".to_owned(), prost_types::Value::from(1.5))].into_iter().collect(),
        };
        assert_eq!(open::<Value>(Body::message(typed.clone())).expect("an array"), value!({ "a" => 1.5 }));
        let back: prost_types::Struct = open(Body::message(value!({ "a" => 1.5 }))).expect("a struct");
        assert_eq!(back, typed);
        let status = open::<prost_types::Struct>(Body::message(Value::from("x"))).expect_err("no struct");
        assert_eq!(status.code(), Code::InvalidArgument);
    }

    #[test]
    fn a_batch_is_no_message() {
        let status = open::<Value>(Body::Batch(Vec::new())).expect_err("it has no value");
        assert_eq!(status.code(), Code::Internal);
    }

    #[test]
    fn a_dynamic_value_and_a_message_are_told_apart_in_words() {
        let dynamic = packed(Packer::Protobuf, &value!({ "seconds" => 3 }));
        let status = open::<prost_types::Duration>(dynamic).expect_err("it is no message");
        assert!(status.message().contains("send it as PHP or JSON"), "{status}");
        let typed = packed(Packer::Protobuf, &prost_types::Duration { seconds: 3, nanos: 5 });
        let status = open::<Value>(typed).expect_err("it is no dynamic value");
        assert!(status.message().contains("call with PHP or JSON packing"), "{status}");
        assert!(std::error::Error::source(&status).is_some());
    }
}

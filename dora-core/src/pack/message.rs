//! Typed messages and dynamic values in each packing.

use std::any::Any;
use std::sync::Arc;

use crate::call::body::{Body, PackError, PackMessage, Packed};
use crate::call::packer::Packer;
use crate::call::status::Status;

use super::limits::Limits;
use super::mapped::{Mapped, PathError, ToSerde, from_json, from_php};
use super::php;
use super::value::Value;

/// A message of any packing: generated messages, the well-known types that may
/// stand in their place, and [`Value`].
pub trait Message: PackMessage + Clone + Sized {
    /// Unpacks a message.
    ///
    /// # Errors
    /// `Code::InvalidArgument`: the bytes are no message of this type; the text
    /// names the field.
    fn unpack(packed: &Packed) -> Result<Self, Status>;
}

/// The bytes were walked over within the limits of their connection when the
/// envelope was read: what is left to bound is the depth of recursion.
const WALKED: Limits = Limits { depth: Limits::MAX_DEPTH, nodes: usize::MAX, bytes: usize::MAX, calls: 0 };

impl<T: prost::Message + Mapped + Clone + Default + 'static> PackMessage for T {
    fn pack(&self, packer: Packer, out: &mut Vec<u8>) -> Result<(), PackError> {
        let failed = |reason: String| PackError { packer, reason };
        match packer {
            Packer::Protobuf => self.encode(out).map_err(|error| failed(error.to_string())),
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
    fn unpack(packed: &Packed) -> Result<Self, Status> {
        let bytes = packed.bytes.clone();
        match packed.packer {
            Packer::Protobuf => Self::decode(bytes).map_err(|error| wrong(packed.packer, error)),
            Packer::Json => from_json(&bytes).map_err(|error| wrong(packed.packer, error)),
            Packer::Php => from_php(&bytes, &WALKED).map_err(|error| {
                let path = error.path().to_owned();
                wrong(packed.packer, PathError { path, error: error.with_path(String::new()) })
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
            Packer::Php | Packer::Json => 64,
        }
    }
}

impl Message for Value {
    fn unpack(packed: &Packed) -> Result<Self, Status> {
        match packed.packer {
            Packer::Php | Packer::Protobuf => {
                php::decode(&packed.bytes, &WALKED).map_err(|error| wrong(packed.packer, error))
            }
            Packer::Json => {
                serde_json::from_slice(&packed.bytes).map_err(|error| wrong(packed.packer, error))
            }
        }
    }
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
        Body::Packed(packed) => M::unpack(&packed),
        Body::Message(message) => open_message(message),
        Body::Deferred(_) => Err(Status::internal("the result is not there yet")),
    }
}

fn open_message<M: Message>(message: Arc<dyn PackMessage>) -> Result<M, Status> {
    let any: Arc<dyn Any + Send + Sync> = message.clone();
    if let Ok(same) = any.downcast::<M>() {
        drop(message);
        return Ok(Arc::unwrap_or_clone(same));
    }
    // Another type with the same fields: a dynamic value for a typed handler,
    // or the reverse. PHP's arrays are what they have in common.
    let mut bytes = Vec::new();
    message.pack(Packer::Php, &mut bytes).map_err(|error| Status::internal(error.to_string()))?;
    M::unpack(&Packed { packer: Packer::Php, bytes: bytes.into() })
}

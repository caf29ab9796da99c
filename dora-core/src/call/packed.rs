//! Messages as bytes, and what can become them.

use std::any::Any;

use bytes::Bytes;

use super::packer::Packer;

/// Bytes and how they were packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// How the bytes were packed.
    pub packer: Packer,
    /// The bytes of one value.
    pub bytes: Bytes,
}

/// A message that can be packed in every way: what `pack::message` makes of
/// generated messages and of dynamic values.
pub trait PackMessage: Any + Send + Sync {
    /// Appends the packed message to `out`.
    ///
    /// # Errors
    /// The message has a value that this packing cannot express; the text names
    /// the field.
    fn pack(&self, packer: Packer, out: &mut Vec<u8>) -> Result<(), PackError>;

    /// The exact number of bytes [`pack`](Self::pack) appends, where that is
    /// known beforehand (Protobuf), else an estimate for reserving space.
    fn packed_len(&self, packer: Packer) -> usize;

    /// Whether the message has a schema, so that every packing means the same.
    /// A dynamic value has none: no protobuf peer that has types can read it.
    fn has_schema(&self) -> bool {
        true
    }
}

/// A message that cannot be packed, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot pack as {packer}: {reason}")]
pub struct PackError {
    /// The packing that was asked for.
    pub packer: Packer,
    /// What could not be packed, and where in the message.
    pub reason: String,
}

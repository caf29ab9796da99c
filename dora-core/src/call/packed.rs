//! Messages as bytes, and what can become them.

use std::any::Any;
use std::fmt;

use bytes::Bytes;

use super::packer::Packer;

/// Bytes and how they were packed.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Packed {
    /// How the bytes were packed.
    pub packer: Packer,
    /// The bytes of one value.
    pub bytes: Bytes,
}

impl Packed {
    /// Bytes of one value, packed as `packer` does.
    #[must_use]
    pub const fn new(packer: Packer, bytes: Bytes) -> Self {
        Self { packer, bytes }
    }
}

/// Never the bytes: they are an application's, and `Debug` ends up in logs.
impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Packed({}, {} bytes)", self.packer, self.bytes.len())
    }
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
#[non_exhaustive]
pub struct PackError {
    /// The packing that was asked for.
    pub packer: Packer,
    /// What could not be packed, and where in the message.
    pub reason: String,
}

impl PackError {
    /// A message cannot be packed as `packer` for this `reason`.
    pub fn new(packer: Packer, reason: impl Into<String>) -> Self {
        Self { packer, reason: reason.into() }
    }
}

//! A parameter that came and must not be read.

use crate::call::packed::{PackError, PackMessage};
use crate::call::packer::Packer;

/// What stands in the place of a parameter over the limits of its connection: an
/// error to whoever opens it, which is its own call, and to nobody else.
#[derive(Clone, Debug)]
pub(crate) struct Unreadable {
    /// How it was packed.
    pub(crate) packer: Packer,
    /// Which limit it is over, and where.
    pub(crate) reason: String,
}

impl PackMessage for Unreadable {
    fn pack(&self, packer: Packer, _: &mut Vec<u8>) -> Result<(), PackError> {
        Err(PackError { packer, reason: self.reason.clone() })
    }

    fn packed_len(&self, _: Packer) -> usize {
        0
    }

    fn has_schema(&self) -> bool {
        false
    }
}

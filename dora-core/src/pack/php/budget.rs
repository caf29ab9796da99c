//! What a walk over serialized bytes may still take.

use super::error::{Fault, PhpErrorKind};
use crate::pack::limits::Limits;

/// What is left of the [`Limits`] of one body while it is walked over.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    pub(super) depth: usize,
    nodes: usize,
    bytes: usize,
}

impl Budget {
    /// For what is passed and not read.
    pub(super) const ENDLESS: Self = Self { depth: usize::MAX, nodes: usize::MAX, bytes: usize::MAX };

    /// All of `limits`.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self { depth: limits.depth.min(Limits::MAX_DEPTH), nodes: limits.nodes, bytes: limits.bytes }
    }

    /// Takes one value; false when there are none left.
    #[inline]
    pub(super) fn spend(&mut self) -> bool {
        match self.nodes.checked_sub(1) {
            Some(nodes) => {
                self.nodes = nodes;
                true
            }
            None => false,
        }
    }

    /// Goes one array deeper; false when that is too deep.
    pub(super) fn enter(&mut self) -> bool {
        match self.depth.checked_sub(1) {
            Some(depth) => {
                self.depth = depth;
                true
            }
            None => false,
        }
    }

    /// Comes back out of an array.
    pub(super) fn leave(&mut self) {
        self.depth = self.depth.saturating_add(1);
    }

    pub(super) fn admit(&self, input: &[u8]) -> Result<(), Fault> {
        if input.len() > self.bytes {
            return Err(Fault { kind: PhpErrorKind::Bytes, offset: self.bytes });
        }
        Ok(())
    }
}

impl From<&Limits> for Budget {
    fn from(limits: &Limits) -> Self {
        Self::new(limits)
    }
}

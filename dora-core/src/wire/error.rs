//! What can be wrong with a frame.

use bytes::Bytes;

use crate::generation::Generation;
use crate::guid::Guid;

/// A frame that is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The length field is over the limit. Known from the first four bytes; the
    /// connection cannot be used further.
    #[error("a packet of {len} bytes is over the limit of {max} bytes; max_packet sets it, on each end")]
    TooLong {
        /// Bytes of the whole packet as claimed, the length field included.
        len: u64,
        /// The largest packet allowed.
        max: usize,
    },
    /// The length field leaves no room for the header. Known from the first four
    /// bytes; the connection cannot be used further.
    #[error("a length field of {len} is under the {min} bytes of a header")]
    TooShort {
        /// The length field.
        len: u32,
        /// The smallest that is possible.
        min: u32,
    },
    /// The signature does not match. The frame is cut off the stream: the
    /// connection can be used further.
    #[error("signature {found:08x} does not match the body's {expected:08x}")]
    Signature {
        /// The guid in the header, where this generation has one.
        guid: Option<Guid>,
        /// The generation the frame seems to be of.
        generation: Generation,
        /// The body, for as much as a changed one can tell.
        body: Bytes,
        /// What the body and our salt give.
        expected: u32,
        /// What the frame says.
        found: u32,
    },
}

impl FrameError {
    /// Whether the stream is out of step, so that the connection must be closed.
    #[must_use]
    pub const fn is_fatal(&self) -> bool {
        !matches!(self, Self::Signature { .. })
    }
}

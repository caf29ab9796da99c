//! What two ends have to agree on.

use bytes::Bytes;

/// What two ends have to agree on.
#[derive(Clone, Debug)]
pub(super) struct Dialect {
    pub(super) version: Version,
    /// Ends a frame.
    pub(super) end: Bytes,
}

/// Whose packets they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
}

impl Dialect {
    pub(super) const V1: Self = Self { version: Version::V1, end: Bytes::from_static(b"\r\n") };
    pub(super) const V2: Self = Self { version: Version::V2, end: Bytes::from_static(b"\r\n\r\n") };

    /// The same with frames that end in `end`.
    ///
    /// # Panics
    /// `end` is empty.
    pub(super) fn ended(self, end: Bytes) -> Self {
        assert!(!end.is_empty(), "an end mark of no bytes ends no frame");
        Self { end, ..self }
    }
}

/// Whether a frame ends within `bytes`.
pub(super) fn holds(bytes: &[u8], end: &[u8]) -> bool {
    bytes.windows(end.len()).any(|window| window == end)
}

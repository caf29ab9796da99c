//! What a peer may make us do while unpacking.

/// Bounds on one unpacked body. They hold before anything is allocated.
/// ```
/// use dora::{Limits, Server};
///
/// let limits = Limits { calls: 50, ..Limits::default() }.with_depth(32);
/// let server = Server::builder().limits(limits);
/// # drop(server);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Levels of arrays within arrays. Default 64, as deep as [`Limits::MAX_DEPTH`].
    pub depth: usize,
    /// Values in one body, keys not counted. Default 524,288 (2^19).
    pub nodes: usize,
    /// Bytes of one body after inflating it. Default 8 MiB (8,388,608): four times
    /// the largest packet of the PHP systems, which bounds the packed bytes alone.
    pub bytes: usize,
    /// Calls in one packet. Default 1024; the PHP advice is at most 50.
    pub calls: usize,
}

impl Limits {
    /// The deepest nesting that can be asked for: 512 levels.
    pub const MAX_DEPTH: usize = 512;

    /// The same limits with another depth, at most [`Limits::MAX_DEPTH`].
    #[must_use]
    pub fn with_depth(self, depth: usize) -> Self {
        Self { depth: depth.min(Self::MAX_DEPTH), ..self }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 64, nodes: 1 << 19, bytes: 8 << 20, calls: 1024 }
    }
}

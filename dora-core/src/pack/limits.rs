//! What a peer may make us do while unpacking.

/// Bounds on one unpacked body. They hold before anything is allocated, and each
/// error names the one that was met: `Limits::depth`.
///
/// In PHP's packing a parameter, or a result of several, that is over `depth` or
/// `nodes` fails its own call; what else is over a limit refuses the packet.
///
/// The defaults are in proportion to the largest packet, so that what PHP takes is
/// taken, and what a packet can be made to cost stays bounded: the worst body of
/// a 2 MiB packet, held as a dynamic value, takes some 290 MiB.
///
/// ```
/// use dora::{Limits, Server};
///
/// let server = Server::builder().limits(Limits::default().with_depth(64).with_calls(50));
/// # drop(server);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Levels of arrays and objects within one another. Default and largest value:
    /// 512 ([`Limits::MAX_DEPTH`]); in JSON, values nest up to 127 levels.
    pub depth: usize,
    /// Values in one body, keys not counted. Default one for each 2 bytes of the
    /// largest packet: 1,048,576, which only a compressed body can exceed.
    pub nodes: usize,
    /// Bytes of one body after inflating it. Default 16 times the largest packet:
    /// 32 MiB.
    pub bytes: usize,
    /// Calls, or results, in one packet. Default one for each 512 bytes of the
    /// largest packet: 4096; the PHP advice is at most 50.
    pub calls: usize,
}

impl Limits {
    /// The deepest nesting that can be asked for: 512 levels.
    pub const MAX_DEPTH: usize = 512;

    /// The defaults where the largest packet has `max_packet` bytes. The calls are
    /// never under 64.
    #[must_use]
    pub const fn for_packet(max_packet: usize) -> Self {
        let calls = max_packet / 512;
        Self {
            depth: Self::MAX_DEPTH,
            nodes: max_packet / 2,
            bytes: max_packet.saturating_mul(16),
            calls: if calls < 64 { 64 } else { calls },
        }
    }

    /// The same limits with another depth, at most [`Limits::MAX_DEPTH`].
    #[must_use]
    pub fn with_depth(self, depth: usize) -> Self {
        Self { depth: depth.min(Self::MAX_DEPTH), ..self }
    }

    /// The same limits with another number of values in one body.
    #[must_use]
    pub const fn with_nodes(self, nodes: usize) -> Self {
        Self { nodes, ..self }
    }

    /// The same limits with another size of an inflated body, in bytes.
    #[must_use]
    pub const fn with_bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }

    /// The same limits with another number of calls, or results, in one packet.
    #[must_use]
    pub const fn with_calls(self, calls: usize) -> Self {
        Self { calls, ..self }
    }

    /// What is left of them for a value that stands `levels` arrays within the body.
    pub(crate) fn within(self, levels: usize) -> Self {
        Self { depth: self.depth.saturating_sub(levels), ..self }
    }

    /// The same limits for packets of `new` bytes in place of `old`: those that
    /// somebody chose stay.
    pub(crate) fn moved(self, old: usize, new: usize) -> Self {
        if self == Self::for_packet(old) { Self::for_packet(new) } else { self }
    }
}

/// Those of the PHP systems' largest packet, 2 MiB.
impl Default for Limits {
    fn default() -> Self {
        Self::for_packet(2 << 20)
    }
}

#[cfg(test)]
mod tests {
    use super::Limits;

    #[test]
    fn defaults_follow_the_packet_until_somebody_chooses() {
        let default = Limits::default();
        assert_eq!(
            (default.depth, default.nodes, default.bytes, default.calls),
            (512, 1 << 20, 32 << 20, 4096)
        );
        assert_eq!(default.moved(2 << 20, 8 << 20), Limits::for_packet(8 << 20));
        let chosen = Limits { calls: 7, ..default };
        assert_eq!(chosen.moved(2 << 20, 8 << 20), chosen);
        assert_eq!(Limits::for_packet(1000).calls, 64);
    }
}

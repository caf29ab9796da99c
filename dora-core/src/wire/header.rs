//! The layout of a frame's header: one set of constants for both directions.

use crate::generation::Generation;

/// Bytes of the length field.
pub(super) const LENGTH: usize = 4;
/// Bytes of the signature.
pub(super) const SIGNATURE: usize = 4;

/// Tells the generation by the bytes where the guid would stand: a PHP array
/// (`a:` and a digit) or a gzip member there is the body of a frame without one.
/// [`Generation::Bare`] has the same header as `Plain`: the packet tells.
pub(super) fn detect(at_guid: &[u8]) -> Generation {
    match at_guid {
        [b'a', b':', b'0'..=b'9', ..] | [0x1f, 0x8b, ..] => Generation::Plain,
        _ => Generation::Guid,
    }
}

/// The largest packet of the PHP systems, the length field included: 2 MiB.
pub const DEFAULT_MAX_PACKET: usize = 2 << 20;

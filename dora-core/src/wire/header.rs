//! The layout of a frame's header: one set of constants for both directions.

/// The generations of the header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Generation {
    /// With a guid in the header: Dora-RPC since January 2017.
    #[default]
    Guid,
    /// Without: the 0.4.x releases, and 2015 to mid 2016.
    Plain,
}

/// Bytes of the length field.
pub(super) const LENGTH: usize = 4;
/// Bytes of the signature.
pub(super) const SIGNATURE: usize = 4;

impl Generation {
    /// Tells the generation by the bytes where the guid would stand: a PHP array
    /// (`a:` and a digit) or a gzip member there is the body of a `Plain` frame.
    pub(super) fn detect(at_guid: &[u8]) -> Self {
        match at_guid {
            [b'a', b':', b'0'..=b'9', ..] | [0x1f, 0x8b, ..] => Self::Plain,
            _ => Self::Guid,
        }
    }
}

/// The largest packet of the PHP systems, the length field included: 2 MiB.
pub const DEFAULT_MAX_PACKET: usize = 2 << 20;

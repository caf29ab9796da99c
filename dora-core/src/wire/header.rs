//! The layout of a frame's header: one set of constants for both directions.

use crate::generation::Generation;
use crate::guid::Guid;

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

/// Where things stand in the frames of one connection, for whoever looks at
/// frames that it wrote itself.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Whether frames have a signature.
    pub signed: bool,
    /// The generation of all frames.
    pub generation: Generation,
}

impl Layout {
    /// The bytes of the whole frame that begins `bytes`; `None` where not even
    /// its length is there.
    #[must_use]
    pub fn whole(bytes: &[u8]) -> Option<usize> {
        let len = u32::from_be_bytes(*bytes.first_chunk::<LENGTH>()?);
        usize::try_from(len).ok()?.checked_add(LENGTH)
    }

    /// Where the guid would stand.
    const fn at_guid(self) -> usize {
        if self.signed { LENGTH.saturating_add(SIGNATURE) } else { LENGTH }
    }

    /// The guid of a whole frame, where its generation has one.
    #[must_use]
    pub fn guid(self, frame: &[u8]) -> Option<Guid> {
        let guid = frame.get(self.at_guid()..)?.first_chunk::<{ Guid::LEN }>();
        guid.copied().map(Guid::from).filter(|_| self.generation.has_guid())
    }

    /// Writes the guid into a whole frame that was begun with another one.
    pub fn set_guid(self, frame: &mut [u8], guid: &Guid) {
        let place = frame.get_mut(self.at_guid()..).and_then(|rest| rest.first_chunk_mut::<{ Guid::LEN }>());
        if let (true, Some(place)) = (self.generation.has_guid(), place) {
            *place = *guid.as_bytes();
        }
    }

    /// The body of a whole frame.
    #[must_use]
    pub fn body(self, frame: &[u8]) -> &[u8] {
        let guid = if self.generation.has_guid() { Guid::LEN } else { 0 };
        frame.get(self.at_guid().saturating_add(guid)..).unwrap_or_default()
    }
}

/// The largest packet of the PHP systems, the length field included: 2 MiB.
pub const DEFAULT_MAX_PACKET: usize = 2 << 20;

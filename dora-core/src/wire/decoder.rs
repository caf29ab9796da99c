//! Cutting frames off a stream of bytes.

use bytes::{Buf, Bytes, BytesMut};

use crate::generation::Generation;
use crate::guid::Guid;

use super::checksum::Salt;
use super::error::FrameError;
use super::header::{LENGTH, SIGNATURE, detect};

/// One whole frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The generation of the header.
    pub generation: Generation,
    /// The guid in the header; `Plain` has none.
    pub guid: Option<Guid>,
    /// The body as it came: perhaps gzipped, packed in some way.
    pub body: Bytes,
}

/// Cuts frames off the bytes of one connection.
///
/// It holds no bytes of its own and every length is judged from the first four
/// bytes of a frame, so that a claim costs its receiver nothing.
#[derive(Clone, Debug)]
pub struct Decoder {
    max_packet: usize,
    salt: Option<Salt>,
}

impl Decoder {
    /// A decoder of packets of up to `max_packet` bytes (the length field
    /// included), signed with `salt` or not signed: that cannot be told from the
    /// frames.
    #[must_use]
    pub const fn new(max_packet: usize, salt: Option<Salt>) -> Self {
        Self { max_packet, salt }
    }

    /// Cuts the first frame off `buffer`. `None` while it is incomplete.
    ///
    /// # Errors
    /// The frame is refused; see [`FrameError::is_fatal`] for whether there is
    /// any going on.
    pub fn decode(&self, buffer: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        let Some(len) = self.length(buffer)? else { return Ok(None) };
        if buffer.len() < len.saturating_add(LENGTH) {
            return Ok(None);
        }
        let mut frame = buffer.split_to(len.saturating_add(LENGTH)).freeze();
        frame.advance(LENGTH);
        self.parse(frame).map(Some)
    }

    /// How many bytes of the frame that `buffer` begins with are still to come;
    /// `None` while even its length is unknown. Only for bytes that
    /// [`decode`](Self::decode) found incomplete.
    #[must_use]
    pub fn missing(&self, buffer: &[u8]) -> Option<usize> {
        let len = self.length(buffer).ok()??;
        Some(len.saturating_add(LENGTH).saturating_sub(buffer.len()))
    }

    /// The judged length field: bytes that follow it.
    fn length(&self, buffer: &[u8]) -> Result<Option<usize>, FrameError> {
        let Some(&field) = buffer.first_chunk::<LENGTH>() else { return Ok(None) };
        let len = u32::from_be_bytes(field);
        let whole = u64::from(len).saturating_add(LENGTH as u64);
        if whole > self.max_packet as u64 {
            return Err(FrameError::TooLong { len: whole, max: self.max_packet });
        }
        // PHP's own bound, signed or not. A packet of either generation is longer,
        // so anything shorter is refused before its generation could be told.
        match usize::try_from(len) {
            Ok(len) if len >= Guid::LEN => Ok(Some(len)),
            _ => Err(FrameError::TooShort { len, min: u32::try_from(Guid::LEN).unwrap_or(u32::MAX) }),
        }
    }

    fn parse(&self, mut rest: Bytes) -> Result<Frame, FrameError> {
        let whole = self.salt.is_some().then(|| rest.clone());
        let found = match &self.salt {
            Some(_) => rest.try_get_u32().unwrap_or_default(),
            None => 0,
        };
        let generation = detect(&rest);
        let mut guid = None;
        if generation.has_guid() {
            // Copied: another handle on the frame costs more than its 32 bytes.
            guid = rest.first_chunk::<{ Guid::LEN }>().copied().map(Guid::from);
            rest.advance(Guid::LEN.min(rest.len()));
        }
        if let Some(salt) = &self.salt {
            let expected = salt.sign(&rest);
            if expected != found {
                // The frame of a peer that does not sign has its body where the
                // signature would stand.
                let unsigned = whole.filter(|whole| !detect(whole).has_guid());
                let (guid, generation, body) = match unsigned {
                    Some(body) => (None, Generation::Plain, body),
                    None => (guid, generation, rest),
                };
                return Err(FrameError::Signature { guid, generation, body, expected, found });
            }
        }
        Ok(Frame { generation, guid, body: rest })
    }
}

const _: () = assert!(SIGNATURE == size_of::<u32>() && LENGTH == size_of::<u32>());

#[cfg(test)]
mod tests {
    use super::*;

    const GUID: &[u8; 32] = b"0123456789abcdef0123456789abcdef";

    fn decoder() -> Decoder {
        Decoder::new(1000, None)
    }

    fn frame(len: u32, rest: &[&[u8]]) -> BytesMut {
        let mut bytes = BytesMut::from(&len.to_be_bytes()[..]);
        rest.iter().for_each(|part| bytes.extend_from_slice(part));
        bytes
    }

    #[test]
    fn a_frame_comes_out_when_its_last_byte_is_in() {
        let whole = frame(36, &[GUID, b"N;N;"]);
        let mut buffer = BytesMut::new();
        for byte in &whole[..39] {
            buffer.extend_from_slice(&[*byte]);
            assert_eq!(decoder().decode(&mut buffer), Ok(None));
        }
        assert_eq!(decoder().missing(&buffer), Some(1));
        buffer.extend_from_slice(&whole[39..]);
        buffer.extend_from_slice(b"\0\0");
        let frame = decoder().decode(&mut buffer).expect("good").expect("whole");
        assert_eq!(frame.guid, Guid::from_bytes(GUID));
        assert_eq!((frame.generation, &frame.body[..]), (Generation::Guid, &b"N;N;"[..]));
        assert_eq!(&buffer[..], b"\0\0");
        assert_eq!(decoder().missing(&buffer), None);
    }

    #[test]
    fn the_generation_is_told_per_frame() {
        let php: &[u8] = b"a:1:{s:3:\"api\";a:0:{}s:1:\"x\";i:1;}";
        let gzip: &[u8] = &[
            0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
            12, 13,
        ];
        for body in [php, gzip] {
            let mut plain = frame(body.len() as u32, &[body]);
            let plain = decoder().decode(&mut plain).expect("good").expect("whole");
            assert_eq!((plain.generation, plain.guid, &plain.body[..]), (Generation::Plain, None, body));
            let mut guid = frame(32 + body.len() as u32, &[GUID, body]);
            let guid = decoder().decode(&mut guid).expect("good").expect("whole");
            assert_eq!((guid.generation, &guid.body[..]), (Generation::Guid, body));
        }
    }

    #[test]
    fn lengths_are_judged_on_the_first_four_bytes() {
        let refuse = |len: u32| decoder().decode(&mut frame(len, &[])).expect_err("refused");
        assert_eq!(refuse(0), FrameError::TooShort { len: 0, min: 32 });
        assert_eq!(refuse(31), FrameError::TooShort { len: 31, min: 32 });
        assert_eq!(refuse(997), FrameError::TooLong { len: 1001, max: 1000 });
        assert_eq!(refuse(u32::MAX), FrameError::TooLong { len: (1 << 32) + 3, max: 1000 });
        assert_eq!(decoder().decode(&mut frame(996, &[])), Ok(None));
        for claim in [&b"GET "[..], b"\x16\x03\x01\x02", b"POST"] {
            let mut buffer = BytesMut::from(claim);
            let error = Decoder::new(2 << 20, None).decode(&mut buffer).expect_err("refused");
            assert!(matches!(error, FrameError::TooLong { .. }) && error.is_fatal());
            assert_eq!(buffer.capacity(), 4, "nothing was reserved for the claim");
        }
    }

    #[test]
    fn a_wrong_signature_costs_its_frame_alone() {
        let signed = Decoder::new(1000, Some(Salt::default()));
        let good = Salt::default().sign(b"N;").to_be_bytes();
        let mut buffer = frame(38, &[&[1, 2, 3, 4], GUID, b"N;"]);
        buffer.unsplit(frame(38, &[&good, GUID, b"N;"]));
        let error = signed.decode(&mut buffer).expect_err("wrong");
        assert!(!error.is_fatal());
        assert!(matches!(error, FrameError::Signature { guid, .. } if guid == Guid::from_bytes(GUID)));
        let frame = signed.decode(&mut buffer).expect("good").expect("whole");
        assert_eq!(&frame.body[..], b"N;");
        assert_eq!(
            signed.decode(&mut BytesMut::from(&31u32.to_be_bytes()[..])),
            Err(FrameError::TooShort { len: 31, min: 32 })
        );
    }

    #[test]
    fn a_signed_frame_too_short_for_a_guid_is_cut_off_and_refused() {
        let signed = Decoder::new(1000, Some(Salt::default()));
        // As PHP 7.1 was sent it: the first four bytes of the guid stand for a signature.
        let mut buffer = frame(33, &[GUID, b"N"]);
        let error = signed.decode(&mut buffer).expect_err("wrong");
        assert!(matches!(error, FrameError::Signature { guid: None, .. }), "{error}");
        assert!(!error.is_fatal() && buffer.is_empty());
    }
}

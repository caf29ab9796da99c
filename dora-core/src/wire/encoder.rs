//! Putting frames together.

use crate::generation::Generation;
use crate::guid::Guid;

use super::checksum::Salt;
use super::error::FrameError;
use super::header::{LENGTH, SIGNATURE};

/// Writes frames behind one another into a buffer.
#[derive(Clone, Debug)]
pub struct Encoder {
    max_packet: usize,
    salt: Option<Salt>,
}

/// A frame that was begun in a buffer: where, and what its header needs.
#[derive(Debug)]
#[must_use = "a frame that is not finished has no length"]
pub struct Unfinished {
    start: usize,
    body: usize,
}

impl Unfinished {
    /// Where in the buffer the body begins.
    #[must_use]
    pub const fn body(&self) -> usize {
        self.body
    }
}

impl Encoder {
    /// An encoder of packets of up to `max_packet` bytes (the length field
    /// included), signed with `salt` or not.
    #[must_use]
    pub const fn new(max_packet: usize, salt: Option<Salt>) -> Self {
        Self { max_packet, salt }
    }

    /// The largest packet that it writes, in bytes.
    #[must_use]
    pub const fn max_packet(&self) -> usize {
        self.max_packet
    }

    /// Begins a frame at the end of `out`. The body is what the caller appends
    /// until [`finish`](Self::finish).
    pub fn begin(&self, generation: Generation, guid: &Guid, out: &mut Vec<u8>) -> Unfinished {
        let start = out.len();
        out.extend_from_slice(&[0; LENGTH]);
        if self.salt.is_some() {
            out.extend_from_slice(&[0; SIGNATURE]);
        }
        if generation.has_guid() {
            out.extend_from_slice(guid.as_bytes());
        }
        Unfinished { start, body: out.len() }
    }

    /// Writes the length and the signature of the frame whose body ends `out`.
    ///
    /// # Errors
    /// The packet is over the limit; `out` is as it was before the frame.
    pub fn finish(&self, frame: &Unfinished, out: &mut Vec<u8>) -> Result<(), FrameError> {
        let whole = out.len().saturating_sub(frame.start);
        let len = u32::try_from(whole.saturating_sub(LENGTH));
        let (true, Ok(len)) = (whole <= self.max_packet, len) else {
            out.truncate(frame.start);
            return Err(FrameError::TooLong { len: whole as u64, max: self.max_packet });
        };
        let signature = self.salt.as_ref().map(|salt| salt.sign(out.get(frame.body..).unwrap_or_default()));
        let header = out.get_mut(frame.start..).unwrap_or_default();
        if let Some((field, rest)) = header.split_first_chunk_mut::<LENGTH>() {
            *field = len.to_be_bytes();
            if let (Some(signature), Some(field)) = (signature, rest.first_chunk_mut::<SIGNATURE>()) {
                *field = signature.to_be_bytes();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::super::decoder::Decoder;
    use super::*;

    #[test]
    fn what_is_encoded_decodes() {
        for salt in [None, Some(Salt::default())] {
            let encoder = Encoder::new(100, salt.clone());
            let decoder = Decoder::new(100, salt);
            let mut out = b"before".to_vec();
            for generation in [Generation::Guid, Generation::Plain] {
                let frame = encoder.begin(generation, &Guid::ZERO, &mut out);
                out.extend_from_slice(b"a:1:{i:0;s:20:\"12345678901234567890\";}");
                encoder.finish(&frame, &mut out).expect("within the limit");
            }
            let mut stream = BytesMut::from(&out[6..]);
            for generation in [Generation::Guid, Generation::Plain] {
                let frame = decoder.decode(&mut stream).expect("good").expect("whole");
                assert_eq!(frame.generation, generation);
                assert_eq!(frame.guid.is_some(), generation == Generation::Guid);
                assert_eq!(frame.body.len(), 38);
            }
            assert!(stream.is_empty());
        }
    }

    #[test]
    fn a_packet_over_the_limit_leaves_no_trace() {
        let encoder = Encoder::new(40, None);
        let mut out = b"before".to_vec();
        let frame = encoder.begin(Generation::Guid, &Guid::ZERO, &mut out);
        out.extend_from_slice(b"12345");
        assert_eq!(encoder.finish(&frame, &mut out), Err(FrameError::TooLong { len: 41, max: 40 }));
        assert_eq!(out, b"before");
    }
}

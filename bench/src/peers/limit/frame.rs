//! `u32 length | guid[32] | body`, where the body is a protobuf envelope written by hand:
//! `mode = 1`, `method = 2` (requests only), `param = 3` (the message).

use std::{collections::VecDeque, io, io::IoSlice, mem};

use bytes::{Buf, BufMut, Bytes, BytesMut, buf::Limit};
use prost::{
    Message,
    encoding::{decode_varint, encode_varint, encoded_len_varint},
};
use tokio::net::TcpStream;

use super::release;
use crate::message::EchoMessage;

pub(super) const GUID: usize = 32;
const LENGTH: usize = 4;
const MAX_FRAME: usize = 8 * 1024 * 1024;
const READ_CHUNK: usize = 64 * 1024;
const SLACK: usize = 1024;

/// From this size on a payload is not copied but written as a segment of its own.
const SEGMENT: usize = 8 * 1024;
const SEGMENTS_PER_WRITE: usize = 64;

const MODE_KEY: u8 = 0x08;
const METHOD_KEY: u8 = 0x12;
const PARAM_KEY: u8 = 0x1a;
const PAYLOAD_KEY: u8 = 0x32;
const WAIT: u8 = 1;

/// A whole frame.
pub(super) struct Frame {
    pub(super) guid: [u8; GUID],
    pub(super) body: Bytes,
}

/// Cuts frames out of a stream.
#[derive(Default)]
pub(super) struct Decoder {
    buffer: BytesMut,
    /// The size of the last frame.
    last: usize,
    /// What is not there yet of the frame that has begun.
    missing: usize,
}

/// Frames to be written. Small ones lie one after the other in `tail`; a large payload closes the
/// tail and stands between.
#[derive(Default)]
pub(super) struct Output {
    segments: VecDeque<Bytes>,
    tail: BytesMut,
}

impl Frame {
    /// Opens the envelope and decodes the message in it.
    pub(super) fn message(self) -> anyhow::Result<EchoMessage> {
        let mut body = self.body;
        while body.has_remaining() {
            let key = body.get_u8();
            let value = decode_varint(&mut body)?;
            match key {
                MODE_KEY => {}
                METHOD_KEY => body.advance(field_len(value, &body)?),
                PARAM_KEY => {
                    let param = body.split_to(field_len(value, &body)?);
                    return Ok(EchoMessage::decode(param)?);
                }
                _ => anyhow::bail!("field key {key} in the envelope"),
            }
        }
        anyhow::bail!("envelope without a param")
    }
}

impl Decoder {
    /// Where to read to: a chunk for as many small frames as there may be. Large ones are expected
    /// to be of one size, and read hardly further than to their end, since what follows has to be
    /// moved out of their memory; a little further, since a read that is not filled tells that the
    /// socket is empty.
    pub(super) fn room(&mut self) -> Limit<&mut BytesMut> {
        let room = match self.missing {
            missing if self.last < READ_CHUNK => missing.max(READ_CHUNK),
            0 => self.last.saturating_add(SLACK),
            missing => missing.saturating_add(SLACK),
        };
        self.buffer.reserve(room);
        (&mut self.buffer).limit(room)
    }

    /// The next whole frame.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<Frame>> {
        self.missing = 0;
        let Some((mut length, rest)) = self.buffer.split_at_checked(LENGTH) else {
            return Ok(None);
        };
        let length = length.get_u32() as usize;
        anyhow::ensure!((GUID..=MAX_FRAME).contains(&length), "frame of {length}");
        if rest.len() < length {
            self.missing = length.saturating_sub(rest.len());
            return Ok(None);
        }
        self.last = LENGTH.saturating_add(length);
        let mut frame = self.buffer.split_to(self.last).freeze();
        frame.advance(LENGTH);
        let mut guid = [0; GUID];
        frame.copy_to_slice(&mut guid);
        Ok(Some(Frame { guid, body: frame }))
    }

    /// Holds no memory between frames.
    pub(super) fn release(&mut self) {
        if self.buffer.is_empty() {
            release(&mut self.buffer);
        }
    }
}

impl Output {
    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.tail.is_empty()
    }

    /// Encodes one frame: a request if it names a `method`, else a reply.
    pub(super) fn push(
        &mut self,
        guid: &[u8; GUID],
        method: Option<&str>,
        mut message: EchoMessage,
    ) -> anyhow::Result<()> {
        let param_len = message.encoded_len();
        let method_len = method.map_or(0, |method| field_size(method.len()));
        let length = GUID + 2 + method_len + field_size(param_len);
        // The payload is the last field: what stands before it is encoded without it.
        let payload = mem::take(&mut message.payload);
        let segment = payload.len() >= SEGMENT;
        let copied = length - if segment { payload.len() } else { 0 };
        let tail = &mut self.tail;
        tail.reserve(LENGTH + copied);
        tail.put_u32(u32::try_from(length)?);
        tail.put_slice(guid);
        tail.put_slice(&[MODE_KEY, WAIT]);
        if let Some(method) = method {
            tail.put_u8(METHOD_KEY);
            encode_varint(method.len() as u64, tail);
            tail.put_slice(method.as_bytes());
        }
        tail.put_u8(PARAM_KEY);
        encode_varint(param_len as u64, tail);
        message.encode_raw(tail);
        if !payload.is_empty() {
            tail.put_u8(PAYLOAD_KEY);
            encode_varint(payload.len() as u64, tail);
        }
        if segment {
            self.segments.push_back(tail.split().freeze());
            self.segments.push_back(payload);
        } else {
            tail.put_slice(&payload);
        }
        Ok(())
    }

    /// Writes what the socket takes; `true` once all is written.
    pub(super) fn try_write(&mut self, stream: &TcpStream) -> io::Result<bool> {
        while !self.is_empty() {
            let written = if self.segments.is_empty() {
                stream.try_write(&self.tail)
            } else {
                let mut slices = [IoSlice::new(&[]); SEGMENTS_PER_WRITE];
                let parts = self.segments.iter().map(|part| &part[..]);
                let parts = parts.chain([&self.tail[..]]);
                let count = slices.iter_mut().zip(parts).map(|(slice, part)| {
                    *slice = IoSlice::new(part);
                });
                let count = count.count();
                stream.try_write_vectored(&slices[..count])
            };
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => self.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Holds no memory between frames.
    pub(super) fn release(&mut self) {
        release(&mut self.tail);
    }

    fn advance(&mut self, mut written: usize) {
        while let Some(part) = self.segments.front_mut() {
            if written < part.len() {
                part.advance(written);
                return;
            }
            written -= part.len();
            self.segments.pop_front();
        }
        if written == self.tail.len() {
            self.tail.clear();
        } else {
            self.tail.advance(written);
        }
    }
}

/// The size of a length-delimited field whose key takes one byte.
fn field_size(length: usize) -> usize {
    1 + encoded_len_varint(length as u64) + length
}

fn field_len(value: u64, body: &Bytes) -> anyhow::Result<usize> {
    let length = usize::try_from(value)?;
    anyhow::ensure!(length <= body.len(), "field of {length} bytes is cut off");
    Ok(length)
}

//! Fields of protobuf messages, by hand.

use std::ops::Range;

use bytes::{Buf, Bytes};
use prost::encoding::{self, DecodeContext, WireType, encode_varint, encoded_len_varint, key_len};

use crate::call::batch::CallKey;
use crate::call::capabilities::Capabilities;
use crate::call::metadata::Metadata;

// Field numbers of `Pair` in `packet.proto`.
const PAIR_KEY: u32 = 1;
const PAIR_VALUE: u32 = 2;

/// The field numbers of a `oneof key`.
pub(super) struct Keys {
    pub(super) index: u32,
    pub(super) name: u32,
}

impl Keys {
    pub(super) fn read(&self, tag: u32, field: Field, key: &mut Option<CallKey>) {
        match field {
            // The bits of a protobuf int64.
            Field::Varint(bits) if tag == self.index => *key = Some(CallKey::Int(bits.cast_signed())),
            Field::Bytes(bytes) if tag == self.name => *key = Some(CallKey::Str(bytes)),
            _ => {}
        }
    }

    pub(super) fn write(&self, key: &CallKey, out: &mut Vec<u8>) {
        match key {
            CallKey::Int(index) => put_varint(self.index, index.cast_unsigned(), out),
            CallKey::Str(name) => put_bytes(self.name, name, out),
        }
    }

    pub(super) fn len(&self, key: &CallKey) -> usize {
        match key {
            CallKey::Int(index) => varint_len(self.index, index.cast_unsigned()),
            CallKey::Str(name) => bytes_len(self.name, name.len()),
        }
    }
}

pub(super) fn add_pair(metadata: &mut Metadata, bytes: Bytes) -> Decoded<()> {
    if metadata.len() >= Metadata::MAX_PAIRS {
        return Err(Malformed(format!("over {} metadata pairs", Metadata::MAX_PAIRS)));
    }
    let (mut key, mut value) = (String::new(), String::new());
    each_field(bytes, |tag, field| {
        match (tag, field) {
            (PAIR_KEY, Field::Bytes(text)) => key = text_of(&text),
            (PAIR_VALUE, Field::Bytes(text)) => value = text_of(&text),
            _ => {}
        }
        Ok(())
    })?;
    metadata.append(key, value);
    Ok(())
}

#[inline]
pub(super) fn encode_metadata(tag: u32, metadata: &Metadata, out: &mut Vec<u8>) {
    if !metadata.is_empty() {
        encode_pairs(tag, metadata, out);
    }
}

fn encode_pairs(tag: u32, metadata: &Metadata, out: &mut Vec<u8>) {
    for (key, value) in metadata.iter() {
        put_len(tag, pair_len(key, value), out);
        put_bytes(PAIR_KEY, key.as_bytes(), out);
        put_bytes(PAIR_VALUE, value.as_bytes(), out);
    }
}

#[inline]
pub(super) fn metadata_len(tag: u32, metadata: &Metadata) -> usize {
    if metadata.is_empty() { 0 } else { pairs_len(tag, metadata) }
}

fn pairs_len(tag: u32, metadata: &Metadata) -> usize {
    metadata.iter().fold(0, |len, (key, value)| len.saturating_add(bytes_len(tag, pair_len(key, value))))
}

pub(super) fn pair_len(key: &str, value: &str) -> usize {
    bytes_len(PAIR_KEY, key.len()).saturating_add(bytes_len(PAIR_VALUE, value.len()))
}

/// A field as it stands on the wire. Fixed-width fields are not in the schema
/// and are skipped.
pub(super) enum Field {
    Varint(u64),
    Bytes(Bytes),
}

/// Why bytes are no envelope.
pub(super) struct Malformed(pub(super) String);

pub(super) type Decoded<T> = Result<T, Malformed>;

impl From<prost::DecodeError> for Malformed {
    fn from(error: prost::DecodeError) -> Self {
        Self(error.to_string())
    }
}

pub(super) fn each_field(mut bytes: Bytes, mut visit: impl FnMut(u32, Field) -> Decoded<()>) -> Decoded<()> {
    while bytes.has_remaining() {
        let (tag, wire_type) = encoding::decode_key(&mut bytes)?;
        let field = match wire_type {
            WireType::Varint => Field::Varint(encoding::decode_varint(&mut bytes)?),
            WireType::LengthDelimited => {
                let len = usize::try_from(encoding::decode_varint(&mut bytes)?).unwrap_or(usize::MAX);
                if len > bytes.len() {
                    return Err(Malformed(format!("field {tag} is longer than the packet")));
                }
                Field::Bytes(bytes.split_to(len))
            }
            other => {
                encoding::skip_field(other, tag, &mut bytes, DecodeContext::default())?;
                continue;
            }
        };
        visit(tag, field)?;
    }
    Ok(())
}

/// The key of a varint field, of those whose key has one byte.
pub(super) const fn varint_key(tag: u32) -> u8 {
    (tag << 3) as u8 | WireType::Varint as u8
}

/// The same of a length-delimited field.
pub(super) const fn bytes_key(tag: u32) -> u8 {
    (tag << 3) as u8 | WireType::LengthDelimited as u8
}

/// What a length says it is long, and what follows.
#[inline]
pub(super) fn split_length(mut bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let len = take_number(&mut bytes)?;
    bytes.split_at_checked(usize::try_from(len).ok()?)
}

/// A number off the front. Nearly all have one byte or two.
#[inline]
pub(super) fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    match *bytes {
        [byte @ ..0x80, rest @ ..] => {
            *bytes = rest;
            Some(u64::from(*byte))
        }
        [low, high @ ..0x80, rest @ ..] => {
            *bytes = rest;
            Some(u64::from(*low & 0x7f) | u64::from(*high) << 7)
        }
        _ => encoding::decode_varint(bytes).ok(),
    }
}

/// Where in `whole` its part `part` stands.
#[inline]
pub(super) fn range_in(whole: &[u8], part: &[u8]) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let end = start.checked_add(part.len())?;
    (end <= whole.len()).then_some(start..end)
}

fn key(tag: u32, wire_type: WireType) -> u64 {
    u64::from(tag << 3 | wire_type as u32)
}

/// Nearly all keys, lengths, codes and timeouts have one byte or two.
#[inline]
fn put_number(value: u64, out: &mut Vec<u8>) {
    match value {
        ..0x80 => out.push(value as u8),
        0x80..0x4000 => out.extend_from_slice(&[value as u8 | 0x80, (value >> 7) as u8]),
        _ => encode_varint(value, out),
    }
}

#[inline]
pub(super) fn put_varint(tag: u32, value: u64, out: &mut Vec<u8>) {
    put_number(key(tag, WireType::Varint), out);
    put_number(value, out);
}

#[inline]
pub(super) fn put_len(tag: u32, len: usize, out: &mut Vec<u8>) {
    put_number(key(tag, WireType::LengthDelimited), out);
    put_number(len as u64, out);
}

#[inline]
pub(super) fn put_bytes(tag: u32, bytes: &[u8], out: &mut Vec<u8>) {
    put_len(tag, bytes.len(), out);
    out.extend_from_slice(bytes);
}

/// The bytes of a varint field.
#[inline]
pub(super) fn varint_len(tag: u32, value: u64) -> usize {
    key_len(tag).saturating_add(encoded_len_varint(value))
}

/// The bytes of a length-delimited field of `len` bytes.
#[inline]
pub(super) fn bytes_len(tag: u32, len: usize) -> usize {
    key_len(tag).saturating_add(encoded_len_varint(len as u64)).saturating_add(len)
}

pub(super) fn zigzag(bits: u64) -> i64 {
    (bits >> 1).cast_signed() ^ (bits & 1).cast_signed().wrapping_neg()
}

pub(super) fn unzigzag(value: i64) -> u64 {
    (value << 1).cast_unsigned() ^ (value >> 63).cast_unsigned()
}

pub(super) fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Bits past those that travel are a later version's.
pub(super) fn capabilities(bits: u64) -> Capabilities {
    Capabilities::from_bits((bits & u64::from(u32::MAX)) as u32)
}

//! Strings of protobuf messages.
//!
//! What generated messages call in place of prost's functions, and falls back to them: a
//! string that is whole in the frame, as each of a short message is, is checked and
//! copied once, into memory of its size. prost reads any kind of buffer piece by piece
//! into memory that grows, which takes twice as long, and strings are most of what a
//! message costs.

use bytes::{Buf, BufMut};
use prost::DecodeError;
use prost::encoding::{DecodeContext, WireType, string};

/// Appends a field.
#[inline]
#[allow(clippy::ptr_arg, reason = "as prost's derive calls it")]
pub fn encode(tag: u32, value: &String, out: &mut impl BufMut) {
    match (tag, value.len()) {
        (..16, len @ ..0x80) => {
            out.put_slice(&[(tag << 3) as u8 | WireType::LengthDelimited as u8, len as u8]);
            out.put_slice(value.as_bytes());
        }
        _ => string::encode(tag, value, out),
    }
}

/// Reads the value of a field in place of what `value` is.
///
/// # Errors
/// prost's own: it is no string, or not whole.
#[inline]
pub fn merge(
    wire_type: WireType,
    value: &mut String,
    buf: &mut impl Buf,
    context: DecodeContext,
) -> Result<(), DecodeError> {
    if wire_type == WireType::LengthDelimited
        && let Some((text, len)) = whole(buf.chunk())
    {
        *value = text.to_owned();
        buf.advance(len);
        return Ok(());
    }
    string::merge(wire_type, value, buf, context)
}

/// Reads the value of a field as one more.
///
/// # Errors
/// As [`merge`].
pub fn merge_repeated(
    wire_type: WireType,
    values: &mut Vec<String>,
    buf: &mut impl Buf,
    context: DecodeContext,
) -> Result<(), DecodeError> {
    let mut value = String::new();
    merge(wire_type, &mut value, buf, context)?;
    values.push(value);
    Ok(())
}

/// The string that `bytes` begin with, behind its length, and the bytes of both. `None`
/// where prost has to see: it is long, cut off, or no text.
#[inline]
fn whole(bytes: &[u8]) -> Option<(&str, usize)> {
    let (len, rest) = match bytes {
        [len @ ..0x80, rest @ ..] => (usize::from(*len), rest),
        [low, high @ ..0x80, rest @ ..] => (usize::from(*low & 0x7f) | usize::from(*high) << 7, rest),
        _ => return None,
    };
    let text = std::str::from_utf8(rest.get(..len)?).ok()?;
    Some((text, bytes.len().saturating_sub(rest.len()).saturating_add(len)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(merge: impl Fn(&mut String, &mut &[u8]) -> Result<(), DecodeError>, bytes: &[u8]) -> String {
        let (mut value, mut left) = ("before".to_owned(), bytes);
        let result = merge(&mut value, &mut left).map_err(|error| error.to_string());
        match result {
            Ok(()) => format!("{value} and {} bytes", left.len()),
            Err(error) => error,
        }
    }

    /// Whatever is read or written: it is what prost reads and writes.
    #[test]
    fn strings_are_what_prost_makes_of_them() {
        let texts = [0, 1, 7, 127, 128, 300, 16_383, 16_384, 70_000].map(|len| "e".repeat(len));
        let texts = texts.into_iter().chain(["ä€𝄞".to_owned(), "ä".repeat(64)]);
        for text in texts {
            for tag in [1, 15, 16, 3000] {
                let (mut ours, mut theirs) = (Vec::new(), Vec::new());
                encode(tag, &text, &mut ours);
                string::encode(tag, &text, &mut theirs);
                assert_eq!(ours, theirs);
            }
            let mut field = Vec::new();
            prost::encoding::encode_varint(text.len() as u64, &mut field);
            field.extend_from_slice(text.as_bytes());
            let cut = field.len().saturating_sub(1);
            let mut odd = field.clone();
            odd.iter_mut().next_back().into_iter().for_each(|byte| *byte |= 0x80);
            for bytes in [&[&field[..], b"more"].concat(), &field, &field[..cut], &odd, b"\x80"] {
                for wire_type in [WireType::LengthDelimited, WireType::Varint] {
                    let context = DecodeContext::default;
                    let ours = read(|value, buf| merge(wire_type, value, buf, context()), bytes);
                    let theirs = read(|value, buf| string::merge(wire_type, value, buf, context()), bytes);
                    assert_eq!(ours, theirs);
                }
            }
        }
    }

    #[test]
    fn a_string_in_two_pieces_and_a_list_of_them_are_read() {
        let mut value = String::new();
        let mut pieces = (&b"\x05he"[..]).chain(&b"llo\x01"[..]);
        merge(WireType::LengthDelimited, &mut value, &mut pieces, DecodeContext::default()).expect("whole");
        assert_eq!((value.as_str(), pieces.remaining()), ("hello", 1));
        let mut values = vec!["a".to_owned()];
        let mut field = &b"\x01b"[..];
        merge_repeated(WireType::LengthDelimited, &mut values, &mut field, DecodeContext::default())
            .expect("a string");
        assert_eq!(values, ["a", "b"]);
    }
}

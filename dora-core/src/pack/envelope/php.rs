//! PHP's `serialize` as a packing of the envelope.

use std::borrow::Cow;

use bytes::Bytes;

use crate::call::batch::CallKey;
use crate::call::mode::PacketKind;
use crate::call::packer::Packer;
use crate::guid::Guid;
use crate::pack::limits::Limits;
use crate::pack::php::scan::{self, Pairs, is_array, read_bool, read_int, read_str};
use crate::pack::php::{PhpError, normalize, write};
use crate::pack::value::KeyRef;

use super::array::{ArrayFormat, Passed, last_of_equals};

/// PHP `serialize`.
pub(super) enum Php {}

impl ArrayFormat for Php {
    const PACKER: Packer = Packer::Php;
    const NULL: &'static [u8] = b"N;";
    const EMPTY: &'static [u8] = b"a:0:{}";

    fn pairs(value: &Bytes, limits: &Limits) -> Result<Option<Vec<(CallKey, Bytes)>>, String> {
        let next = |pairs: &mut Pairs<'_>| {
            let pair = pairs.next()?;
            Some(pair.map(|pair| (key_of(value, pair.key), value.slice_ref(pair.value))))
        };
        collect(value, limits, next)
    }

    fn forgiving_pairs(value: &Bytes, limits: &Limits) -> Result<Option<Vec<(CallKey, Passed)>>, String> {
        let next = |pairs: &mut Pairs<'_>| {
            let passed = pairs.next_forgiving()?;
            Some(passed.map(|scan::Passed { pair, over }| {
                let over = over.map(|error| error.to_string());
                (key_of(value, pair.key), Passed { bytes: value.slice_ref(pair.value), over })
            }))
        };
        collect(value, limits, next)
    }

    fn second_chance(body: &Bytes, limits: &Limits) -> Option<Result<Bytes, String>> {
        match normalize(body, limits) {
            // A body without references comes out as it went in: no third chance.
            Ok(normal) => (normal != *body).then(|| Ok(normal.into())),
            // The first reader stops at a reference, which is no fault by itself.
            Err(error) => Some(Err(error.to_string())),
        }
    }

    fn int(value: &Bytes) -> Option<i64> {
        read_int(value).ok()
    }

    fn string(value: &Bytes) -> Option<Bytes> {
        read_str(value).ok().map(|text| slice_of(value, text))
    }

    fn is_true(value: &Bytes) -> bool {
        read_bool(value).unwrap_or(false)
    }

    fn open(len: usize, out: &mut Vec<u8>) {
        write::array(out, len);
    }

    fn key(key: &CallKey, _first: bool, out: &mut Vec<u8>) {
        match key {
            CallKey::Int(key) => write::int(out, *key),
            CallKey::Str(key) => write::string(out, key),
        }
    }

    fn name(name: &str, _first: bool, out: &mut Vec<u8>) {
        write::string(out, name);
    }

    fn close(out: &mut Vec<u8>) {
        write::end(out);
    }

    fn put_int(value: i64, out: &mut Vec<u8>) {
        write::int(out, value);
    }

    fn put_string(value: &[u8], out: &mut Vec<u8>) {
        write::string(out, value);
    }
}

/// The pairs that `next` takes; `None` when `value` is no array.
fn collect<V>(
    value: &Bytes,
    limits: &Limits,
    mut next: impl FnMut(&mut Pairs<'_>) -> Option<Result<(CallKey, V), PhpError>>,
) -> Result<Option<Vec<(CallKey, V)>>, String> {
    if !is_array(value) {
        return Ok(None);
    }
    let mut pairs = Pairs::new(value, limits).map_err(|error| error.to_string())?;
    // The count is a claim: a pair has at least six bytes.
    let mut kept = Vec::with_capacity(pairs.remaining().min(value.len() / 6));
    while let Some(pair) = next(&mut pairs) {
        kept.push(pair.map_err(|error| error.to_string())?);
    }
    Ok(Some(last_of_equals(kept)))
}

/// A key of `value`.
fn key_of(value: &Bytes, key: KeyRef<'_>) -> CallKey {
    match key {
        KeyRef::Int(key) => CallKey::Int(key),
        KeyRef::Str(key) => CallKey::Str(slice_of(value, key)),
    }
}

/// The guid of a request that begins with it: `a:3:{s:4:"guid";s:32:"..`.
pub(super) fn first_guid(body: &[u8]) -> Option<Guid> {
    let body = body.strip_prefix(b"a:")?;
    let digits = body.iter().position(|byte| !byte.is_ascii_digit())?;
    let rest = body.get(digits..)?.strip_prefix(b":{s:4:\"guid\";s:32:\"")?;
    let (guid, rest) = rest.split_first_chunk::<{ Guid::LEN }>()?;
    rest.starts_with(b"\";").then(|| Guid::from_bytes(guid))?
}

/// The kind of a request that ends with it: `..s:4:"type";s:3:"W_S";}`.
pub(super) fn last_kind(body: &[u8]) -> Option<PacketKind> {
    const KEY: &[u8] = b"s:4:\"type\";s:";
    // The longest word has four letters.
    let tail = body.get(body.len().saturating_sub(KEY.len().saturating_add(11))..)?;
    let at = tail.windows(KEY.len()).position(|bytes| bytes == KEY)?;
    let value = tail.get(at.saturating_add(KEY.len())..)?.strip_suffix(b"\";}")?;
    PacketKind::parse(value.get(3..)?).filter(|kind| {
        let word = kind.word();
        value.starts_with(format!("{}:\"", word.len()).as_bytes())
    })
}

/// A key or string of `value` without a copy, unless it was unescaped.
fn slice_of(value: &Bytes, part: Cow<'_, [u8]>) -> Bytes {
    match part {
        Cow::Borrowed(part) => value.slice_ref(part),
        Cow::Owned(part) => part.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::mode::Mode;

    #[test]
    fn the_ends_of_a_request_are_told_at_a_glance() {
        let guid = "0123456789abcdef0123456789abcdef";
        let request = |between: &str, word: &str| {
            format!(
                "a:3:{{s:4:\"guid\";s:32:\"{guid}\";s:3:\"api\";{between}s:4:\"type\";s:{}:\"{word}\";}}",
                word.len()
            )
        };
        for (word, kind) in [
            ("AM_S", Some(PacketKind::calls(Mode::Deferred, false))),
            ("SSM", PacketKind::parse(b"SSM")),
            ("SC", Some(PacketKind::Control)),
            ("NO", None),
            ("", None),
        ] {
            let body = request("O:1:{{{", word);
            assert_eq!(first_guid(body.as_bytes()), Guid::from_bytes(guid.as_bytes()));
            assert_eq!(last_kind(body.as_bytes()), kind, "{word}");
        }
        for body in
            ["", "a:", "a:3", "a:3:{s:4:\"guid\";s:32:\"short\";}", "x", "s:4:\"type\";s:3:\"AM_S\";}"]
        {
            assert_eq!((first_guid(body.as_bytes()), last_kind(body.as_bytes())), (None, None), "{body}");
        }
    }
}

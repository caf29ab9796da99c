//! JSON as a packing of the envelope.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::call::batch::CallKey;
use crate::call::packer::Packer;
use crate::pack::limits::Limits;

use super::array::{ArrayFormat, last_of_equals};

/// JSON: arrays are objects, or lists where PHP's keys would be 0, 1, 2, ...
pub(super) enum Json {}

impl ArrayFormat for Json {
    const PACKER: Packer = Packer::Json;
    const NULL: &'static [u8] = b"null";
    const EMPTY: &'static [u8] = b"[]";

    fn pairs(value: &Bytes, limits: &Limits) -> Result<Option<Vec<(CallKey, Bytes)>>, String> {
        if !matches!(value.trim_ascii_start().first(), Some(b'{' | b'[')) {
            return Ok(None);
        }
        check(value, limits)?;
        let Pairs(pairs) = serde_json::from_slice(value).map_err(|error| error.to_string())?;
        let pairs = pairs.into_iter().map(|(key, raw)| (key, value.slice_ref(raw.get().as_bytes())));
        Ok(Some(last_of_equals(pairs.collect())))
    }

    fn int(value: &Bytes) -> Option<i64> {
        serde_json::from_slice(value).ok()
    }

    fn string(value: &Bytes) -> Option<Bytes> {
        match serde_json::from_slice(value).ok()? {
            Text(Cow::Borrowed(text)) => Some(value.slice_ref(text.as_bytes())),
            Text(Cow::Owned(text)) => Some(text.into()),
        }
    }

    fn is_true(value: &Bytes) -> bool {
        &**value == b"true"
    }

    fn open(_: usize, out: &mut Vec<u8>) {
        out.push(b'{');
    }

    fn key(key: &CallKey, first: bool, out: &mut Vec<u8>) {
        if !first {
            out.push(b',');
        }
        match key {
            CallKey::Int(number) => out.extend_from_slice(format!("\"{number}\"").as_bytes()),
            CallKey::Str(name) => Self::put_string(name, out),
        }
        out.push(b':');
    }

    fn name(name: &str, first: bool, out: &mut Vec<u8>) {
        out.extend_from_slice(if first { b"\"" } else { b",\"" });
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
    }

    fn close(out: &mut Vec<u8>) {
        out.push(b'}');
    }

    fn put_int(value: i64, out: &mut Vec<u8>) {
        out.extend_from_slice(value.to_string().as_bytes());
    }

    /// JSON has no bytes: what is not UTF-8 is replaced by U+FFFD. Names, guids
    /// and messages only; a message's own `bytes` fields are base64.
    fn put_string(value: &[u8], out: &mut Vec<u8>) {
        // Writing a string into memory cannot fail.
        serde_json::to_writer(out, &String::from_utf8_lossy(value)).unwrap_or(());
    }
}

/// Holds nesting and number of values to the limits, before anything is kept.
/// What is no JSON is left to the parser.
pub(super) fn check(json: &[u8], limits: &Limits) -> Result<(), String> {
    let (mut depth, mut nodes) = (0usize, 1usize);
    let (mut quoted, mut escaped, mut opened) = (false, false, false);
    for byte in json {
        // A list has a value more than commas, unless it is empty.
        if opened && !byte.is_ascii_whitespace() {
            opened = false;
            nodes = nodes.saturating_add(usize::from(!matches!(byte, b'}' | b']')));
        }
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' | b'[' => {
                depth = depth.saturating_add(1);
                opened = true;
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' => nodes = nodes.saturating_add(1),
            _ => {}
        }
        if depth > limits.depth {
            return Err(format!("nested deeper than {} levels (Limits::depth)", limits.depth));
        }
        if nodes > limits.nodes {
            return Err(format!("over {} values (Limits::nodes)", limits.nodes));
        }
    }
    Ok(())
}

/// The unparsed members of an object, or elements of a list.
struct Pairs<'a>(Vec<(CallKey, &'a RawValue)>);

/// A string that borrows where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PairsVisitor)
    }
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some((Text(key), value)) = map.next_entry()? {
            pairs.push((key_of(key), value));
        }
        Ok(Pairs(pairs))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(value) = seq.next_element()? {
            pairs.push((CallKey::Int(i64::try_from(pairs.len()).unwrap_or(i64::MAX)), value));
        }
        Ok(Pairs(pairs))
    }
}

/// An object's key as PHP would make it an array's: decimal integers are integers.
fn key_of(key: Cow<'_, str>) -> CallKey {
    match key.parse::<i64>() {
        Ok(number) if number.to_string() == key => CallKey::Int(number),
        _ => CallKey::Str(Bytes::from(key.into_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_and_values_are_held_to_the_limits() {
        let limits = Limits { depth: 2, nodes: 4, ..Limits::default() };
        for good in [r#"{"a":[1,2]}"#, "[[],[]]", r#"["[[[\"[[[\\"]"#, r#"{"a":",,,,,,,,","b":1}"#] {
            assert_eq!(check(good.as_bytes(), &limits), Ok(()), "{good}");
        }
        assert_eq!(check(b"[[[", &limits), Err("nested deeper than 2 levels (Limits::depth)".to_owned()));
        assert_eq!(check(b"[1,2,[ 4]]", &limits), Err("over 4 values (Limits::nodes)".to_owned()));
    }
}

//! The single writers: for a body that is put together by hand.
//!
//! ```
//! use dora_core::pack::php::write;
//!
//! let mut body = Vec::new();
//! write::array(&mut body, 2);
//! write::key(&mut body, "code");
//! write::int(&mut body, 0);
//! write::key(&mut body, "msg");
//! write::string(&mut body, "OK");
//! write::end(&mut body);
//! assert_eq!(body, br#"a:2:{s:4:"code";i:0;s:3:"msg";s:2:"OK";}"#);
//! ```

use super::float;
use crate::pack::value::KeyRef;

/// Appends `null`.
pub fn null(out: &mut Vec<u8>) {
    out.extend_from_slice(b"N;");
}

/// Appends a boolean.
pub fn bool(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"b:1;" } else { b"b:0;" });
}

/// Appends an integer.
pub fn int(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(b"i:");
    if value < 0 {
        out.push(b'-');
    }
    decimal(out, value.unsigned_abs());
    out.push(b';');
}

/// Appends a float, as PHP 7.1 and newer write it.
pub fn float(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(b"d:");
    float::append(out, value);
    out.push(b';');
}

/// Appends a string.
pub fn string(out: &mut Vec<u8>, value: impl AsRef<[u8]>) {
    out.extend_from_slice(b"s:");
    quoted(out, value.as_ref());
    out.push(b';');
}

/// Appends the head of an array. `count` pairs of [`key`] and value must
/// follow, and then [`end`].
pub fn array(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(b"a:");
    decimal(out, count as u64);
    out.extend_from_slice(b":{");
}

/// Appends the head of an object of `class`. `count` pairs of name and value must
/// follow, each name a [`string`] even where it is an integer, and then [`end`].
pub fn object(out: &mut Vec<u8>, class: impl AsRef<[u8]>, count: usize) {
    out.extend_from_slice(b"O:");
    quoted(out, class.as_ref());
    out.push(b':');
    decimal(out, count as u64);
    out.extend_from_slice(b":{");
}

/// Appends a case of the enum `class`.
pub fn enum_case(out: &mut Vec<u8>, class: impl AsRef<[u8]>, case: impl AsRef<[u8]>) {
    let (class, case) = (class.as_ref(), case.as_ref());
    out.extend_from_slice(b"E:");
    quoted(out, &[class, b":", case].concat());
    out.push(b';');
}

/// Appends an object of `class` that has bytes of its own for its state.
pub fn custom(out: &mut Vec<u8>, class: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) {
    let payload = payload.as_ref();
    out.extend_from_slice(b"C:");
    quoted(out, class.as_ref());
    out.push(b':');
    decimal(out, payload.len() as u64);
    out.extend_from_slice(b":{");
    out.extend_from_slice(payload);
    out.push(b'}');
}

/// Appends the end of an array or object.
pub fn end(out: &mut Vec<u8>) {
    out.push(b'}');
}

/// Appends the key of a pair. A string such as `"5"` becomes the integer, as
/// in PHP.
pub fn key<'k>(out: &mut Vec<u8>, key: impl Into<KeyRef<'k>>) {
    match key.into().normalized() {
        KeyRef::Int(value) => int(out, value),
        KeyRef::Str(bytes) => string(out, bytes),
    }
}

fn quoted(out: &mut Vec<u8>, bytes: &[u8]) {
    decimal(out, bytes.len() as u64);
    out.extend_from_slice(b":\"");
    out.extend_from_slice(bytes);
    out.push(b'"');
}

fn decimal(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [b'0'; 20];
    let mut used = 0_usize;
    for digit in digits.iter_mut().rev() {
        *digit |= (value % 10) as u8;
        value /= 10;
        used = used.saturating_add(1);
        if value == 0 {
            break;
        }
    }
    let unused = digits.len().saturating_sub(used);
    out.extend_from_slice(digits.get(unused..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    #[test]
    fn integers_at_the_edges() {
        for value in [0, 9, 10, -1, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            super::int(&mut out, value);
            assert_eq!(out, format!("i:{value};").into_bytes());
        }
    }

    #[test]
    fn string_keys_that_are_integers_are_written_so() {
        let mut out = Vec::new();
        super::key(&mut out, "5");
        super::key(&mut out, "05");
        assert_eq!(out, br#"i:5;s:2:"05";"#);
    }
}

//! Strings and bytes.

use std::borrow::Cow;
use std::str;

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use bytes::Bytes;
use serde::{Deserializer, Serializer};

use super::input::{self, Input, Scalar};
use super::{Mapped, Reading};

/// Reads what any base64 encoder wrote: padded or not.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

impl Scalar for String {
    const EXPECTED: &'static str = "a string";

    fn from_input(input: Input<'_>, _: bool) -> Option<Self> {
        match input {
            Input::Text(text) => str::from_utf8(text).ok().map(str::to_owned),
            input => Some(php_string(input)),
        }
    }

    /// An empty string is a value.
    fn is_nothing(input: Input<'_>) -> bool {
        input.is_false()
    }
}

impl Mapped for String {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }

    fn deserialize<'de, D: Deserializer<'de>>(d: D, reading: Reading) -> Result<Self, D::Error> {
        input::scalar::<Self, _, D>(d, reading)
    }

    fn deserialize_optional<'de, D: Deserializer<'de>>(
        d: D,
        reading: Reading,
    ) -> Result<Option<Self>, D::Error> {
        input::scalar::<Self, _, D>(d, reading)
    }
}

impl Scalar for Vec<u8> {
    const EXPECTED: &'static str = "bytes";

    fn from_input(input: Input<'_>, human_readable: bool) -> Option<Self> {
        match input {
            Input::Text(text) if human_readable => from_base64(text),
            Input::Text(bytes) => Some(bytes.to_vec()),
            _ if human_readable => None,
            input => Some(php_string(input).into_bytes()),
        }
    }

    /// An empty string is a value.
    fn is_nothing(input: Input<'_>) -> bool {
        input.is_false()
    }
}

/// `google.protobuf.BytesValue`.
impl Mapped for Vec<u8> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write_bytes(self, serializer)
    }

    fn deserialize<'de, D: Deserializer<'de>>(d: D, reading: Reading) -> Result<Self, D::Error> {
        input::scalar::<Self, _, D>(d, reading)
    }

    fn deserialize_optional<'de, D: Deserializer<'de>>(
        d: D,
        reading: Reading,
    ) -> Result<Option<Self>, D::Error> {
        input::scalar::<Self, _, D>(d, reading)
    }
}

impl Mapped for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write_bytes(self, serializer)
    }

    fn deserialize<'de, D: Deserializer<'de>>(d: D, reading: Reading) -> Result<Self, D::Error> {
        input::scalar::<Vec<u8>, Vec<u8>, D>(d, reading).map(Self::from)
    }

    fn deserialize_optional<'de, D: Deserializer<'de>>(
        d: D,
        reading: Reading,
    ) -> Result<Option<Self>, D::Error> {
        input::scalar::<Vec<u8>, Option<_>, D>(d, reading).map(|bytes| bytes.map(Self::from))
    }
}

/// A byte string in PHP, base64 where there are only characters.
fn write_bytes<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        serializer.serialize_str(&STANDARD.encode(bytes))
    } else {
        serializer.serialize_bytes(bytes)
    }
}

fn from_base64(text: &[u8]) -> Option<Vec<u8>> {
    let is_url_safe = text.iter().any(|byte| matches!(byte, b'-' | b'_'));
    let text: Cow<'_, [u8]> = if is_url_safe {
        let to_standard = |byte: &u8| match byte {
            b'-' => b'+',
            b'_' => b'/',
            &byte => byte,
        };
        text.iter().map(to_standard).collect()
    } else {
        text.into()
    };
    LENIENT.decode(text).ok()
}

/// What PHP's `(string)` makes of a value, with `precision = -1`.
pub(super) fn php_string(input: Input<'_>) -> String {
    match input {
        Input::Bool(true) => "1".to_owned(),
        Input::Bool(false) => String::new(),
        Input::Int(n) => n.to_string(),
        Input::Uint(n) => n.to_string(),
        Input::Float(n) => php_float(n),
        Input::Text(text) => String::from_utf8_lossy(text).into_owned(),
    }
}

/// Shortest digits; an exponent below 1.0E-4 and from 1.0E+17 on.
fn php_float(n: f64) -> String {
    if n.is_nan() {
        return "NAN".to_owned();
    }
    if n.is_infinite() {
        return if n > 0.0 { "INF" } else { "-INF" }.to_owned();
    }
    let magnitude = n.abs();
    if magnitude == 0.0 || (1e-4..1e17).contains(&magnitude) {
        return n.to_string();
    }
    // Rust writes 1.5e25 and 1e25; PHP 1.5E+25 and 1.0E+25.
    let scientific = format!("{n:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let point = if digits.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with('-') { "" } else { "+" };
    format!("{digits}{point}E{sign}{exponent}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_php_writes_them() {
        for (n, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.5, "1.5"),
            (100.0, "100"),
            (0.0001, "0.0001"),
            (0.00001, "1.0E-5"),
            (123456789012345.0, "123456789012345"),
            (1e16, "10000000000000000"),
            (1e17, "1.0E+17"),
            (-1.25e25, "-1.25E+25"),
            (f64::NAN, "NAN"),
            (f64::NEG_INFINITY, "-INF"),
        ] {
            assert_eq!(php_float(n), text);
        }
    }
}

//! Ints, floats and bools.

use std::str;

use serde::{Deserializer, Serializer};

use super::input::{self, Input, Scalar};
use super::{Mapped, Reading};

/// 2^63 and 2^64, one over the greatest int of each kind.
const OVER_I64: f64 = 9_223_372_036_854_775_808.0;
const OVER_U64: f64 = 18_446_744_073_709_551_616.0;

macro_rules! scalars {
    ($($ty:ty, $expected:literal, $read:expr, $write:path, $is_nothing:path;)*) => {$(
        impl Scalar for $ty {
            const EXPECTED: &'static str = $expected;

            fn from_input(input: Input<'_>, _: bool) -> Option<Self> {
                $read(input)
            }

            fn is_nothing(input: Input<'_>) -> bool {
                $is_nothing(&input)
            }
        }

        impl Mapped for $ty {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $write(serializer, *self)
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
    )*};
}

scalars! {
    i32, "an int32", int::<i32>, S::serialize_i32, Input::is_false_or_empty;
    i64, "an int64", int::<i64>, S::serialize_i64, Input::is_false_or_empty;
    u32, "a uint32", int::<u32>, S::serialize_u32, Input::is_false_or_empty;
    u64, "a uint64", int::<u64>, write_u64, Input::is_false_or_empty;
    f32, "a float of 32 bits", single, write_f32, Input::is_false_or_empty;
    f64, "a double", float, write_f64, Input::is_false_or_empty;
    bool, "a bool", boolean, S::serialize_bool, is_never_nothing;
}

/// To a bool, `false` and `""` are false.
fn is_never_nothing(_: &Input<'_>) -> bool {
    false
}

/// PHP has no int over `i64::MAX`: above, it is a string.
pub(super) fn write_u64<S: Serializer>(serializer: S, n: u64) -> Result<S::Ok, S::Error> {
    match i64::try_from(n) {
        Ok(n) => serializer.serialize_i64(n),
        Err(_) => serializer.collect_str(&n),
    }
}

/// JSON has neither NaN nor infinity: there they are strings, as in canonical
/// proto3 JSON.
pub(super) fn write_f64<S: Serializer>(serializer: S, n: f64) -> Result<S::Ok, S::Error> {
    if n.is_finite() || !serializer.is_human_readable() {
        serializer.serialize_f64(n)
    } else if n.is_nan() {
        serializer.serialize_str("NaN")
    } else if n > 0.0 {
        serializer.serialize_str("Infinity")
    } else {
        serializer.serialize_str("-Infinity")
    }
}

/// 0.1 and not 0.10000000149011612: the double with the digits of the float.
fn write_f32<S: Serializer>(serializer: S, n: f32) -> Result<S::Ok, S::Error> {
    let exact = f64::from(n);
    let nice = if exact.fract() == 0.0 { exact } else { format!("{n:e}").parse().unwrap_or(exact) };
    write_f64(serializer, nice)
}

/// The int that `input` means.
pub(super) fn int<T: TryFrom<i128>>(input: Input<'_>) -> Option<T> {
    let n = match input {
        Input::Bool(b) => i128::from(b),
        Input::Int(n) => i128::from(n),
        Input::Uint(n) => i128::from(n),
        Input::Float(n) => integral(n)?,
        Input::Text(text) => match numeric(text)? {
            Numeric::Int(n) => n,
            Numeric::Float(n) => integral(n)?,
        },
    };
    n.try_into().ok()
}

/// The double that `input` means.
pub(super) fn float(input: Input<'_>) -> Option<f64> {
    Some(match input {
        Input::Bool(b) => f64::from(u8::from(b)),
        Input::Int(n) => n as f64,
        Input::Uint(n) => n as f64,
        Input::Float(n) => n,
        Input::Text(b"NaN" | b"NAN") => f64::NAN,
        Input::Text(b"Infinity" | b"INF") => f64::INFINITY,
        Input::Text(b"-Infinity" | b"-INF") => f64::NEG_INFINITY,
        Input::Text(text) => match numeric(text)? {
            Numeric::Int(n) => n as f64,
            Numeric::Float(n) => n,
        },
    })
}

fn single(input: Input<'_>) -> Option<f32> {
    let wide = float(input)?;
    let narrow = wide as f32;
    (narrow.is_finite() || !wide.is_finite()).then_some(narrow)
}

fn boolean(input: Input<'_>) -> Option<bool> {
    match input {
        Input::Bool(b) => Some(b),
        Input::Text(b"" | b"false") => Some(false),
        Input::Text(b"true") => Some(true),
        input => match int::<u8>(input)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        },
    }
}

/// `n`, if it is whole and an int of 64 bits could hold it.
fn integral(n: f64) -> Option<i128> {
    (n.fract() == 0.0 && (-OVER_I64..OVER_U64).contains(&n)).then_some(n as i128)
}

/// A numeric string.
pub(super) enum Numeric {
    Int(i128),
    Float(f64),
}

/// What PHP calls a numeric string, blanks around it allowed:
/// `/^\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*$/`.
pub(super) fn numeric(text: &[u8]) -> Option<Numeric> {
    let is_blank = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c');
    let text = str::from_utf8(text).ok()?.trim_matches(is_blank);
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let unsigned = |s: &str| !s.starts_with(['+', '-']);

    let magnitude = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match magnitude.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (magnitude, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let exponent_digits = exponent.map(|e| e.strip_prefix(['+', '-']).unwrap_or(e));
    let is_numeric = unsigned(magnitude)
        && digits(whole)
        && fraction.is_none_or(digits)
        && (!whole.is_empty() || fraction.is_some_and(|f| !f.is_empty()))
        && exponent_digits.is_none_or(|e| !e.is_empty() && digits(e));
    if !is_numeric {
        return None;
    }
    if fraction.is_none()
        && exponent.is_none()
        && let Ok(n) = text.parse()
    {
        return Some(Numeric::Int(n));
    }
    text.parse().ok().map(Numeric::Float)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numeric_strings_are_those_of_php() {
        for (text, expected) in [
            ("0", 0.0),
            (" 1117\n", 1117.0),
            ("+5", 5.0),
            ("-0012", -12.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e3", 1000.0),
            ("1.5E-1", 0.15),
            ("99999999999999999999999999999999999999999", 1e41),
        ] {
            let read = match numeric(text.as_bytes()) {
                Some(Numeric::Int(n)) => n as f64,
                Some(Numeric::Float(n)) => n,
                None => panic!("{text:?} is numeric"),
            };
            assert_eq!(read, expected, "{text:?}");
        }
        for text in ["", " ", ".", "+", "e5", "1e", "1e+", "0x1A", "1_000", "inf", "NaN", "--1", "1 2", "١"]
        {
            assert!(numeric(text.as_bytes()).is_none(), "{text:?} is not numeric");
        }
    }

    #[test]
    fn ints_of_floats_are_whole_and_in_range() {
        assert_eq!(int(Input::Float(-OVER_I64)), Some(i64::MIN));
        assert_eq!(int::<i64>(Input::Float(OVER_I64)), None);
        assert_eq!(int::<u64>(Input::Float(OVER_U64)), None);
        assert_eq!(int::<i64>(Input::Float(f64::INFINITY)), None);
        assert_eq!(int::<u32>(Input::Float(-0.0)), Some(0));
    }
}

//! Floats as PHP 7.1 and newer write them.

use std::io::Write;
use std::ops::Range;

/// The decimal exponents that PHP writes without an `E`: up to 17 digits before
/// the point, the precision that `serialize_precision=-1` stands for in
/// `php_gcvt`, and up to three zeros after it.
const PLAIN: Range<i32> = -4..17;

/// Whether `text` is a number that PHP takes after `d:`.
pub(super) fn is_float(text: &[u8]) -> bool {
    if matches!(text, b"NAN" | b"INF" | b"-INF") {
        return true;
    }
    let unsigned = match text {
        [b'+' | b'-', rest @ ..] => rest,
        _ => text,
    };
    let (whole, rest) = digits(unsigned);
    let (fraction, rest) = match rest {
        [b'.', rest @ ..] => digits(rest),
        _ => (0, rest),
    };
    let exponent = match rest {
        [] => true,
        [b'e' | b'E', b'+' | b'-', rest @ ..] | [b'e' | b'E', rest @ ..] => {
            matches!(digits(rest), (1.., []))
        }
        _ => false,
    };
    exponent && (whole > 0 || fraction > 0)
}

/// The value of a text that [`is_float`] accepts. Rust reads the same grammar.
pub(super) fn parse(text: &[u8]) -> f64 {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN)
}

/// Appends the shortest decimal that reads back as `value`.
///
/// Source of the layout: `php_gcvt` of PHP, called with the digits of
/// `zend_dtoa` in mode 0.
pub(super) fn append(out: &mut Vec<u8>, value: f64) {
    if value.is_nan() {
        out.extend_from_slice(b"NAN");
        return;
    }
    if value.is_sign_negative() {
        out.push(b'-');
    }
    if value.is_infinite() {
        out.extend_from_slice(b"INF");
        return;
    }
    let value = value.abs();
    let mut buffer = [0_u8; 32];
    let mut rest = buffer.as_mut_slice();
    // The longest is `1.2345678901234567e-300`: it fits.
    let _ = write!(rest, "{value:e}");
    let length = 32_usize.saturating_sub(rest.len());
    let text = buffer.get_mut(..length).unwrap_or_default();
    round_half_to_even(text, value);
    let (digits, exponent) = split(text);
    layout(out, digits, exponent);
}

/// When two shortest decimals are equally near, Rust takes the upper one and
/// `zend_dtoa` the even one.
fn round_half_to_even(text: &mut [u8], value: f64) {
    let (mantissa, exponent) = split(text);
    let Some(even) = tie(value, mantissa.len().saturating_sub(1), exponent) else {
        return;
    };
    let last = mantissa.len().saturating_sub(1);
    let Some(before) = text.get(last).copied() else {
        return;
    };
    if let Some(digit) = text.get_mut(last) {
        *digit = even;
    }
    if parse(text) != value
        && let Some(digit) = text.get_mut(last)
    {
        *digit = before;
    }
}

/// If `value` is exactly half way between two decimals of `count` digits: the
/// last digit of the even one.
///
/// An odd `m` over 2^f has f digits after the point, and the last is a 5. Larger
/// values have no ties: half way would take more than 53 bits.
fn tie(value: f64, count: usize, exponent: i32) -> Option<u8> {
    const FRACTION: u64 = (1 << 52) - 1;

    let bits = value.to_bits();
    let (mantissa, power) = match i32::try_from(bits >> 52).ok()? {
        0 => (bits & FRACTION, -1074_i32),
        biased => (bits & FRACTION | 1 << 52, biased.checked_sub(1075)?),
    };
    let zeros = mantissa.trailing_zeros();
    let places = i32::try_from(zeros).ok()?.checked_add(power)?.checked_neg()?;
    if places <= 0 || places.checked_add(exponent) != i32::try_from(count).ok() {
        return None;
    }
    let odd = mantissa.checked_shr(zeros)?;
    let exact = (0..places).try_fold(odd, |digits, _| digits.checked_mul(5))?;
    let lower = u8::try_from(exact / 10 % 10).ok()?;
    let even = lower.checked_add(lower % 2).filter(|digit| *digit < 10)?;
    even.checked_add(b'0')
}

/// `d.ddd` and the exponent of `d.ddde-dd`.
fn split(text: &[u8]) -> (&[u8], i32) {
    let mut parts = text.splitn(2, |byte| *byte == b'e');
    let digits = parts.next().unwrap_or_default();
    let exponent = parts
        .next()
        .and_then(|exponent| std::str::from_utf8(exponent).ok())
        .and_then(|exponent| exponent.parse().ok())
        .unwrap_or_default();
    (digits, exponent)
}

fn layout(out: &mut Vec<u8>, mantissa: &[u8], exponent: i32) {
    let digits = || mantissa.iter().copied().filter(|byte| *byte != b'.');
    let count = i32::try_from(digits().count()).unwrap_or(i32::MAX);
    if !PLAIN.contains(&exponent) {
        out.extend_from_slice(mantissa);
        if count == 1 {
            out.extend_from_slice(b".0");
        }
        let sign = if exponent < 0 { '-' } else { '+' };
        let _ = write!(out, "E{sign}{}", exponent.unsigned_abs());
    } else if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.extend((1..exponent.abs()).map(|_| b'0'));
        out.extend(digits());
    } else {
        let whole = usize::try_from(exponent).unwrap_or_default().saturating_add(1);
        let zeros = whole.saturating_sub(digits().count());
        out.extend(digits().take(whole));
        out.extend(std::iter::repeat_n(b'0', zeros));
        if digits().count() > whole {
            out.push(b'.');
            out.extend(digits().skip(whole));
        }
    }
}

/// How many digits `text` starts with, and what follows them.
fn digits(text: &[u8]) -> (usize, &[u8]) {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (count, text.get(count..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::{append, is_float, parse};

    #[test]
    fn writes_what_php_writes() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (-2.5, "-2.5"),
            (100_000.5, "100000.5"),
            (0.0001, "0.0001"),
            (0.000_123_45, "0.00012345"),
            (0.00001, "1.0E-5"),
            (1.5e-10, "1.5E-10"),
            (1e15, "1000000000000000"),
            (1e16, "10000000000000000"),
            (1e17, "1.0E+17"),
            (1e25, "1.0E+25"),
            (123_456_789_012_345_680.0, "1.2345678901234568E+17"),
            (5e-324, "5.0E-324"),
            (2_f64.powi(-25), "2.9802322387695312E-8"),
            (2_f64.powi(-24), "5.960464477539063E-8"),
            (f64::MAX, "1.7976931348623157E+308"),
            (f64::INFINITY, "INF"),
            (f64::NEG_INFINITY, "-INF"),
            (f64::NAN, "NAN"),
            (-f64::NAN, "NAN"),
        ] {
            let mut out = Vec::new();
            append(&mut out, value);
            assert_eq!(String::from_utf8_lossy(&out), text);
            assert_eq!(parse(&out).is_nan(), value.is_nan());
            if !value.is_nan() {
                assert_eq!(parse(&out).to_bits(), value.to_bits());
            }
        }
    }

    #[test]
    fn takes_what_php_takes() {
        for (text, value) in [
            ("3", 3.0),
            ("+3", 3.0),
            ("-3.", -3.0),
            (".5", 0.5),
            ("1E3", 1000.0),
            ("1.e+3", 1000.0),
            ("0.10000000000000001", 0.1),
            ("1e999", f64::INFINITY),
            ("-INF", f64::NEG_INFINITY),
        ] {
            assert!(is_float(text.as_bytes()), "{text}");
            assert_eq!(parse(text.as_bytes()), value, "{text}");
        }
        for text in [
            "", "+", ".", "e5", "1e", "1e+", "1.2.3", "0x10", " 1", "1 ", "nan", "inf", "+INF", "-NAN",
            "infinity", "1e5.0", "1_0",
        ] {
            assert!(!is_float(text.as_bytes()), "{text}");
        }
    }
}

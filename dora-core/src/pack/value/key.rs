//! Keys of PHP arrays.

use std::borrow::Cow;
use std::fmt;

use super::string::PhpString;

/// A key of an [`Array`](super::Array).
///
/// In PHP a string that is a decimal integer as PHP would write it (`"5"`,
/// `"-1"`, not `"05"`, `"+5"` or `"-0"`) is that integer. Conversions and
/// arrays hold to that: an array never keeps `Str("5")`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// An integer.
    Int(i64),
    /// A string that is no integer.
    Str(PhpString),
}

impl Key {
    /// The key that PHP makes of `bytes`.
    #[must_use]
    pub fn from_bytes(bytes: impl Into<PhpString>) -> Self {
        let string = bytes.into();
        match canonical_int(&string) {
            Some(int) => Self::Int(int),
            None => Self::Str(string),
        }
    }

    /// The same key, borrowed.
    #[must_use]
    pub fn as_ref(&self) -> KeyRef<'_> {
        match self {
            Self::Int(int) => KeyRef::Int(*int),
            Self::Str(string) => KeyRef::Str(Cow::Borrowed(string.as_bytes())),
        }
    }

    /// The string, if this is one and is UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Int(_) => None,
            Self::Str(string) => string.as_str(),
        }
    }

    /// A `Str` that was built by hand may be an integer by PHP's rule.
    pub(super) fn normalized(self) -> Self {
        match self {
            Self::Int(_) => self,
            Self::Str(string) => Self::from_bytes(string),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(int) => int.fmt(f),
            Self::Str(string) => string.fmt(f),
        }
    }
}

impl From<KeyRef<'_>> for Key {
    fn from(key: KeyRef<'_>) -> Self {
        match key {
            KeyRef::Int(int) => Self::Int(int),
            KeyRef::Str(bytes) => Self::Str(PhpString::from(bytes)),
        }
    }
}

impl From<PhpString> for Key {
    fn from(string: PhpString) -> Self {
        Self::from_bytes(string)
    }
}

impl From<String> for Key {
    fn from(text: String) -> Self {
        Self::from_bytes(text)
    }
}

impl From<Vec<u8>> for Key {
    fn from(bytes: Vec<u8>) -> Self {
        Self::from_bytes(bytes)
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        KeyRef::from(text).into()
    }
}

impl From<&[u8]> for Key {
    fn from(bytes: &[u8]) -> Self {
        KeyRef::from(bytes).into()
    }
}

/// A [`Key`] that borrows its bytes: for looking things up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeyRef<'a> {
    /// An integer.
    Int(i64),
    /// A string that is no integer. Owned only when it had to be unescaped.
    Str(Cow<'a, [u8]>),
}

impl<'a> KeyRef<'a> {
    /// The key that PHP makes of `bytes`.
    #[must_use]
    pub fn from_bytes(bytes: impl Into<Cow<'a, [u8]>>) -> Self {
        let bytes = bytes.into();
        match canonical_int(&bytes) {
            Some(int) => Self::Int(int),
            None => Self::Str(bytes),
        }
    }

    /// The bytes of a string key.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Int(_) => None,
            Self::Str(bytes) => Some(bytes),
        }
    }

    /// The string, if this is one and is UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.as_bytes()?).ok()
    }

    pub(in crate::pack) fn normalized(self) -> Self {
        match self {
            Self::Int(_) => self,
            Self::Str(bytes) => Self::from_bytes(bytes),
        }
    }

    pub(super) fn matches(&self, key: &Key) -> bool {
        match (self, key) {
            (Self::Int(ours), Key::Int(theirs)) => ours == theirs,
            (Self::Str(ours), Key::Str(theirs)) => **ours == **theirs,
            _ => false,
        }
    }
}

impl<'a> From<&'a str> for KeyRef<'a> {
    fn from(text: &'a str) -> Self {
        Self::from_bytes(text.as_bytes())
    }
}

impl<'a> From<&'a String> for KeyRef<'a> {
    fn from(text: &'a String) -> Self {
        Self::from_bytes(text.as_bytes())
    }
}

impl<'a> From<&'a [u8]> for KeyRef<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::from_bytes(bytes)
    }
}

impl<'a> From<&'a Key> for KeyRef<'a> {
    fn from(key: &'a Key) -> Self {
        key.as_ref()
    }
}

macro_rules! from_integers {
    ($($int:ty),*) => {$(
        impl From<$int> for Key {
            fn from(int: $int) -> Self {
                Self::Int(i64::from(int))
            }
        }

        impl From<$int> for KeyRef<'_> {
            fn from(int: $int) -> Self {
                Self::Int(i64::from(int))
            }
        }
    )*};
}

from_integers!(i64, i32, i16, i8, u32, u16, u8);

/// Source of the rule: `ZEND_HANDLE_NUMERIC_STR` of the Zend engine.
fn canonical_int(bytes: &[u8]) -> Option<i64> {
    const LONGEST: usize = 20; // "-9223372036854775808"

    let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let negative = digits.len() != bytes.len();
    match digits {
        [] => return None,
        [b'0'] => return (!negative).then_some(0),
        [b'1'..=b'9', ..] if bytes.len() <= LONGEST => {}
        _ => return None,
    }
    let mut value = 0_i64;
    for digit in digits {
        let digit = i64::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?);
        value = value.checked_mul(10)?.checked_sub(digit)?;
    }
    if negative { Some(value) } else { value.checked_neg() }
}

#[cfg(test)]
mod tests {
    use super::{Key, KeyRef, canonical_int};

    #[test]
    fn only_canonical_decimals_are_integers() {
        for (text, int) in [
            ("0", 0),
            ("5", 5),
            ("-1", -1),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
        ] {
            assert_eq!(Key::from(text), Key::Int(int));
        }
        for text in [
            "",
            "-",
            "-0",
            "+5",
            "05",
            " 5",
            "5 ",
            "5a",
            "1.0",
            "1e3",
            "9223372036854775808",
            "-9223372036854775809",
            "99999999999999999999999",
        ] {
            assert_eq!(canonical_int(text.as_bytes()), None, "{text}");
            assert_eq!(Key::from(text).as_str(), Some(text));
        }
    }

    #[test]
    fn keys_built_by_hand_are_put_right() {
        assert_eq!(Key::Str("5".into()).normalized(), Key::Int(5));
        assert_eq!(KeyRef::Str(b"5"[..].into()).normalized(), KeyRef::Int(5));
    }
}

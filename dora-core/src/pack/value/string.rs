//! PHP strings.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

/// A PHP string: bytes, mostly UTF-8.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PhpString(Vec<u8>);

impl PhpString {
    /// The text, if the bytes are UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, without a copy.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// The text, with U+FFFD for what is not UTF-8.
    #[must_use]
    pub fn to_string_lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

impl Deref for PhpString {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for PhpString {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for PhpString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_str() {
            Some(text) => text.fmt(f),
            None => write!(f, "b\"{}\"", self.0.escape_ascii()),
        }
    }
}

impl From<Vec<u8>> for PhpString {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<String> for PhpString {
    fn from(text: String) -> Self {
        Self(text.into_bytes())
    }
}

impl From<&str> for PhpString {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl From<&[u8]> for PhpString {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<Cow<'_, [u8]>> for PhpString {
    fn from(bytes: Cow<'_, [u8]>) -> Self {
        Self(bytes.into_owned())
    }
}

impl From<bytes::Bytes> for PhpString {
    fn from(bytes: bytes::Bytes) -> Self {
        Self(bytes.into())
    }
}

impl PartialEq<str> for PhpString {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<&str> for PhpString {
    fn eq(&self, other: &&str) -> bool {
        self.0 == other.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::PhpString;

    #[test]
    fn bytes_that_are_no_text_are_kept_and_shown_escaped() {
        let string = PhpString::from(&b"\xff\n"[..]);
        assert_eq!(string.as_str(), None);
        assert_eq!(string.to_string_lossy(), "\u{fffd}\n");
        assert_eq!(format!("{string:?}"), r#"b"\xff\n""#);
        assert_eq!(string.into_bytes(), b"\xff\n");
    }
}

//! The name a call asks for.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use bytes::Bytes;

/// The name a call asks for: a path, a legacy API name, or whatever a peer sent.
///
/// Cheap to clone: a static string, or a slice of the frame it came in.
#[derive(Clone)]
pub struct MethodName(Name);

#[derive(Clone)]
enum Name {
    Static(&'static str),
    Shared(Bytes),
}

impl MethodName {
    /// A name known at compile time.
    #[must_use]
    pub const fn from_static(name: &'static str) -> Self {
        Self(Name::Static(name))
    }

    /// The name in `bytes`, without a copy. PHP strings are bytes, and need not
    /// be UTF-8.
    #[must_use]
    pub const fn from_bytes(bytes: Bytes) -> Self {
        Self(Name::Shared(bytes))
    }

    /// The name as text. One that is not UTF-8 is U+FFFD, which no method is
    /// called.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or("\u{fffd}")
    }

    /// The name as it stands on the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Name::Static(name) => name.as_bytes(),
            Name::Shared(bytes) => bytes,
        }
    }
}

impl Deref for MethodName {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl From<&'static str> for MethodName {
    fn from(name: &'static str) -> Self {
        Self::from_static(name)
    }
}

impl From<String> for MethodName {
    fn from(name: String) -> Self {
        Self(Name::Shared(name.into()))
    }
}

impl Default for MethodName {
    fn default() -> Self {
        Self::from_static("")
    }
}

impl PartialEq for MethodName {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for MethodName {}

impl Hash for MethodName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

/// Escaped: a name is a peer's text and may stand in a log.
impl fmt::Display for MethodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", String::from_utf8_lossy(self.as_bytes()).escape_debug())
    }
}

impl fmt::Debug for MethodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&String::from_utf8_lossy(self.as_bytes()), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_compare_as_text_and_show_escaped() {
        let shared = MethodName::from_bytes(Bytes::from_static(b"/t/echo"));
        assert_eq!(shared, MethodName::from_static("/t/echo"));
        let odd = MethodName::from_bytes(Bytes::from_static(b"a\r\n\x1b[31m\xff"));
        assert_eq!(odd.to_string(), "a\\r\\n\\u{1b}[31m\u{fffd}");
    }
}

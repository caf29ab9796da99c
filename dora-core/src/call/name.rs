//! The name a call asks for.

use std::borrow::Cow;
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

/// Escaped, and cut if it is long: a name is a peer's text and may stand in a log.
impl fmt::Display for MethodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Brief(self.as_bytes()), f)
    }
}

/// As `Display`, and quoted.
impl fmt::Debug for MethodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&Brief(self.as_bytes()), f)
    }
}

/// A name as it may stand in messages and logs.
pub(crate) struct Brief<'a>(pub(crate) &'a [u8]);

/// Of a longer name so many bytes are shown, and how long it is.
const SHOWN: usize = 256;

impl Brief<'_> {
    fn shown(&self) -> Cow<'_, str> {
        let mut len = self.0.len().min(SHOWN);
        // A letter of several bytes is not cut through.
        while len < self.0.len() && len > SHOWN - 4 && self.0.get(len).is_some_and(|byte| byte & 0xc0 == 0x80)
        {
            len -= 1;
        }
        String::from_utf8_lossy(self.0.get(..len).unwrap_or_default())
    }

    fn cut(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            len if len > SHOWN => write!(f, ".. ({len} bytes)"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Brief<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.shown().escape_debug())?;
        self.cut(f)
    }
}

impl fmt::Debug for Brief<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.shown(), f)?;
        self.cut(f)
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

    #[test]
    fn a_long_name_is_cut_where_it_is_shown() {
        let whole = MethodName::from("x".repeat(SHOWN));
        assert_eq!(whole.to_string().len(), SHOWN);
        let long = MethodName::from("\u{e9}".repeat(35_000));
        let cut = format!("{}.. (70000 bytes)", "\u{e9}".repeat(SHOWN / 2));
        assert_eq!(long.to_string(), cut);
        let odd = MethodName::from(format!("a{}", "\u{e9}".repeat(35_000)));
        assert_eq!(format!("{odd:?}"), format!("\"a{}\".. (70001 bytes)", "\u{e9}".repeat(SHOWN / 2 - 1)));
        let bytes = MethodName::from_bytes(vec![0x80; 1000].into());
        assert!(bytes.to_string().ends_with("\u{fffd}.. (1000 bytes)"));
    }
}

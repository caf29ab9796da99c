//! Tokens, and how they travel.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// The key of the metadata under which a token travels.
pub(super) const KEY: &str = "authorization";
const SCHEME: &str = "Bearer";

/// A token that says who calls, to whoever reads it: it is never shown, neither by `Debug`
/// nor in a log. Cheap to clone.
///
/// ```
/// use std::time::Duration;
///
/// use dora::auth::Token;
///
/// let token = Token::new("a secret").expires_after(Duration::from_secs(300));
/// assert_eq!(format!("{token:?}"), "Token(..)");
/// ```
#[derive(Clone)]
pub struct Token {
    text: Arc<str>,
    /// When it is no good any more, and from when on it should be replaced.
    expiry: Option<(Instant, Instant)>,
}

impl Token {
    /// A token that is good until the server says that it is not.
    #[must_use]
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self { text: text.into(), expiry: None }
    }

    /// The same, which is good for so long from now on. It is replaced when a tenth of the
    /// time is left, and no sooner than a minute before its end.
    #[must_use]
    pub fn expires_after(self, time: Duration) -> Self {
        let now = Instant::now();
        let early = (time / 10).min(Duration::from_secs(60));
        let expiry = now.checked_add(time).map(|end| (end, end - early));
        Self { expiry, ..self }
    }

    /// The value of the metadata.
    pub(super) fn header(&self) -> String {
        format!("{SCHEME} {}", self.text)
    }

    pub(super) fn is_fresh(&self, now: Instant) -> bool {
        self.expiry.is_none_or(|(_, replace)| now < replace)
    }

    pub(super) fn is_good(&self, now: Instant) -> bool {
        self.expiry.is_none_or(|(end, _)| now < end)
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.text, &other.text)
    }
}

/// The token in the value of the metadata. The scheme's case does not count.
pub(super) fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case(SCHEME) && !token.is_empty()).then_some(token)
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl From<String> for Token {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Token {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        assert_eq!(bearer(&Token::new("a.b-c").header()), Some("a.b-c"));
        assert_eq!(bearer("bearer  x "), Some("x"));
        for other in ["", "x", "Bearer", "Bearer ", "Basic x"] {
            assert_eq!(bearer(other), None, "{other:?}");
        }
    }
}

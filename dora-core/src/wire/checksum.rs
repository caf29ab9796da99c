//! The signature: CRC-32 of the body and a shared string.
//!
//! It tells a changed or foreign frame from a good one. It keeps nobody out:
//! the string is a constant of every PHP installation.

use std::fmt;
use std::sync::Arc;

/// The shared string that is added to a body before its CRC-32 is taken.
#[derive(Clone, PartialEq, Eq)]
pub struct Salt(Arc<[u8]>);

impl Salt {
    /// The salt of the original sources (`SW_DATASIGEN_SALT`), 12 bytes.
    pub const ORIGINAL: &'static [u8] = b"=&$*#@(*&%(@";

    /// A salt of one's own.
    #[must_use]
    pub fn new(salt: &[u8]) -> Self {
        Self(salt.into())
    }

    /// The signature of `body`: CRC-32 (IEEE, as PHP's `crc32`) over `body ++ salt`.
    #[must_use]
    pub fn sign(&self, body: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(body);
        hasher.update(&self.0);
        hasher.finalize()
    }
}

impl Default for Salt {
    fn default() -> Self {
        Self::new(Self::ORIGINAL)
    }
}

/// Without the string: it is configuration that somebody may believe secret.
impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_of_a_known_text() {
        // php > printf("%x", crc32("123456789"));
        assert_eq!(Salt::new(b"").sign(b"123456789"), 0xcbf4_3926);
        assert_eq!(Salt::new(b"6789").sign(b"12345"), 0xcbf4_3926);
    }
}

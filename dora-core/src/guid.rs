//! The 128-bit request id that joins an answer to its request.

use std::fmt;

/// A request id: 32 bytes on the wire, by custom 128 bits as lowercase hex.
///
/// PHP peers make it with `md5()` and accept any 32 bytes as one, so any 32
/// bytes are kept and echoed as they came. `Debug` and `Display` escape what is
/// not printable: a guid is a peer's text and may stand in a log.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Guid([u8; Guid::LEN]);

impl Guid {
    /// Bytes of a guid on the wire.
    pub const LEN: usize = 32;

    /// The guid of answers to frames that are too short to have one.
    pub const ZERO: Self = Self([b'0'; Self::LEN]);

    /// A new random guid. Not a secret: the generator is fast, not unguessable.
    #[must_use]
    pub fn random() -> Self {
        Self::from_u128(fastrand::u128(..))
    }

    /// The guid whose hex digits are those of `value`.
    #[must_use]
    pub fn from_u128(value: u128) -> Self {
        let mut digits = [0; Self::LEN];
        // 16 bytes are 32 digits: it cannot fail.
        let _ = const_hex::encode_to_slice(value.to_be_bytes(), &mut digits);
        Self(digits)
    }

    /// The number whose lowercase hex digits this guid is, if it is that.
    #[must_use]
    pub fn to_u128(self) -> Option<u128> {
        let mut value = 0;
        for byte in self.0 {
            let digit = match byte {
                b'0'..=b'9' => byte - b'0',
                b'a'..=b'f' => byte - b'a' + 10,
                _ => return None,
            };
            value = value << 4 | u128::from(digit);
        }
        Some(value)
    }

    /// The guid of exactly 32 bytes; `None` for any other number of them.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The 32 bytes as they stand on the wire.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl From<[u8; Guid::LEN]> for Guid {
    fn from(bytes: [u8; Guid::LEN]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guid({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_digits_and_number_are_the_same_thing() {
        let guid = Guid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
        assert_eq!(guid.as_bytes(), b"0123456789abcdef0123456789abcdef");
        assert_eq!(guid.to_u128(), Some(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef));
        assert_eq!(Guid::ZERO.to_u128(), Some(0));
    }

    #[test]
    fn any_32_bytes_are_kept_and_shown_escaped() {
        let odd = Guid::from_bytes(b"ZZZZZZZZZZZZZZZZZZZZZZZZZZZZ\x00\xff\r\n").expect("32 bytes");
        assert_eq!(odd.to_string(), "ZZZZZZZZZZZZZZZZZZZZZZZZZZZZ\\x00\\xff\\r\\n");
        assert_eq!(odd.to_u128(), None);
        assert_eq!(Guid::from_bytes(b"short"), None);
    }
}

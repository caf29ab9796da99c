//! Telling the packing of a body.

use crate::call::packer::Packer;

/// Tells the packing of a body (already inflated) by its first bytes.
///
/// `None` for bytes that no packer writes.
#[must_use]
pub fn detect(body: &[u8]) -> Option<Packer> {
    match *body {
        [0x08, ..] => Some(Packer::Protobuf),
        [b'{', ..] => Some(Packer::Json),
        [b'N', b';', ..] => Some(Packer::Php),
        [b'a' | b'b' | b'd' | b'i' | b's' | b'S' | b'O' | b'C' | b'E' | b'R' | b'r', b':', ..] => {
            Some(Packer::Php)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell() {
        assert_eq!(detect(b"a:0:{}"), Some(Packer::Php));
        assert_eq!(detect(b"N;"), Some(Packer::Php));
        assert_eq!(detect(b"{}"), Some(Packer::Json));
        assert_eq!(detect(&[8, 0]), Some(Packer::Protobuf));
        for other in [&b""[..], b"N", b"this", b"\x1f\x8b", b"\x78\x9c"] {
            assert_eq!(detect(other), None, "{}", other.escape_ascii());
        }
    }
}

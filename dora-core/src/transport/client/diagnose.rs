//! What it means when the other end speaks otherwise than this one, in words.

use bytes::Bytes;

use crate::call::packer::Packer;
use crate::generation::Generation;
use crate::pack::compress;
use crate::pack::detect::detect;
use crate::wire::decoder::Frame;
use crate::wire::error::FrameError;

/// Who speaks, by the first bytes that came where a frame should begin.
pub(super) fn stranger(first: &[u8]) -> Option<String> {
    let http2 = matches!(first, [0, 0, _, 4, _, 0, 0, 0, 0, ..]);
    Some(match first {
        [b'H', b'T', b'T', b'P', ..] => "this is an HTTP server".to_owned(),
        _ if http2 => "this is an HTTP/2 (gRPC) server".to_owned(),
        [20..=23, 3, 0..=4, ..] => {
            "this is a TLS server: give the endpoint `.tls(..)`, of the feature `tls`".to_owned()
        }
        [a, b, c, d, ..] if [a, b, c, d].into_iter().all(|byte| matches!(byte, b' '..=b'~')) => {
            let shown = first.get(..first.len().min(16)).unwrap_or_default();
            format!("this is no Dora server: it begins with \"{}\"", shown.escape_ascii())
        }
        _ => return None,
    })
}

/// What a frame error at the very start of a connection means; `max` is the
/// largest packet.
pub(super) fn framing(error: &FrameError) -> Option<String> {
    match error {
        FrameError::TooLong { len, .. } => {
            let field = u32::try_from(len.checked_sub(4)?).ok()?;
            stranger(&field.to_be_bytes())
        }
        FrameError::TooShort { .. } => None,
        FrameError::Signature { .. } => Some(
            "the server does not sign its frames, or with another salt: take `.signed()` off the endpoint, \
             or set `.salt(..)`"
                .to_owned(),
        ),
    }
}

/// What the first frame of a connection means that is nobody's, to an end that
/// takes frames of `generation` and, as it could be read, without a signature.
pub(super) fn frame(frame: &Frame, generation: Generation) -> Option<&'static str> {
    if !is_packed(&frame.body) && frame.body.get(4..).is_some_and(is_packed) {
        return Some("the server signs its frames (SW_DATASIGEN_FLAG): give the endpoint `.signed()`");
    }
    match (generation.has_guid(), frame.generation.has_guid()) {
        (true, false) => Some(
            "the server is of an older generation (Dora-RPC 0.4, or 2015): give the endpoint \
             `.generation(Generation::Plain)`, or `Bare`",
        ),
        (false, true) => Some("the server is of the Guid generation: leave `.generation(..)` out"),
        _ => None,
    }
}

/// Whether an answer without a guid to a `Plain` request is the first 32 bytes of
/// that request, taken for a guid and sent back.
pub(super) fn echoes_guid(body: &Bytes) -> bool {
    body.get(32..).is_some_and(|rest| body.starts_with(b"a:") && is_packed(rest))
}

fn is_packed(body: &[u8]) -> bool {
    compress::is_gzip(body) || detect(body).is_some_and(|packer| packer != Packer::Protobuf || body.len() > 4)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::wire::checksum::Salt;
    use crate::wire::decoder::Decoder;
    use crate::wire::encoder::Encoder;

    const PHP: &[u8] = b"a:2:{s:4:\"code\";i:100005;s:3:\"msg\";s:9:\"signature\";}";

    /// What an end that reads as `reader` makes of what one that writes as
    /// `writer` says.
    fn read(writer: (Option<Salt>, Generation), reader: Option<Salt>) -> Result<Frame, FrameError> {
        let mut out = Vec::new();
        let encoder = Encoder::new(1 << 20, writer.0);
        let frame = encoder.begin(writer.1, &crate::guid::Guid::random(), &mut out);
        out.extend_from_slice(PHP);
        encoder.finish(&frame, &mut out).expect("small");
        Decoder::new(1 << 20, reader).decode(&mut BytesMut::from(&out[..])).map(|frame| frame.expect("whole"))
    }

    #[test]
    fn strangers_are_named() {
        let named = |first: &[u8]| stranger(first).expect("no Dora server");
        assert!(named(b"HTTP/1.1 400 Bad Request").contains("HTTP server"));
        assert!(named(b"\0\0\x12\x04\0\0\0\0\0\0\x03").contains("gRPC"));
        assert!(named(&[21, 3, 1, 0, 2]).contains("TLS server"));
        assert!(named(b"SSH-2.0-OpenSSH_9.2p1 Debian").contains("begins with \"SSH-2.0-OpenSSH_\""));
        assert_eq!(stranger(&[0, 0, 0, 40, b'a']), None);
        let error = FrameError::TooLong { len: u64::from(u32::from_be_bytes(*b"HTTP")) + 4, max: 1 };
        assert!(framing(&error).expect("HTTP").contains("HTTP server"));
    }

    #[test]
    fn a_server_that_signs_is_told_from_one_that_does_not() {
        let salt = Some(Salt::default());
        let signed = read((salt.clone(), Generation::Guid), None).expect("it seems to be a frame");
        assert!(super::frame(&signed, Generation::Guid).expect("odd").contains("signs its frames"));
        let good = read((None, Generation::Guid), None).expect("good");
        assert_eq!(super::frame(&good, Generation::Guid), None);
        let error = read((None, Generation::Guid), salt).expect_err("no signature");
        assert!(framing(&error).expect("odd").contains("does not sign"));
    }

    #[test]
    fn generations_are_told_apart() {
        let plain = read((None, Generation::Plain), None).expect("good");
        assert!(super::frame(&plain, Generation::Guid).expect("odd").contains("older generation"));
        assert_eq!(super::frame(&plain, Generation::Plain), None);
        let echo = [&b"a:3:{s:4:\"guid\";s:32:\"0123456789"[..32], PHP].concat();
        assert!(echoes_guid(&echo.into()) && !echoes_guid(&Bytes::from_static(PHP)));
    }
}

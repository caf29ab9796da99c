//! What it means when the other end speaks otherwise than this one, in words.

use bytes::Bytes;

use crate::generation::Generation;
use crate::guid::Guid;
use crate::transport::io::diagnose::{Stranger, begins_http2, is_packed, is_signed, is_unsigned};
use crate::wire::decoder::Frame;
use crate::wire::error::FrameError;
use crate::wire::header::DEFAULT_MAX_PACKET;

/// Who speaks, by the first bytes that came where a frame should begin.
pub(super) fn stranger(first: &[u8]) -> Option<String> {
    let who = Stranger::of(first)?;
    Some(match who {
        Stranger::Http1 | Stranger::Http2 => {
            format!("this is an {who} server: Dora is no HTTP, give the endpoint the port of a Dora server")
        }
        Stranger::Tls => {
            "this is a TLS server: give the endpoint `.tls(..)`, of the feature `tls`".to_owned()
        }
        Stranger::Text(_) => format!(
            "this is no Dora server, it begins with {who}: give the endpoint the address of a Dora server"
        ),
    })
}

/// The same for bytes that may yet become a frame of `generation`: what begins so has no
/// more to come.
pub(super) fn stranger_so_far(first: &[u8], generation: Generation) -> Option<String> {
    if begins_http2(first) {
        return stranger(first);
    }
    is_php7_refusal(first).then(|| match generation {
        Generation::Guid => {
            "the server could not read the request: take off the endpoint what the server is not set \
                             to, `.gzip()` or `.signed()`"
                .to_owned()
        }
        Generation::Plain | Generation::Bare => OF_TODAY.to_owned(),
    })
}

const OF_TODAY: &str = "the server is of the Guid generation: leave `.generation(..)` out";

/// Whether this is what a server of the Guid generation under PHP 7 answers to what it
/// cannot unpack. It has no guid to answer under, and counts one nevertheless: the last
/// 32 bytes of that frame never come.
fn is_php7_refusal(first: &[u8]) -> bool {
    const REFUSAL: &[u8] = b"a:4:{s:4:\"guid\";N;s:4:\"code\";i:1";
    first.split_first_chunk().is_some_and(|(len, body)| {
        let whole = body.ends_with(b"}") && u32::from_be_bytes(*len) as usize == body.len() + Guid::LEN;
        whole && body.starts_with(REFUSAL)
    })
}

/// What a frame error at the very start of a connection means.
pub(super) fn framing(error: &FrameError) -> Option<String> {
    match error {
        FrameError::Signature { .. } if is_unsigned(error) => {
            let said =
                "the server does not sign its frames: take `.signed()`, or `.salt(..)`, off the endpoint";
            Some(said.to_owned())
        }
        FrameError::Signature { .. } => Some(signature().to_owned()),
        FrameError::TooLong { .. } | FrameError::TooShort { .. } => None,
    }
}

/// A wrong signature in the first answer of a connection.
pub(super) const fn signature() -> &'static str {
    "the answer's signature is wrong: the server signs with another salt, so give the endpoint the server's by \
     `.salt(..)`; or the answer was changed on its way"
}

/// A request that is longer than this end sends.
pub(super) fn request_too_long(error: &FrameError) -> String {
    match error {
        FrameError::TooLong { len, max } => format!(
            "the request has {len} bytes, over this client's limit of {max}: raise `Endpoint::max_packet`, and the \
             server's, or send less"
        ),
        other => other.to_string(),
    }
}

/// An answer that is longer than this end takes.
pub(super) fn answer_too_long(len: u64, max: usize) -> String {
    format!(
        "the server's answer has {len} bytes, over this client's limit of {max}: raise `Endpoint::max_packet`, or \
         ask for less"
    )
}

/// A request that no server minds the size of, in bytes.
const SMALL: usize = 1024;

/// Why a server that says nothing of it may have closed a connection on which it
/// was sent a request of so many bytes, perhaps without having answered anything.
pub(super) fn unsaid(largest: usize, stranger: bool) -> String {
    let (silent, unsuspected) = match stranger {
        true => (" before it answered anything", SMALL),
        false => ("", DEFAULT_MAX_PACKET),
    };
    if largest <= unsuspected {
        return match stranger {
            true => format!(
                "{silent}: is it a Dora server, and of the endpoint's generation? (`.generation(..)`)"
            ),
            false => String::new(),
        };
    }
    format!(
        "{silent}, with a request of {largest} bytes: does it take one that large? (`Server::max_packet`; of a PHP \
         server, `package_max_length`)"
    )
}

/// What the first frame of a connection means that is nobody's, to an end that
/// takes frames of `generation` and, as it could be read, without a signature.
pub(super) fn frame(frame: &Frame, generation: Generation) -> Option<&'static str> {
    if is_signed(frame.guid.as_ref(), &frame.body) {
        return Some(
            "the server signs its frames (SW_DATASIGEN_FLAG): give the endpoint `.signed()`, or `.salt(..)` if the \
             server's is its own",
        );
    }
    match (generation.has_guid(), frame.generation.has_guid()) {
        (true, false) => Some(
            "the server is of an older generation (Dora-RPC 0.4, or 2015): give the endpoint \
             `.generation(Generation::Plain)`, or `Bare`",
        ),
        (false, true) => Some(OF_TODAY),
        _ => None,
    }
}

/// Whether an answer without a guid to a `Plain` request is the first 32 bytes of
/// that request, taken for a guid and sent back.
pub(super) fn echoes_guid(body: &Bytes) -> bool {
    body.get(32..).is_some_and(|rest| body.starts_with(b"a:") && is_packed(rest))
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
    fn only_what_may_be_too_large_is_suspected() {
        let stranger = unsaid(SMALL, true);
        assert!(stranger.starts_with(" before it answered anything"), "{stranger}");
        assert!(stranger.contains("`.generation(..)`") && !stranger.contains("max_packet"), "{stranger}");
        assert_eq!(unsaid(DEFAULT_MAX_PACKET, false), "");
        for (largest, stranger) in [(SMALL + 1, true), (DEFAULT_MAX_PACKET + 1, false)] {
            assert!(unsaid(largest, stranger).contains("`Server::max_packet`"), "{largest}");
        }
    }

    #[test]
    fn strangers_are_named() {
        let named = |first: &[u8]| stranger(first).expect("no Dora server");
        let so_far = |first: &[u8]| stranger_so_far(first, Generation::Guid);
        assert!(so_far(b"\0\0\x12\x04\0\0\0\0\0").expect("HTTP/2").contains("gRPC"));
        assert_eq!(so_far(b"HTTP"), None, "too long for a frame, which is told at once");
        assert!(named(b"HTTP/1.1 400 Bad Request").contains("HTTP server"));
        assert!(named(b"\0\0\x12\x04\0\0\0\0\0\0\x03").contains("gRPC"));
        assert!(named(&[21, 3, 1, 0, 2]).contains("TLS server"));
        assert!(named(b"SSH-2.0-OpenSSH_9.2p1 Debian").contains("begins with \"SSH-2.0-OpenSSH_\""));
        assert_eq!(stranger(&[0, 0, 0, 40, b'a']), None);
    }

    #[test]
    fn a_server_that_signs_is_told_from_one_that_does_not() {
        let salt = Some(Salt::default());
        let signed = read((salt.clone(), Generation::Guid), None).expect("it seems to be a frame");
        assert!(super::frame(&signed, Generation::Guid).expect("odd").contains("signs its frames"));
        let good = read((None, Generation::Guid), None).expect("good");
        assert_eq!(super::frame(&good, Generation::Guid), None);
        let error = read((None, Generation::Guid), salt.clone()).expect_err("no signature");
        assert!(framing(&error).expect("odd").contains("does not sign"));
        let forged = (Some(Salt::new(b"another")), Generation::Guid);
        let error = read(forged, Some(Salt::default())).expect_err("another salt");
        assert!(framing(&error).expect("odd").contains("another salt"));
    }

    #[test]
    fn generations_are_told_apart() {
        let plain = read((None, Generation::Plain), None).expect("good");
        assert!(super::frame(&plain, Generation::Guid).expect("odd").contains("older generation"));
        assert_eq!(super::frame(&plain, Generation::Plain), None);
        let body = b"a:4:{s:4:\"guid\";N;s:4:\"code\";i:100003;s:3:\"msg\";s:0:\"\";s:4:\"data\";a:0:{}}";
        let refusal = [&(body.len() as u32 + 32).to_be_bytes()[..], body].concat();
        assert!(stranger_so_far(&refusal, Generation::Plain).expect("odd").contains("Guid generation"));
        assert!(stranger_so_far(&refusal, Generation::Guid).expect("odd").contains("could not read"));
        for len in 0..refusal.len() {
            assert_eq!(stranger_so_far(&refusal[..len], Generation::Plain), None, "its end is to come");
        }
        let echo = [&b"a:3:{s:4:\"guid\";s:32:\"0123456789"[..32], PHP].concat();
        assert!(echoes_guid(&echo.into()) && !echoes_guid(&Bytes::from_static(PHP)));
    }
}

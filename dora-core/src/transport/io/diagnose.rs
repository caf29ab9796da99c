//! What both ends can tell from bytes that are no frame of theirs.

use std::fmt;
use std::io;

use crate::call::packer::Packer;
use crate::generation::Generation;
use crate::guid::Guid;
use crate::pack::compress::is_gzip;
use crate::pack::detect::detect;
use crate::wire::error::FrameError;

/// A peer that speaks another protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::transport) enum Stranger<'a> {
    /// HTTP/1.
    Http1,
    /// HTTP/2, and so perhaps gRPC.
    Http2,
    /// A record of TLS.
    Tls,
    /// Some other protocol of text.
    Text(&'a [u8]),
}

/// Why a stream has failed, for whoever looks after it. Of a connection that ends
/// within TLS, its library speaks to who programs it.
pub(in crate::transport) fn failure(error: &io::Error) -> String {
    let said = error.to_string();
    match error.kind() {
        io::ErrorKind::UnexpectedEof if said.contains("close_notify") => {
            "the connection was cut short: it ended without TLS's own end, as when the peer dies, or something between \
             the two closes it"
                .to_owned()
        }
        _ => said,
    }
}

/// How HTTP/1 begins: an answer, and requests.
const HTTP1: [&[u8; 4]; 10] =
    [b"HTTP", b"GET ", b"POST", b"PUT ", b"HEAD", b"DELE", b"OPTI", b"PATC", b"CONN", b"TRAC"];

impl<'a> Stranger<'a> {
    /// Who speaks, by the first bytes that came where a frame should begin.
    pub(in crate::transport) fn of(first: &'a [u8]) -> Option<Self> {
        let head = first.first_chunk::<4>()?;
        Some(match first {
            _ if HTTP1.contains(&head) => Self::Http1,
            [b'P', b'R', b'I', b' ', ..] => Self::Http2,
            _ if begins_http2(first) => Self::Http2,
            [20..=23, 3, 0..=4, ..] => Self::Tls,
            _ if head.iter().all(|byte| matches!(byte, b' '..=b'~')) => {
                Self::Text(first.get(..16).unwrap_or(first))
            }
            _ => return None,
        })
    }
}

impl fmt::Display for Stranger<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http1 => f.write_str("HTTP"),
            Self::Http2 => f.write_str("HTTP/2 (gRPC)"),
            Self::Tls => f.write_str("TLS"),
            Self::Text(first) => write!(f, "\"{}\"", first.escape_ascii()),
        }
    }
}

/// Whether an HTTP/2 server begins here: with its settings, a frame of type 4 on
/// stream 0. As a length field that is a small one, so it is to be told before
/// the frame is waited for; no guid looks so.
pub(in crate::transport) fn begins_http2(first: &[u8]) -> bool {
    matches!(first, [0, 0, _, 4, _, 0, 0, 0, 0, ..])
}

/// Whether a packet of any packing begins here.
pub(in crate::transport) fn is_packed(body: &[u8]) -> bool {
    is_gzip(body) || detect(body).is_some_and(|packer| packer != Packer::Protobuf || body.len() > 4)
}

/// Whether the frame that `error` refuses is a good one of a peer that does not
/// sign: what was taken for the end of a guid is the beginning of its body.
pub(in crate::transport) fn is_unsigned(error: &FrameError) -> bool {
    match error {
        FrameError::Signature { guid: Some(guid), .. } => {
            guid.as_bytes().last_chunk::<4>().is_some_and(|end| is_gzip(end) || begins_body(end))
        }
        // Of a peer whose frames have no guid, the decoder has found it out. One whose
        // frames have one took the beginning of the request for it, and sends it back.
        FrameError::Signature { guid: None, body, found, .. } => {
            body.starts_with(&found.to_be_bytes())
                || body.get(Guid::LEN.saturating_sub(4)..).is_some_and(begins_array)
        }
        _ => false,
    }
}

/// Whether a frame that was read as one without a signature has one: the guid and
/// the body begin four bytes late.
pub(in crate::transport) fn is_signed(guid: Option<&Guid>, body: &[u8]) -> bool {
    let without_guid =
        |guid: &Guid| guid.as_bytes().get(4..).is_some_and(|rest| begins_array(rest) || is_gzip(rest));
    guid.is_some_and(without_guid)
        || body.get(4..).is_some_and(|rest| begins_array(rest) || is_gzip(rest))
        || !is_packed(body) && body.get(4..).is_some_and(is_packed)
}

/// Four bytes with which a packet begins, and with which no guid ends that is
/// hexadecimal.
fn begins_body(end: &[u8; 4]) -> bool {
    matches!(end, [b'a', b':', b'0'..=b'9', b':' | b'0'..=b'9'] | [b'{', b'"', ..] | [8, ..])
}

/// `a:4:{`, as every answer of PHP packing begins.
fn begins_array(bytes: &[u8]) -> bool {
    let Some(rest) = bytes.strip_prefix(b"a:") else { return false };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    digits > 0 && rest.get(digits..).is_some_and(|rest| rest.starts_with(b":{"))
}

/// A packet of which only the beginning is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::transport) struct Begun {
    pub(in crate::transport) generation: Generation,
    pub(in crate::transport) guid: Option<Guid>,
    /// What it is packed as; `None` of a compressed one.
    pub(in crate::transport) packer: Option<Packer>,
}

impl Begun {
    /// The packet that begins here; `None` if it is none, or is said to be longer
    /// than anybody sends.
    pub(in crate::transport) fn of(first: &[u8], signed: bool) -> Option<Self> {
        const LONGEST: u32 = 1 << 30;
        let (len, rest) = first.split_first_chunk::<4>()?;
        let rest = if signed { rest.get(4..)? } else { rest };
        let (generation, guid, body) = match rest.split_first_chunk::<{ Guid::LEN }>() {
            _ if begins_array(rest) || is_gzip(rest) => (Generation::Plain, None, rest),
            Some((guid, body)) if is_packed(body) => (Generation::Guid, Some(Guid::from(*guid)), body),
            _ => return None,
        };
        (u32::from_be_bytes(*len) <= LONGEST).then(|| Self { generation, guid, packer: detect(body) })
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::wire::checksum::Salt;
    use crate::wire::decoder::{Decoder, Frame};
    use crate::wire::encoder::Encoder;

    const PHP: &[u8] = b"a:2:{s:4:\"code\";i:100005;s:3:\"msg\";s:9:\"signature\";}";
    const BODIES: [&[u8]; 4] = [PHP, b"{\"api\":{}}", b"\x08\x01\x12\x02xx", b"\x1f\x8b\x08\0\0\0\0\0\0\x03"];

    fn written(salt: Option<Salt>, generation: Generation, body: &[u8]) -> Vec<u8> {
        let (encoder, mut out) = (Encoder::new(1 << 20, salt), Vec::new());
        let frame = encoder.begin(generation, &Guid::random(), &mut out);
        out.extend_from_slice(body);
        encoder.finish(&frame, &mut out).expect("small");
        out
    }

    fn read(bytes: &[u8], salt: Option<Salt>) -> Result<Frame, FrameError> {
        Decoder::new(1 << 20, salt).decode(&mut BytesMut::from(bytes)).map(|frame| frame.expect("whole"))
    }

    #[test]
    fn strangers_are_told_by_their_first_bytes() {
        let of = |first: &'static [u8]| Stranger::of(first).expect("a stranger").to_string();
        assert_eq!(of(b"HTTP/1.1 400 Bad Request"), "HTTP");
        assert_eq!(of(b"GET / HTTP/1.1"), "HTTP");
        assert_eq!(of(b"PRI * HTTP/2.0"), "HTTP/2 (gRPC)");
        assert_eq!(of(b"\0\0\x12\x04\0\0\0\0\0\0\x03"), "HTTP/2 (gRPC)");
        assert_eq!(of(&[21, 3, 1, 0, 2]), "TLS");
        assert_eq!(of(b"SSH-2.0-OpenSSH_9.2p1 Debian"), "\"SSH-2.0-OpenSSH_\"");
        assert_eq!(Stranger::of(&[0, 0, 0, 40, b'a']), None);
    }

    #[test]
    fn signed_and_unsigned_frames_are_told_in_every_packing_and_generation() {
        let salt = || Some(Salt::default());
        for body in BODIES {
            let error = read(&written(None, Generation::Guid, body), salt()).expect_err("not signed");
            assert!(is_unsigned(&error), "{error:?}");
            let forged = Some(Salt::new(b"another"));
            let error = read(&written(forged, Generation::Guid, body), salt()).expect_err("forged");
            assert!(!is_unsigned(&error), "{error:?}");
            let signed = read(&written(salt(), Generation::Guid, body), None).expect("it seems good");
            assert!(is_signed(signed.guid.as_ref(), &signed.body), "{signed:?}");
            let good = read(&written(None, Generation::Guid, body), None).expect("good");
            assert!(!is_signed(good.guid.as_ref(), &good.body), "{good:?}");
        }
        let error = read(&written(None, Generation::Plain, PHP), salt()).expect_err("not signed");
        assert!(is_unsigned(&error), "{error:?}");
        let signed = read(&written(salt(), Generation::Plain, PHP), None).expect("it seems good");
        assert!(is_signed(signed.guid.as_ref(), &signed.body), "{signed:?}");
    }

    #[test]
    fn a_packet_is_known_by_its_beginning() {
        for (signed, salt) in [(false, None), (true, Some(Salt::default()))] {
            for body in BODIES {
                let frame = written(salt.clone(), Generation::Guid, body);
                let at = if signed { 8 } else { 4 };
                let guid = Guid::from_bytes(&frame[at..at + 32]);
                let begun = Begun { generation: Generation::Guid, guid, packer: detect(body) };
                assert_eq!(Begun::of(&frame[..frame.len() - 1], signed), Some(begun));
                assert_eq!(Begun::of(&frame[..at + 31], signed), None, "not enough of it");
            }
            let plain = written(salt, Generation::Plain, PHP);
            let begun = Begun { generation: Generation::Plain, guid: None, packer: Some(Packer::Php) };
            assert_eq!(Begun::of(&plain, signed), Some(begun));
        }
        let claim = [&[0x7f, 0xff, 0xff, 0xff][..], &[b'0'; 32], PHP].concat();
        assert_eq!(Begun::of(&claim, false), None, "nobody sends 2 GiB");
        assert_eq!(Begun::of(b"GET /0123456789abcdef0123456789abcdef HTTP/1.1\r\n\r\n", false), None);
    }
}

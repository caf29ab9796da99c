//! What a body is written in.

use std::io;

use bytes::{Buf as _, Bytes};
use dora_core::call::code::Code;
use dora_core::call::status::Status;
use dora_core::pack::compress::{Inflating, deflate};
use hyper::StatusCode;
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use super::fault::Fault;
use super::heavy::{MUCH, run};

/// What a message is packed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Json,
    Proto,
}

/// The types that a POST may have. None of them can be a form's.
const ACCEPTED: &str = "application/json, application/proto";
/// The encodings that a body may have.
const ENCODINGS: HeaderValue = HeaderValue::from_static("gzip");
/// Smaller answers are not worth compressing: they fit into one segment of TCP.
const SMALL: usize = 1024;

impl Codec {
    /// By `Content-Type`.
    ///
    /// # Errors
    /// 415: it is another one, or JSON in another charset than UTF-8.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Fault> {
        let said = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        let (essence, params) = match said.iter().position(|byte| *byte == b';') {
            Some(end) => said.split_at(end),
            None => (said, &b""[..]),
        };
        let codec = match essence.trim_ascii().to_ascii_lowercase().as_slice() {
            b"application/json" => Some(Self::Json),
            b"application/proto" => Some(Self::Proto),
            _ => None,
        };
        match codec {
            Some(codec) if is_utf8(params) => Ok(codec),
            _ => Err(unsupported(format!(
                "Content-Type is {:?}, not one of {ACCEPTED} (in UTF-8)",
                String::from_utf8_lossy(said)
            ))),
        }
    }

    /// By the name that a query has for it.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "json" => Some(Self::Json),
            "proto" => Some(Self::Proto),
            _ => None,
        }
    }

    pub(super) const fn content_type(self) -> HeaderValue {
        match self {
            Self::Json => HeaderValue::from_static("application/json"),
            Self::Proto => HeaderValue::from_static("application/proto"),
        }
    }
}

fn unsupported(message: String) -> Fault {
    // Code as the protocol has it for a status that no code has.
    Fault::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Status::new(Code::Unknown, message))
        .with_header(HeaderName::from_static("accept-post"), HeaderValue::from_static(ACCEPTED))
}

/// Whether the parameters of a type say UTF-8, or no charset.
fn is_utf8(params: &[u8]) -> bool {
    let params = params.to_ascii_lowercase();
    let charset = params.split(|byte| *byte == b';').find_map(|param| {
        let (name, value) = param.split_at(param.iter().position(|byte| *byte == b'=')?);
        (name.trim_ascii() == b"charset").then(|| value.get(1..).unwrap_or_default().trim_ascii())
    });
    charset.is_none_or(|charset| charset.trim_ascii_start() == b"utf-8" || charset == b"\"utf-8\"")
}

/// The bytes of a body that is said to be compressed as `encoding`, inflated up to `max`.
///
/// # Errors
/// `Code::Unimplemented` for another compression than gzip, as the protocol has it;
/// `Code::InvalidArgument` for what does not inflate.
///
/// What it inflates to is not known before: what is much is inflated beside the workers.
pub(super) async fn decoded(body: Bytes, encoding: &[u8], max: usize) -> Result<Bytes, Fault> {
    match encoding.trim_ascii() {
        b"" | b"identity" => Ok(body),
        b"gzip" if body.is_empty() => Ok(body),
        b"gzip" => inflated(body, max).await.map_err(|error| {
            Status::invalid_argument(format!("the body as gzip: {error}")).with_source(error).into()
        }),
        other => {
            let other = String::from_utf8_lossy(other);
            let status = format!("compression {other:?} is not known: gzip is, and identity");
            Err(Fault::from(Status::unimplemented(status)).with_header(ACCEPT_ENCODING, ENCODINGS))
        }
    }
}

async fn inflated(body: Bytes, max: usize) -> io::Result<Bytes> {
    let expected = body.len().saturating_mul(2);
    let mut inflating = Inflating::new(body.reader(), expected, max);
    if inflating.step(MUCH)? {
        return Ok(inflating.into_bytes());
    }
    run(MUCH, move || inflating.step(usize::MAX).map(|_| inflating.into_bytes())).await
}

/// What `Content-Encoding` says.
pub(super) fn encoding(headers: &HeaderMap) -> &[u8] {
    headers.get(CONTENT_ENCODING).map_or(&b""[..], HeaderValue::as_bytes)
}

/// Whether the caller takes gzip: said so, and not with weight 0.
pub(super) fn takes_gzip(headers: &HeaderMap) -> bool {
    let said = headers.get_all(ACCEPT_ENCODING).iter();
    let mut said = said.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    said.any(|one| {
        let mut parts = one.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Ok(1.0), str::parse);
        is_gzip && weight.is_ok_and(|weight: f32| weight > 0.0)
    })
}

/// Compresses a body where that is worth it; with the header that says so.
pub(super) fn compressed(body: Vec<u8>, gzip: bool) -> (Vec<u8>, Option<(HeaderName, HeaderValue)>) {
    if !gzip || body.len() < SMALL {
        return (body, None);
    }
    let mut out = Vec::with_capacity(body.len() / 2);
    deflate(&body, &mut out);
    match out.len() < body.len() {
        true => (out, Some((CONTENT_ENCODING, ENCODINGS))),
        false => (body, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        [(name, HeaderValue::from_static(value))].into_iter().collect()
    }

    #[test]
    fn types_that_a_form_can_have_are_refused() {
        for (said, codec) in [
            ("application/json", Codec::Json),
            ("Application/JSON; charset=utf-8", Codec::Json),
            ("application/json;charset=\"UTF-8\"", Codec::Json),
            ("application/json; x=y", Codec::Json),
            ("application/proto", Codec::Proto),
        ] {
            assert_eq!(Codec::of(&headers(CONTENT_TYPE, said)).ok(), Some(codec), "{said}");
        }
        for said in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=application/json",
            "text/plain; application/json",
            "application/json; charset=latin1",
            "application/jsonx",
            "application/connect+json",
            "",
        ] {
            let fault = Codec::of(&headers(CONTENT_TYPE, said)).expect_err(said);
            assert_eq!(fault.http, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{said}");
        }
        assert!(Codec::of(&HeaderMap::new()).is_err());
    }

    #[test]
    fn gzip_is_taken_where_it_is_said() {
        for (said, takes) in [
            ("gzip", true),
            ("deflate, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("br", false),
            ("gzip;q=x", false),
            ("", false),
        ] {
            assert_eq!(takes_gzip(&headers(ACCEPT_ENCODING, said)), takes, "{said}");
        }
    }

    /// On the one worker of this runtime, somebody else gets a turn while a body inflates.
    #[tokio::test]
    async fn others_get_their_turn_while_a_body_inflates() {
        let mut body = Vec::new();
        deflate(&vec![b' '; 8 << 20], &mut body);
        let turns = std::sync::atomic::AtomicUsize::new(0);
        let neighbour = async { turns.fetch_add(1, std::sync::atomic::Ordering::Relaxed) };
        let decoded = async {
            let body = decoded(body.into(), b"gzip", 8 << 20).await.expect("within the limit");
            (body.len(), turns.load(std::sync::atomic::Ordering::Relaxed))
        };
        // Polled in this order, each as often as it is woken.
        let (inflated, _) = tokio::join!(biased; decoded, neighbour);
        assert_eq!(inflated, (8 << 20, 1));
    }

    #[tokio::test]
    async fn a_body_that_inflates_over_the_limit_is_refused() {
        let mut body = Vec::new();
        deflate(&vec![b' '; 1 << 20], &mut body);
        assert!(body.len() < 8192);
        let status = decoded(body.into(), b"gzip", 1 << 16).await.expect_err("it is larger").status;
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains("65536"), "{status}");
        let status = decoded(Bytes::from_static(b"x"), b"br", 10).await.expect_err("not known").status;
        assert_eq!(status.code(), Code::Unimplemented);
    }
}

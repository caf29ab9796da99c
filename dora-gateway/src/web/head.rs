//! What the head of a request says to a call: metadata and deadline.

use std::time::Duration;

use dora_core::call::deadline::Deadline;
use dora_core::call::status::Status;
use hyper::header::{HeaderMap, HeaderName};

/// Headers that are HTTP's own, or this protocol's, and say nothing to a handler.
const OF_HTTP: [&str; 19] = [
    "accept",
    "accept-encoding",
    "accept-post",
    "allow",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "prefer",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

pub(crate) fn is_of_http(name: &str) -> bool {
    OF_HTTP.binary_search(&name).is_ok() || name.starts_with("connect-") || name.starts_with("sec-")
}

/// What a caller said beside the call: `authorization`, `traceparent`, cookies, and
/// whatever else is not HTTP's own; `None` for what is not UTF-8.
pub(crate) fn beside(headers: &HeaderMap) -> impl Iterator<Item = (&HeaderName, Option<&str>)> {
    let headers = headers.iter().filter(|(name, _)| !is_of_http(name.as_str()));
    headers.map(|(name, value)| (name, str::from_utf8(value.as_bytes()).ok()))
}

/// `Connect-Timeout-Ms`: how long the caller waits.
///
/// # Errors
/// `Code::InvalidArgument`: it is not a number of at most ten digits.
pub(crate) fn deadline(headers: &HeaderMap) -> Result<Option<Deadline>, Status> {
    let Some(said) = headers.get("connect-timeout-ms") else { return Ok(None) };
    let said = said.as_bytes();
    let is_number = (1..=10).contains(&said.len()) && said.iter().all(u8::is_ascii_digit);
    let ms = str::from_utf8(said).ok().filter(|_| is_number).and_then(|said| said.parse().ok());
    match ms {
        Some(ms) => Ok(Some(Deadline::after(Duration::from_millis(ms)))),
        None => Err(Status::invalid_argument("Connect-Timeout-Ms is a number of at most 10 digits")),
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn the_list_can_be_searched() {
        assert!(OF_HTTP.is_sorted());
    }

    #[test]
    fn timeouts_have_ten_digits() {
        let of = |said: &'static str| {
            deadline(
                &[(HeaderName::from_static("connect-timeout-ms"), HeaderValue::from_static(said))]
                    .into_iter()
                    .collect(),
            )
        };
        assert!(of("9999999999").expect("ten digits").is_some());
        for bad in ["", "-1", "1.5", "+1", "12345678901", "5s"] {
            assert!(of(bad).is_err(), "{bad}");
        }
        assert!(deadline(&HeaderMap::new()).expect("nothing said").is_none());
    }
}

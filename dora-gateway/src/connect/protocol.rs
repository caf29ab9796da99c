//! Headers as metadata, metadata as headers, and what callers say in those of the
//! protocol's own.

use dora_core::call::metadata::Metadata;
use dora_core::call::status::Status;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use crate::web::head::{beside, is_of_http};

/// What a caller said beside the call.
///
/// # Errors
/// `Code::InvalidArgument`: a header is not UTF-8, or there are more than a call of
/// Dora's may carry.
pub(super) fn from_headers(headers: &HeaderMap) -> Result<Metadata, Status> {
    let mut metadata = Metadata::new();
    for (name, value) in beside(headers) {
        if metadata.len() == Metadata::MAX_PAIRS {
            let most = Metadata::MAX_PAIRS;
            return Err(Status::invalid_argument(format!("more than {most} headers that are metadata")));
        }
        let not_utf8 = || Status::invalid_argument(format!("the header {name} is not UTF-8"));
        metadata.append(name.as_str(), value.ok_or_else(not_utf8)?);
    }
    Ok(metadata)
}

/// Puts metadata among the headers of an answer.
///
/// # Errors
/// `Code::Internal`: a pair that no header can be; those before it are there.
pub(super) fn to_headers(metadata: &Metadata, headers: &mut HeaderMap) -> Result<(), Status> {
    for (name, value) in metadata.iter() {
        let pair =
            HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_bytes(value.as_bytes()).ok());
        match pair {
            Some((name, value)) if !is_of_http(name.as_str()) => {
                headers.append(name, value);
            }
            _ => {
                let message = format!("the metadata {name:?} of the answer cannot be a header of HTTP");
                return Err(Status::internal(message));
            }
        }
    }
    Ok(())
}

/// Puts what can be a header of an error's metadata among the headers: the error is
/// what counts.
pub(super) fn to_headers_of_error(metadata: &Metadata, headers: &mut HeaderMap) {
    for (name, value) in metadata.iter() {
        let one = Metadata::from_iter([(name, value)]);
        // What cannot is left out.
        drop(to_headers(&one, headers));
    }
}

/// Whether the caller speaks Connect: `Connect-Protocol-Version`.
///
/// # Errors
/// `Code::InvalidArgument`: another version than 1.
pub(super) fn speaks_connect(headers: &HeaderMap) -> Result<bool, Status> {
    match headers.get("connect-protocol-version").map(HeaderValue::as_bytes) {
        None => Ok(false),
        Some(b"1") => Ok(true),
        Some(other) => Err(Status::invalid_argument(format!(
            "Connect-Protocol-Version is {:?}: 1 is known",
            String::from_utf8_lossy(other)
        ))),
    }
}

/// Whether the caller does not wait: `Prefer: respond-async` (RFC 7240).
pub(super) fn prefers_async(headers: &HeaderMap) -> bool {
    let said = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    said.flat_map(|value| value.split(',')).any(|one| one.trim().eq_ignore_ascii_case("respond-async"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_http_are_no_metadata() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "a"),
            ("content-type", "application/json"),
            ("connect-timeout-ms", "5"),
            ("sec-fetch-site", "none"),
            ("authorization", "Bearer x"),
            ("traceparent", "00-1-2-01"),
            ("tag", "a"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers.append("tag", HeaderValue::from_static("b"));
        let metadata = from_headers(&headers).expect("it is text");
        let pairs: Vec<_> = metadata.iter().collect();
        assert_eq!(
            pairs,
            [("authorization", "Bearer x"), ("traceparent", "00-1-2-01"), ("tag", "a"), ("tag", "b")]
        );
        headers.append("x", HeaderValue::from_bytes(b"\xff").expect("opaque to HTTP"));
        let status = from_headers(&headers).expect_err("not UTF-8");
        assert!(status.message().contains("header x"), "{status}");
    }

    #[test]
    fn metadata_that_is_no_header_is_an_error_that_names_it() {
        let mut headers = HeaderMap::new();
        for bad in [("a b", "x"), ("a", "x\ny: z"), ("content-length", "7"), ("transfer-encoding", "chunked")]
        {
            let status = to_headers(&Metadata::from_iter([bad]), &mut headers).expect_err("no header");
            assert!(status.message().contains(bad.0), "{status}");
            assert!(headers.is_empty());
        }
        to_headers_of_error(&Metadata::from_iter([("a b", "x"), ("c", "d")]), &mut headers);
        assert_eq!(headers.len(), 1);
    }
}

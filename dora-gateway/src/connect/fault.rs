//! What failed, as HTTP and as Connect's error in JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use dora_core::call::code::Code;
use dora_core::call::dora_code;
use dora_core::call::status::Status;
use hyper::StatusCode;
use hyper::header::{ALLOW, HeaderName, HeaderValue};
use prost_reflect::prost::Message as _;
use serde::Serialize;

/// The raw code of a status that is not merely its canonical one in other numbers.
pub(super) const DORA_CODE: HeaderName = HeaderName::from_static("dora-code");

/// A call that failed, or a request that became none.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) http: StatusCode,
    pub(super) status: Status,
    /// What else the caller is told: `Allow`, `Accept-Post`.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

/// `Error` of the protocol; a member that it does not know is passed.
#[derive(Serialize)]
struct Error<'a> {
    code: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<Detail>,
    #[serde(rename = "doraCode", skip_serializing_if = "Option::is_none")]
    dora_code: Option<i64>,
}

#[derive(Serialize)]
struct Detail {
    #[serde(rename = "type")]
    name: &'static str,
    value: String,
}

impl Fault {
    /// What HTTP says otherwise than the code does.
    pub(super) fn new(http: StatusCode, status: Status) -> Self {
        Self { http, status, headers: Vec::new() }
    }

    /// The same with a header.
    pub(super) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The path is another verb's.
    pub(super) fn verb(allowed: &str) -> Self {
        let status = Status::unimplemented(format!("this path takes {allowed} alone"));
        let fault = Self::new(StatusCode::METHOD_NOT_ALLOWED, status);
        match HeaderValue::from_str(allowed) {
            Ok(value) => fault.with_header(ALLOW, value),
            Err(_) => fault,
        }
    }

    /// The error in JSON.
    pub(super) fn json(&self) -> Vec<u8> {
        let details = self.status.details();
        let details = match details.is_empty() {
            true => Vec::new(),
            // Opaque to Dora, and so a message that says no more than that.
            false => vec![Detail {
                name: "google.protobuf.BytesValue",
                value: STANDARD_NO_PAD.encode(details.encode_to_vec()),
            }],
        };
        let error = Error {
            code: name(self.status.code()),
            message: self.status.message(),
            details,
            dora_code: own_code(&self.status),
        };
        // Text and numbers into memory: it cannot fail.
        serde_json::to_vec(&error).unwrap_or_default()
    }
}

impl From<Status> for Fault {
    fn from(status: Status) -> Self {
        Self::new(http(status.code()), status)
    }
}

/// The raw code, where it says more than the canonical one.
pub(super) fn own_code(status: &Status) -> Option<i64> {
    let raw = status.raw_code();
    (raw != dora_code::from_code(status.code())).then_some(raw)
}

/// Connect's name of a code.
pub(super) const fn name(code: Code) -> &'static str {
    match code {
        Code::Cancelled => "canceled",
        Code::InvalidArgument => "invalid_argument",
        Code::DeadlineExceeded => "deadline_exceeded",
        Code::NotFound => "not_found",
        Code::AlreadyExists => "already_exists",
        Code::PermissionDenied => "permission_denied",
        Code::ResourceExhausted => "resource_exhausted",
        Code::FailedPrecondition => "failed_precondition",
        Code::Aborted => "aborted",
        Code::OutOfRange => "out_of_range",
        Code::Unimplemented => "unimplemented",
        Code::Internal => "internal",
        Code::Unavailable => "unavailable",
        Code::DataLoss => "data_loss",
        Code::Unauthenticated => "unauthenticated",
        _ => "unknown",
    }
}

/// HTTP's status for a code, as Connect's protocol has it.
pub(super) fn http(code: Code) -> StatusCode {
    match code {
        // Nginx's: the client closed the request. It is in the range.
        Code::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::REQUEST_TIMEOUT),
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the protocol: <https://connectrpc.com/docs/protocol#error-codes>.
    const TABLE: [(i64, &str, u16); 16] = [
        (1, "canceled", 499),
        (2, "unknown", 500),
        (3, "invalid_argument", 400),
        (4, "deadline_exceeded", 504),
        (5, "not_found", 404),
        (6, "already_exists", 409),
        (7, "permission_denied", 403),
        (8, "resource_exhausted", 429),
        (9, "failed_precondition", 400),
        (10, "aborted", 409),
        (11, "out_of_range", 400),
        (12, "unimplemented", 501),
        (13, "internal", 500),
        (14, "unavailable", 503),
        (15, "data_loss", 500),
        (16, "unauthenticated", 401),
    ];

    #[test]
    fn codes_have_the_names_and_statuses_of_the_protocol() {
        for (number, called, status) in TABLE {
            let code = Code::from_number(number).expect("a canonical code");
            assert_eq!((name(code), http(code).as_u16()), (called, status), "{code}");
        }
    }

    #[test]
    fn an_error_says_its_raw_code_where_it_is_one_of_its_own() {
        let plain = Fault::from(Status::not_found("no user 8"));
        assert_eq!(plain.json(), br#"{"code":"not_found","message":"no user 8"}"#);
        let business = Fault::from(Status::raw(1231, "out of stock").with_details(&b"\x01\xff"[..]));
        let json: serde_json::Value = serde_json::from_slice(&business.json()).expect("it is JSON");
        assert_eq!(json["code"], "unknown");
        assert_eq!(json["doraCode"], 1231);
        assert_eq!(json["details"][0]["type"], "google.protobuf.BytesValue");
        assert_eq!(json["details"][0]["value"], "CgIB/w");
    }
}

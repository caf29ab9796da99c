//! The table of errors.

use dora::Code;
use serde_json::json;

use crate::client::{call, failed};
use crate::host::Host;

/// Code, HTTP's status, Connect's name.
const TABLE: [(Code, u16, &str); 16] = [
    (Code::Cancelled, 499, "canceled"),
    (Code::Unknown, 500, "unknown"),
    (Code::InvalidArgument, 400, "invalid_argument"),
    (Code::DeadlineExceeded, 504, "deadline_exceeded"),
    (Code::NotFound, 404, "not_found"),
    (Code::AlreadyExists, 409, "already_exists"),
    (Code::PermissionDenied, 403, "permission_denied"),
    (Code::ResourceExhausted, 429, "resource_exhausted"),
    (Code::FailedPrecondition, 400, "failed_precondition"),
    (Code::Aborted, 409, "aborted"),
    (Code::OutOfRange, 400, "out_of_range"),
    (Code::Unimplemented, 501, "unimplemented"),
    (Code::Internal, 500, "internal"),
    (Code::Unavailable, 503, "unavailable"),
    (Code::DataLoss, 500, "data_loss"),
    (Code::Unauthenticated, 401, "unauthenticated"),
];

#[test]
fn a_code_is_the_same_on_every_wire() {
    let host = Host::start();
    let guide = include_str!("../../../src/guide/connect.md");
    for (code, http, name) in TABLE {
        let number = code.number();
        let answer = call(&host, "Fail", &json!({ "code": number, "text": "so it is" }));
        assert_eq!(failed(&answer, http, name), "so it is");
        assert_eq!(answer.headers["reason"], "wanted", "the error's metadata");
        assert!(!answer.headers.contains_key("dora-code") && answer.json()["doraCode"].is_null());
        let dora = dora::Status::new(code, "").raw_code();
        let line = format!("| `{code}` | {number} | `{name}` | {http} | {dora} |");
        assert!(guide.contains(&line), "the guide's table lacks {line}");
    }
}

#[test]
fn a_code_of_the_services_own_is_told() {
    let host = Host::start();
    let answer = call(&host, "Fail", &json!({ "raw": 1231, "text": "out of stock", "details": "AQI=" }));
    assert_eq!(failed(&answer, 500, "unknown"), "out of stock");
    assert_eq!((answer.json()["doraCode"].as_i64(), &*answer.headers["dora-code"]), (Some(1231), "1231"));
    // A BytesValue that holds 1, 2.
    let details = json!([{ "type": "google.protobuf.BytesValue", "value": "CgIBAg" }]);
    assert_eq!(answer.json()["details"], details);
}

//! Codes of a service's own; `one_port/statuses.rs` has those that all doors have.

use serde_json::json;

use crate::client::{call, failed};
use crate::host::Host;

#[test]
fn a_code_of_the_services_own_is_told() {
    let host = Host::start();
    let answer = call(&host, "Fail", &json!({ "raw": 1231, "text": "out of stock", "details": "AQI=" }));
    assert_eq!(failed(&answer, 500, "unknown"), "out of stock");
    assert_eq!((answer.json()["doraCode"].as_i64(), &*answer.headers["dora-code"]), (Some(1231), "1231"));
    assert_eq!(answer.headers["reason"], "wanted", "the error's metadata");
    let plain = call(&host, "Fail", &json!({ "code": 5, "text": "none" }));
    assert_eq!(failed(&plain, 404, "not_found"), "none");
    assert!(!plain.headers.contains_key("dora-code") && plain.json()["doraCode"].is_null());
    // A BytesValue that holds 1, 2.
    let details = json!([{ "type": "google.protobuf.BytesValue", "value": "CgIBAg" }]);
    assert_eq!(answer.json()["details"], details);
}

//! Canonical proto3 JSON.

use serde_json::{Value, json};

use crate::client::{JSON, call, failed, path, send};
use crate::host::Host;

#[track_caller]
fn echoed(host: &Host, body: &Value) -> Value {
    let answer = call(host, "Echo", body);
    assert_eq!(answer.status, 200, "{}", answer.json());
    answer.json()
}

#[test]
fn every_kind_of_field_comes_back_in_its_canonical_form() {
    let host = Host::start();
    let canonical = json!({
        "small": -5,
        "large": "-9223372036854775808",
        "larger": "18446744073709551615",
        "single": 1.5,
        "twice": "NaN",
        "truth": true,
        "someText": "a\u{0}\u{1f600}\"",
        "raw": "AP/+",
        "edition": "EDITION_FIRST",
        "books": [{ "id": "1", "author": { "name": "Ada" } }, {}],
        "numbers": { "a": "1", "": "2" },
        "book": { "bookTitle": "Notes" },
        "moment": "2026-01-02T03:04:05.006Z",
        "span": "-3.000000001s",
        "structure": { "a": [1.0, null, "x", { "b": true }] },
        "value": null,
        "mask": "someText,book.bookTitle",
        "wrapped": "7",
        "any": { "@type": "type.googleapis.com/library.v1.Book", "id": "3" },
        "within": { "within": { "small": 1 } },
        "present": 0
    });
    assert_eq!(echoed(&host, &canonical), canonical);
}

#[test]
fn other_forms_are_read_as_well() {
    let host = Host::start();
    for (said, read) in [
        (json!({ "some_text": "as declared" }), json!({ "someText": "as declared" })),
        (json!({ "large": 7, "small": "8" }), json!({ "large": "7", "small": 8 })),
        (json!({ "small": 1e2, "twice": "Infinity" }), json!({ "small": 100, "twice": "Infinity" })),
        (json!({ "edition": 1 }), json!({ "edition": "EDITION_FIRST" })),
        (json!({ "edition": 77 }), json!({ "edition": 77 })),
        (json!({ "raw": "AP_-" }), json!({ "raw": "AP/+" })),
        (json!({ "small": null, "books": null, "within": null }), json!({})),
        // Of another version, as a member that is not known.
        (json!({ "edition": "EDITION_LAST" }), json!({})),
        (json!({ "of another version": [1, { "x": null }] }), json!({})),
        (json!({ "moment": "2026-01-02T05:04:05+02:00" }), json!({ "moment": "2026-01-02T03:04:05Z" })),
        (json!({ "small": 0, "someText": "", "within": {} }), json!({ "within": {} })),
    ] {
        assert_eq!(echoed(&host, &said), read, "{said}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused_with_its_place() {
    let host = Host::start();
    for (body, place) in [
        (r#"{"small": "x"}"#, "small"),
        (r#"{"small": 1.5}"#, "small"),
        (r#"{"small": 2147483648}"#, "small"),
        (r#"{"larger": -1}"#, "larger"),
        (r#"{"truth": "yes"}"#, "truth"),
        (r#"{"someText": 7}"#, "someText"),
        (r#"{"raw": "*"}"#, "raw"),
        (r#"{"books": [{}, {"author": {"born": []}}]}"#, "books[1].author.born"),
        (r#"{"numbers": {"a": {}}}"#, "numbers.a"),
        (r#"{"books": {}}"#, "books"),
        (r#"{"moment": "yesterday"}"#, "moment"),
        (r#"{"word": "a", "book": {}}"#, "line 1"),
        (r#"[]"#, "library.v1.All"),
        (r#"7"#, "library.v1.All"),
        (r#"{"small": 1"#, "column 11"),
        (r#"{"small": 1}}"#, "column 13"),
        (r#"{"small": 1} {"#, "column 14"),
        (r#"{'small': 1}"#, "column 2"),
        (r#"{"small": 01}"#, "column"),
        (r#"{"small": NaN}"#, "column"),
        ("", "not JSON"),
        ("\u{feff}{}", "column 1"),
    ] {
        let answer = send(&host, "POST", &path("Echo"), JSON, body.as_bytes());
        let message = failed(&answer, 400, "invalid_argument");
        assert!(message.contains(place), "{body}: {message}");
    }
}

#[test]
fn what_is_no_text_is_refused() {
    let host = Host::start();
    for body in [
        &b"{\"someText\": \"\xff\"}"[..],
        b"\xff\xfe{\0}\0",
        b"{\"someText\": \"\xc3",
        b"{\"\xed\xa0\x80\": 1}",
    ] {
        let answer = send(&host, "POST", &path("Echo"), JSON, body);
        let message = failed(&answer, 400, "invalid_argument");
        assert!(message.contains("UTF-8"), "{}: {message}", body.escape_ascii());
    }
    // A lone surrogate is no character.
    let answer = send(&host, "POST", &path("Echo"), JSON, br#"{"someText": "\ud800"}"#);
    failed(&answer, 400, "invalid_argument");
    let answer = send(&host, "POST", &path("Echo"), crate::client::PROTO, b"\x3a\x01\xff");
    failed(&answer, 400, "invalid_argument");
}

#[test]
fn nesting_ends_somewhere() {
    let host = Host::start();
    let deep = |levels: usize, open: &str, inner: &str, close: &str| {
        open.repeat(levels) + inner + &close.repeat(levels)
    };
    for body in [
        deep(200, r#"{"within":"#, "{}", "}"),
        deep(100_000, r#"{"within":"#, "{}", "}"),
        format!(r#"{{"value": {}}}"#, deep(100_000, "[", "", "]")),
        format!(r#"{{"structure": {}}}"#, deep(100_000, r#"{"a":"#, "1", "}")),
        format!(r#"{{"any": {}}}"#, deep(10_000, r#"{"@type":"#, "1", "}")),
    ] {
        let answer = send(&host, "POST", &path("Echo"), JSON, body.as_bytes());
        failed(&answer, 400, "invalid_argument");
    }
    // What nobody knows is passed without a level of the stack.
    let passed = format!(r#"{{"nobody knows": {}}}"#, deep(500, "[", "", "]"));
    assert_eq!(send(&host, "POST", &path("Echo"), JSON, passed.as_bytes()).status, 200);
    let passed = format!(r#"{{"nobody knows": {}}}"#, deep(100_000, "[", "", "]"));
    let answer = send(&host, "POST", &path("Echo"), JSON, passed.as_bytes());
    assert!(failed(&answer, 400, "invalid_argument").contains("Limits::depth"));
    let protobuf = (0..1000).fold(Vec::new(), |inner: Vec<u8>, _| {
        let mut outer = vec![0xaa, 0x01];
        prost::encoding::encode_varint(inner.len() as u64, &mut outer);
        outer.extend(inner);
        outer
    });
    let answer = send(&host, "POST", &path("Echo"), crate::client::PROTO, &protobuf);
    failed(&answer, 400, "invalid_argument");
    assert_eq!(call(&host, "Echo", &json!({})).status, 200, "it serves on");
}

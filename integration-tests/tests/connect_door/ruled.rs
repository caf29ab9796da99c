//! The paths of `google.api.http`.

use serde_json::{Value, json};

use crate::client::{JSON, failed, send};
use crate::host::Host;

#[track_caller]
fn got(host: &Host, verb: &str, path: &str, body: &str) -> Value {
    let headers = if body.is_empty() { "" } else { JSON };
    let answer = send(host, verb, path, headers, body.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.json());
    answer.json()
}

#[test]
fn paths_queries_and_bodies_make_a_message() {
    let host = Host::start();
    assert_eq!(got(&host, "GET", "/v1/books/7", ""), json!({ "id": "7", "bookTitle": "Notes" }));
    assert_eq!(
        got(&host, "GET", "/v1/shelves/a%20b/books/7?edition=EDITION_FIRST&unknown=x", ""),
        json!({ "id": "7", "bookTitle": "Notesshelves/a b", "edition": "EDITION_FIRST" })
    );
    let query = "author.name=Ada+L%26&author.born=1815&ids=1&ids=2&since=1970-01-01T00:00:09Z";
    let title = "Ada L& 1815 9";
    assert_eq!(
        got(&host, "GET", &format!("/v1/books?{query}"), ""),
        json!([{ "id": "1", "bookTitle": title }, { "id": "2", "bookTitle": title }]),
        "the field that the annotation says is the answer"
    );
    assert_eq!(got(&host, "GET", "/v1/books", ""), json!([]));
    let body = r#"{"id": "3", "bookTitle": "Notes"}"#;
    assert_eq!(
        got(&host, "POST", "/v1/shelves/9/books?check=true&shelf=x", body),
        json!({ "id": "3", "bookTitle": "Notes on shelves/9, true" })
    );
    let body = r#"{"shelf": "s", "book": {"id": 3}}"#;
    assert_eq!(
        got(&host, "PUT", "/v1/books?shelf=ignored", body),
        json!({ "id": "3", "bookTitle": " on s, false" })
    );
}

#[test]
fn what_a_path_or_query_cannot_mean_is_refused() {
    let host = Host::start();
    for (verb, path, body, said) in [
        ("GET", "/v1/books/seven", "", "library.v1.GetBookRequest.id"),
        ("GET", "/v1/books/9223372036854775808", "", "id"),
        ("GET", "/v1/books/7?edition=LAST", "", "library.v1.Edition"),
        ("GET", "/v1/books?ids=1&ids=x", "", "ids"),
        ("GET", "/v1/books?author.name=%ff", "", "UTF-8"),
        ("GET", "/v1/books?since=now", "", "since"),
        ("POST", "/v1/shelves/9/books", r#"{"id": "x"}"#, "book.id"),
        // The body is one value, and no more.
        ("POST", "/v1/shelves/9/books", r#"{}, "check": true"#, "not JSON"),
        ("POST", "/v1/shelves/9/books", r#"{}}{"#, "not JSON"),
    ] {
        let headers = if body.is_empty() { "" } else { JSON };
        let message = failed(&send(&host, verb, path, headers, body.as_bytes()), 400, "invalid_argument");
        assert!(message.contains(said), "{path}: {message}");
    }
    failed(&send(&host, "GET", "/v1/books/9", "", b""), 404, "not_found");
    for path in ["/v1/books/", "/v1/books/7/x", "/v1/shelves//books/7", "/v1", "/v1/books/%ff"] {
        failed(&send(&host, "GET", path, "", b""), 404, "unimplemented");
    }
    let answer = send(&host, "DELETE", "/v1/books", "", b"");
    failed(&answer, 405, "unimplemented");
    assert_eq!(answer.headers["allow"], "GET, PUT");
    failed(&send(&host, "PUT", "/v1/books", "Content-Type: text/plain\r\n", b"{}"), 415, "unknown");
    failed(
        &send(&host, "PUT", "/v1/books", "Content-Type: application/proto\r\n", b"\x08"),
        415,
        "unimplemented",
    );
}

//! The forms that a call can have.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use dora::connect::Connect;
use dora_integration_tests::raw::PATIENCE;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use prost::Message as _;
use serde_json::json;

use crate::client::{JSON, PROTO, call, failed, path, send};
use crate::host::Host;
use crate::http::{Peer, encoded};
use crate::library::{Book, GetBookRequest};

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("into memory");
    encoder.finish().expect("into memory")
}

fn inflated(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut out).expect("gzip");
    out
}

#[test]
fn a_message_is_answered_in_kind() {
    let host = Host::start();
    let answer = call(&host, "GetBook", &json!({ "id": 7, "edition": "EDITION_FIRST" }));
    assert_eq!((answer.status, &*answer.headers["content-type"]), (200, "application/json"));
    assert_eq!(answer.json(), json!({ "id": "7", "bookTitle": "Notes", "edition": "EDITION_FIRST" }));

    let request = GetBookRequest { id: 7, ..GetBookRequest::default() }.encode_to_vec();
    let answer = send(&host, "POST", &path("GetBook"), PROTO, &request);
    assert_eq!((answer.status, &*answer.headers["content-type"]), (200, "application/proto"));
    let book = Book::decode(&*answer.body).expect("a book");
    assert_eq!((book.id, &*book.book_title), (7, "Notes"));
}

#[test]
fn a_method_without_side_effects_is_got() {
    let host = Host::start();
    let json = encoded(r#"{"id":"7"}"#);
    for query in [
        format!("connect=v1&encoding=json&message={json}"),
        "encoding=json&base64=1&message=eyJpZCI6IjcifQ".to_owned(),
        "encoding=json&base64=1&message=eyJpZCI6IjcifQ%3D%3D".to_owned(),
    ] {
        let answer = send(&host, "GET", &format!("{}?{query}", path("GetBook")), "", b"");
        assert_eq!(answer.json()["bookTitle"], "Notes", "{query}");
        assert_eq!(answer.headers["vary"], "accept-encoding");
    }
    let answer =
        send(&host, "GET", &format!("{}?encoding=proto&base64=1&message=CAc", path("GetBook")), "", b"");
    assert_eq!(Book::decode(&*answer.body).expect("a book").id, 7);

    let answer = send(&host, "GET", &format!("{}?encoding=json&message={{}}", path("AddBook")), "", b"");
    failed(&answer, 405, "unimplemented");
    assert_eq!(answer.headers["allow"], "POST");
    let answer = send(&host, "GET", &path("GetBook"), "", b"");
    assert!(failed(&answer, 400, "invalid_argument").contains("encoding"));
}

#[test]
fn bodies_are_compressed_as_the_caller_says() {
    let host = Host::start();
    let body = gzipped(br#"{"id": 8}"#);
    let headers = format!("{JSON}Content-Encoding: gzip\r\nAccept-Encoding: br, gzip\r\n");
    let answer = send(&host, "POST", &path("GetBook"), &headers, &body);
    assert_eq!(answer.headers["content-encoding"], "gzip");
    assert!(answer.body.len() < 1000);
    let book: serde_json::Value = serde_json::from_slice(&inflated(&answer.body)).expect("JSON");
    assert_eq!(book["id"], "8");

    let answer = send(&host, "POST", &path("GetBook"), &headers, &gzipped(br#"{"id": 7}"#));
    assert!(!answer.headers.contains_key("content-encoding"), "it is small");

    let answer = send(&host, "POST", &path("GetBook"), &format!("{JSON}Content-Encoding: br\r\n"), b"x");
    assert!(failed(&answer, 501, "unimplemented").contains("br"));
    assert_eq!(answer.headers["accept-encoding"], "gzip");
    let answer = send(&host, "POST", &path("GetBook"), &format!("{JSON}Content-Encoding: gzip\r\n"), b"{}");
    failed(&answer, 400, "invalid_argument");
}

#[test]
fn another_type_path_or_version_is_refused() {
    let host = Host::start();
    let answer = send(&host, "POST", &path("GetBook"), "Content-Type: application/x-protobuf\r\n", b"");
    assert!(failed(&answer, 415, "unknown").contains("x-protobuf"));
    assert_eq!(answer.headers["accept-post"], "application/json, application/proto");
    for path in
        ["/", "/library.v1.Library", "/library.v1.Library/GetBook/", "/library.v1.Library/getBook", "/x"]
    {
        let answer = send(&host, "POST", path, JSON, b"{}");
        assert!(failed(&answer, 404, "unimplemented").contains(path), "{path}");
    }
    for verb in ["PUT", "DELETE", "OPTIONS", "TRACE", "BREW"] {
        let mut peer = Peer::connect(host.address);
        let request =
            format!("{verb} {} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n", path("GetBook"));
        peer.send(request.as_bytes());
        let answer = peer.answer();
        assert_eq!((answer.status, &*answer.headers["allow"]), (405, "GET, POST"), "{verb}");
    }
    let answer =
        send(&host, "POST", &path("GetBook"), &format!("{JSON}Connect-Protocol-Version: 2\r\n"), b"{}");
    failed(&answer, 400, "invalid_argument");
}

#[test]
fn what_nobody_waits_for_is_accepted() {
    let host = Host::start();
    let noted = |count: usize| {
        let end = std::time::Instant::now() + PATIENCE;
        while host.shelves.noted.lock().expect("no panic").len() < count {
            assert!(std::time::Instant::now() < end, "it is not noted");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    let answer = call(&host, "Note", &json!({ "bookTitle": "one" }));
    assert_eq!((answer.status, answer.body.len()), (202, 0));
    noted(1);
    // Connect has no such thing: its clients want a message.
    let headers = format!("{JSON}Connect-Protocol-Version: 1\r\n");
    let answer = send(&host, "POST", &path("Note"), &headers, br#"{"bookTitle": "two"}"#);
    assert_eq!((answer.status, &*answer.body), (200, &b"{}"[..]));
    noted(2);
    let headers = format!("{JSON}Prefer: wait=5, respond-async\r\n");
    let answer = send(&host, "POST", &path("Sleep"), &headers, br#""0.001s""#);
    assert_eq!((answer.status, &*answer.headers["preference-applied"]), (202, "respond-async"));
    // What cannot be begun is told.
    failed(&call(&host, "Note", &json!({ "bookTitle": 1 })), 400, "invalid_argument");
}

#[test]
fn connections_are_kept_and_drained() {
    let mut host = Host::with(|server| server, Connect::new());
    let mut peer = Peer::connect(host.address);
    for _ in 0..3 {
        peer.send(&crate::client::request("POST", &path("GetBook"), JSON, br#"{"id":7}"#));
        assert_eq!(peer.answer().status, 200);
    }
    // What runs is answered, and then it is over.
    peer.send(&crate::client::request("POST", &path("Sleep"), JSON, br#""0.3s""#));
    std::thread::sleep(Duration::from_millis(50));
    host.stop();
    assert_eq!(peer.answer().status, 200);
    peer.expect_close();
}

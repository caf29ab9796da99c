//! What goes beside a call: headers, deadlines.

use serde_json::json;

use crate::client::{JSON, call, failed, path, send};
use crate::host::Host;

#[test]
fn headers_are_metadata_both_ways() {
    let host = Host::start();
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let headers = format!(
        "{JSON}Authorization: Bearer x\r\nTraceParent: {trace}\r\nX-Word: caf\u{e9}\r\nAccept: */*\r\n"
    );
    let answer = send(&host, "POST", &path("Beside"), &headers, b"{}");
    let said = answer.json();
    assert_eq!(
        said["pairs"],
        json!({ "authorization": "Bearer x", "traceparent": trace, "x-word": "café" }),
        "what is HTTP's own is not among them"
    );
    assert_eq!(said["door"], "connect");
    // Both: this parser keeps the last.
    assert_eq!(answer.headers["tag"], "b");

    let mut headers = JSON.as_bytes().to_vec();
    headers.extend(b"X-Word: \xff\r\n");
    let mut peer = crate::http::Peer::connect(host.address);
    let head = format!("POST {} HTTP/1.1\r\nHost: here\r\nContent-Length: 2\r\n", path("Beside"));
    peer.send(&[head.as_bytes(), &headers, b"\r\n{}"].concat());
    assert!(failed(&peer.answer(), 400, "invalid_argument").contains("x-word"));
}

#[test]
fn the_callers_deadline_is_the_calls() {
    let host = Host::start();
    let of = |ms: &str, method: &str, body: &[u8]| {
        send(&host, "POST", &path(method), &format!("{JSON}Connect-Timeout-Ms: {ms}\r\n"), body)
    };
    let left =
        of("20000", "Beside", b"{}").json()["remainingMs"].as_str().and_then(|left| left.parse::<i64>().ok());
    assert!(left.is_some_and(|left| (1..=20_000).contains(&left)), "{left:?}");
    failed(&of("50", "Sleep", br#""30s""#), 504, "deadline_exceeded");
    failed(&of("0", "Beside", b"{}"), 504, "deadline_exceeded");
    for bad in ["-1", "1s", "99999999999"] {
        assert!(failed(&of(bad, "Beside", b"{}"), 400, "invalid_argument").contains("Connect-Timeout-Ms"));
    }
}

#[test]
fn without_one_the_server_gives_up() {
    let host =
        Host::with(|server| server.call_timeout(std::time::Duration::from_millis(50)), Default::default());
    failed(&call(&host, "Sleep", &json!("30s")), 504, "deadline_exceeded");
}

//! Requests by hand.

use serde_json::Value;

use crate::host::Host;
use crate::http::{Answer, Peer};

/// A method's path.
pub(crate) fn path(method: &str) -> String {
    format!("/library.v1.Library/{method}")
}

/// Sends a request on a connection of its own.
pub(crate) fn send(host: &Host, verb: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
    let mut peer = Peer::connect(host.address);
    peer.send(&request(verb, path, headers, body));
    peer.answer()
}

/// A request, its length said.
pub(crate) fn request(verb: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("{verb} {path} HTTP/1.1\r\nHost: here\r\n{headers}Content-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

pub(crate) const JSON: &str = "Content-Type: application/json\r\n";
pub(crate) const PROTO: &str = "Content-Type: application/proto\r\n";

/// Calls a method with JSON.
pub(crate) fn call(host: &Host, method: &str, body: &Value) -> Answer {
    send(host, "POST", &path(method), JSON, body.to_string().as_bytes())
}

/// An error, its status and its code.
#[track_caller]
pub(crate) fn failed(answer: &Answer, status: u16, code: &str) -> String {
    let json = answer.json();
    assert_eq!((answer.status, json["code"].as_str()), (status, Some(code)), "{json}");
    assert_eq!(answer.headers["content-type"], "application/json");
    json["message"].as_str().unwrap_or_default().to_owned()
}

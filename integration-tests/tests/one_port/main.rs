//! Dora's own wire, HTTP/1, HTTP/2, Swoft and TLS on one port, told apart by the first
//! bytes; the doors of HTTP by the path of each request.

mod callers;
mod first_bytes;
mod host;
#[path = "../http_door/http.rs"]
#[allow(dead_code, reason = "what the tests of one door use")]
mod http;
#[path = "../connect_door/shelves.rs"]
mod shelves;
mod statuses;

pub(crate) mod library {
    dora::include_proto!("library.v1");
}

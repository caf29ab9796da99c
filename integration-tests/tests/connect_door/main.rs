//! JSON and protobuf over HTTP, called by who knows nothing of Dora.

mod callers;
mod client;
mod codes;
mod corpus;
mod documented;
mod host;
#[path = "../http_door/http.rs"]
#[allow(dead_code, reason = "what the other door's tests use")]
mod http;
mod json;
mod metadata;
mod origins;
mod ruled;
mod shelves;
mod unary;

pub(crate) mod library {
    dora::include_proto!("library.v1");
}

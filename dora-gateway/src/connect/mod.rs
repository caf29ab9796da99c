//! Calls over HTTP with JSON or protobuf, as Connect's unary protocol has them
//! (<https://connectrpc.com/docs/protocol>).

mod access;
mod answer;
mod asked;
mod codec;
mod content;
pub mod door;
mod fault;
mod fields;
mod heavy;
mod openapi;
mod protocol;
mod query;
pub mod rules;
pub mod schema;
mod template;

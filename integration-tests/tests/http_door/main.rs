//! HTTP as the original has it: what was recorded of it, and callers that are not ours.

mod access;
#[path = "../../../examples/legacy-server/src/api.rs"]
mod api;
mod callers;
mod drain;
mod edges;
mod host;
mod http;
mod recorded;

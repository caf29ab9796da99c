//! What is logged, and the spans of calls.

mod capture;
mod client;
mod server;
mod spans;

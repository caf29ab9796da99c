//! What is logged, and the spans of calls.

mod capture;
mod server;
mod spans;

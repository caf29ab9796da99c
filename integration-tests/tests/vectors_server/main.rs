//! The reference service in Rust, in the place of the PHP servers that were
//! recorded: every recorded request gets the recorded answer, or the better one
//! that the specification asks for where the original fell silent or over.

#[path = "../../../examples/legacy-server/src/api.rs"]
mod api;
mod clients;
mod legacy;
mod made;
mod old;
mod others;
mod raws;
mod wanted;

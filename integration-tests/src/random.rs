//! What is generated from files at random, of `dora-codegen/tests/random`: here,
//! in a library, so that rustc, clippy and rustdoc read it as they would in a
//! user's.

#![deny(missing_docs)]

include!(concat!(env!("OUT_DIR"), "/random/dora-protos.rs"));

#![doc = include_str!("../docs/overview.md")]
//!
//! # How messages become PHP and JSON values
#![doc = include_str!("../docs/mapping.md")]

mod check;
mod compile;
mod config;
mod emit;
mod error;
mod format;
mod model;
mod naming;
mod options;
mod resolve;

use std::path::Path;

pub use config::Config;
pub use error::Error;

/// Generates Rust for one `.proto` file, and for those that it imports, into
/// Cargo's `OUT_DIR`.
///
/// Imports start at the directory of `proto`, or at the `proto` directory
/// above it; `dora/options.proto` and `google/protobuf/*.proto` need none.
/// [`Config`] has the rest.
///
/// # Errors
///
/// An [`Error`] that names file, line and remedy, if the file is not there, is
/// not valid, or holds what Dora cannot serve.
pub fn compile(proto: impl AsRef<Path>) -> Result<(), Error> {
    Config::new().compile(&[proto])
}

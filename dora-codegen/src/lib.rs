#![doc = include_str!("../docs/overview.md")]
//!
//! # How messages become PHP and JSON values
#![doc = include_str!("../docs/mapping.md")]

mod check;
mod compile;
mod config;
mod diagnose;
mod docs;
mod embedded;
mod emit;
mod error;
mod format;
mod generate;
mod missing;
mod model;
mod naming;
mod nearest;
mod options;
mod output;
mod prost;
mod protos;
mod reflection;
mod resolve;

pub use compile::compile;
pub use config::Config;
pub use error::Error;
pub use protos::Protos;

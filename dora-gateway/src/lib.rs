//! Doors beside Dora's own wire: other protocols into the same server. Applications use
//! them through the features of the `dora-rpc` package.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(unreachable_pub)]

#[cfg(feature = "connect")]
pub mod connect;
#[cfg(feature = "http")]
pub mod http;
#[cfg(any(feature = "http", feature = "swoft"))]
mod json;
#[cfg(feature = "swoft")]
pub mod swoft;
#[cfg(any(feature = "connect", feature = "http"))]
mod web;

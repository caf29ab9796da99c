//! Discovery for Dora: where servers are announced and clients find them, chosen by one
//! line. Applications use it through the `dora-rpc` package, as `dora::discovery`.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(unreachable_pub)]

mod backend;
pub mod config;
pub mod dns;
pub mod error;
mod file;
pub mod json;
mod list;
pub mod monitor;
pub mod target;
mod url;

#[cfg(feature = "etcd")]
pub mod etcd;
#[cfg(not(feature = "etcd"))]
#[path = "without/etcd.rs"]
mod etcd;

#[cfg(feature = "redis")]
mod redis;
#[cfg(not(feature = "redis"))]
#[path = "without/redis.rs"]
mod redis;

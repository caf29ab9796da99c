//! Instances in etcd: a key under a lease for each.
//!
//! The key is `<prefix>/instances/<address>`, its value the record as JSON, with its term. Whoever reads
//! watches the prefix from the revision of its list, so that nothing falls between.

mod cluster;
mod discover;
mod mirror;
mod register;
#[cfg(test)]
#[path = "../../tests/etcd/server.rs"]
#[allow(dead_code, reason = "it is shared with tests that need more of it")]
mod server;
mod target;
mod term;
mod value;

pub use cluster::{Etcd, EtcdError};
pub use discover::EtcdDiscover;
pub use register::EtcdRegister;
pub(crate) use target::{key, open};
pub use value::EtcdKey;

/// The folder of the instances below the prefix.
const INSTANCES: &str = "instances";

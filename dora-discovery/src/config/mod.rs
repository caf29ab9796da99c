//! Configuration that a fleet shares, and that changes while it runs: a value under a key
//! of etcd or Redis, as JSON.

mod key;
pub(crate) mod source;
mod watched;

pub use key::ConfigKey;
pub use source::Source;
pub use watched::{ConfigBuilder, ConfigStatus, Watched};

/// The longest value in bytes.
pub(crate) const MAX_VALUE: usize = 1 << 20;

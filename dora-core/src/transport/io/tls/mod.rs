//! TLS (rustls, with ring): what both ends share.
//!
//! An [`Identity`](identity::Identity) is what an end shows, a
//! [`Trust`](trust::Trust) what it believes. Both are handles: clones share what
//! they hold, and reloading one changes it for all connections made from then on.

mod cached;
pub mod error;
pub mod identity;
#[cfg(test)]
pub(in crate::transport) mod testing;
pub mod trust;

pub(in crate::transport) use cached::Cached;

use std::sync::Arc;

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};

/// Named, and not left to the process: a program may hold several.
pub(in crate::transport) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

//! What both ends read, write and wait with.

pub mod address;
pub(super) mod alarm;
pub mod alpn;
pub(super) mod diagnose;
pub(super) mod inbox;
pub(super) mod outbox;
pub(super) mod stream;
mod tcp;
#[cfg(feature = "tls")]
pub mod tls;

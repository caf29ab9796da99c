//! The client's end: one endpoint, its connection, and the calls in flight on it.

pub mod channel;
mod dial;
mod driver;
pub mod endpoint;
mod exchange;
mod link;
mod multiplex;
#[cfg(feature = "tls")]
pub mod tls;

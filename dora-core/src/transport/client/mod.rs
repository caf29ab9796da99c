//! The client's end: one endpoint, its connection, and the calls in flight on it.

pub mod channel;
mod dial;
mod driver;
pub mod endpoint;
mod exchange;
pub mod future;
mod link;
mod multiplex;
mod outgoing;
pub mod state;
#[cfg(feature = "tls")]
pub mod tls;

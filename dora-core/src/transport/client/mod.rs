//! The client's end: one endpoint, its connection, and the calls in flight on it.

mod admission;
mod arrival;
pub mod channel;
mod connection;
mod deadlines;
mod diagnose;
mod dial;
mod driver;
mod end;
pub mod endpoint;
mod exchange;
pub mod future;
mod health;
mod lane;
mod link;
mod link_state;
mod log;
#[cfg(test)]
mod model_tests;
pub mod observed;
mod outgoing;
mod queue;
mod race;
mod readiness;
mod speech;
pub mod state;
pub(crate) mod straight;
mod submit;
mod table;
#[cfg(feature = "tls")]
pub mod tls;
mod wheel;

//! Calls go to one of many instances.

pub mod choose;
mod dispatch;
pub mod fleet;
mod future;
mod latency;
mod node;
mod updates;

//! Calls go to one of many instances.

mod balancer;
mod beside;
pub mod builder;
pub mod choose;
mod dispatch;
pub mod fleet;
mod followed;
mod future;
pub mod instance;
mod latency;
mod node;
mod silence;
mod updates;

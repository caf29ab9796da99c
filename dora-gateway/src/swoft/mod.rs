//! Swoft RPC, 1.x and 2.x: JSON between two ends of a frame.

mod asked;
pub mod channel;
mod dialect;
pub mod door;
pub mod endpoint;
mod failure;
mod frames;
mod params;
mod pool;
mod reply;
mod requested;
mod serve;
mod v1;
mod v2;

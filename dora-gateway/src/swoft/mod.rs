//! Swoft RPC, 1.x and 2.x: JSON between two ends of a frame.

mod asked;
pub mod door;
mod failure;
mod frames;
mod params;
mod serve;
mod v1;
mod v2;

//! Another try beside one that is slow.

mod latencies;
pub mod policy;
pub mod service;

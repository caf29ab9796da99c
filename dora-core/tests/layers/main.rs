//! tower's own layers, and Dora's, around real connections, on both ends, with single calls
//! and batches.

mod balance;
mod client;
mod deadlines;
mod fleet;
mod limits;
mod metrics;
mod server;
mod stack;
mod support;
mod tries;

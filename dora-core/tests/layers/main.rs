//! tower's own layers around real connections, on both ends, with single calls
//! and batches.

mod balance;
mod client;
mod deadlines;
mod fleet;
mod server;
mod support;
mod tries;

//! The server's end: a listener, its connections, and the calls that run on them.

pub mod accept;
pub(crate) mod advertise;
mod answer;
mod batches;
pub mod bind;
pub mod config;
mod connection;
pub mod connections;
pub mod control;
pub mod cost;
mod diagnose;
mod dispatch;
pub mod door;
pub mod incoming;
mod known;
mod ledger;
mod listener;
mod log;
pub(crate) mod observers;
mod packet;
mod parked;
mod running;
mod session;
mod shared;
mod shutdown;
pub mod signal;
pub mod stats;
mod tasks;
#[cfg(feature = "tls")]
pub mod tls;
mod turn;
#[cfg(unix)]
mod unix;
pub mod upgrade;
mod wide;

//! The server's end: a listener, its connections, and the calls that run on them.

mod answer;
pub mod bind;
pub mod config;
mod connection;
pub mod control;
mod dispatch;
pub mod listener;
mod packet;
mod parked;
mod running;
mod session;
mod shared;
mod shutdown;
pub mod signal;
pub mod stats;
mod turn;

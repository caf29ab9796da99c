//! The server's end: a listener, its connections, and the calls that run on them.

mod answer;
pub mod config;
pub mod control;
mod dispatch;
pub mod listener;
mod packet;
mod running;
mod session;
mod shutdown;
pub mod signal;
pub mod stats;

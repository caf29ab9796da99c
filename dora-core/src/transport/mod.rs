//! Sockets: connections of servers and of clients. The only folder with I/O.

mod alarm;
mod answer;
pub mod channel;
pub mod config;
pub mod control;
mod dispatch;
mod driver;
pub mod endpoint;
mod exchange;
mod inbox;
mod link;
pub mod listener;
mod multiplex;
mod outbox;
mod packet;
mod running;
mod session;
mod shutdown;
pub mod stats;

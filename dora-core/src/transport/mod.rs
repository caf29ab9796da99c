//! Sockets: connections of servers and of clients. The only folder with I/O.

pub mod client;
pub mod io;
mod log_limit;
pub mod server;

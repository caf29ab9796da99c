//! Sockets: connections of servers and of clients. The only folder with I/O.

pub mod client;
mod io;
pub mod server;

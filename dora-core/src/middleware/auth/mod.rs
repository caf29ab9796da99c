//! Who calls: found out on a server, said by a client.

mod cache;
pub mod client;
pub mod credentials;
pub mod server;
pub mod token;

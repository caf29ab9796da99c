//! Discovery through real Redis servers, which are killed, stopped and restarted.

#[path = "../shared/certificates.rs"]
mod certificates;
mod config;
mod fencing;
mod fleet;
mod junk;
mod outages;
mod php;
mod secured;
mod sentinel;
mod server;

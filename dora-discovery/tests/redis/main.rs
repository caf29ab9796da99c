//! Discovery through real Redis servers, which are killed, stopped and restarted.

mod fencing;
mod figures;
mod fleet;
mod outages;
mod php;
mod server;

//! Faults and attacks: what a peer may do to a server or a client, and what must
//! come of it. One module for each theme, over real sockets of this machine.

mod accept;
mod batches;
mod cancel;
mod cores;
mod dead_peer;
mod deadlines;
mod drain;
mod fairness;
mod far;
mod far_end;
mod floods;
mod garbage;
mod guids;
mod gzip;
mod handlers;
mod held;
mod lengths;
mod matrix;
mod names;
mod nesting;
#[path = "../over/mod.rs"]
mod over;
mod packers;
mod signature;
mod silence;
mod slow_reader;
mod support;
mod trickle;
mod wire;

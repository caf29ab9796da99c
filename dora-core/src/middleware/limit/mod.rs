//! What a server takes on: how many calls at once, how many in a time, how large.
//!
//! A call over a limit is refused at once, and not queued. What waits here would wait
//! once more than behind what is scarce (a pool of connections, a core), its caller's
//! deadline would run, and when its turn comes its caller may be gone: under overload
//! a queue is full, so that every call waits its whole length, and all of it is
//! latency. A refusal tells the caller when to come again, and a fleet's client goes
//! to another instance meanwhile.

mod by_method;
pub mod concurrency;
mod gradient;
mod limiter;
pub mod policy;
pub mod rate;
mod refused;
pub mod size;

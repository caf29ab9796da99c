//! What carries connections: how servers listen on it, and that calls are the same
//! over all of it.

mod calls;
mod listen;
#[path = "../over/mod.rs"]
mod over;

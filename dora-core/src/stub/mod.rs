//! What generated clients and servers are made of: typed calls on one side, the
//! way from a packed body to a typed handler on the other.

pub mod awaited;
pub mod batch;
pub mod call;
mod called;
pub mod caller;
mod draft;
pub mod dynamic;
pub mod future;
pub mod handlers;
pub mod in_process;
pub mod joins;
pub mod layered;
pub mod local;
pub mod mock;
pub mod pending;
pub mod results;
pub mod serve;

//! What generated clients and servers are made of: typed calls on one side, the
//! way from a packed body to a typed handler on the other.

pub mod batch;
pub mod call;
pub mod dynamic;
pub mod pending;
pub mod serve;

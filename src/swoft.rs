//! Swoft RPC into the same server, beside Dora's own wire.

pub use dora_gateway::swoft::door::Swoft;

//! Swoft RPC: served beside Dora's own wire, and called.

pub use dora_gateway::swoft::channel::SwoftChannel;
pub use dora_gateway::swoft::door::Swoft;
pub use dora_gateway::swoft::endpoint::SwoftEndpoint;

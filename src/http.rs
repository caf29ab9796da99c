//! HTTP into the same server, beside Dora's own wire.

pub use dora_gateway::http::forms::Forms;
pub use dora_gateway::http::packet::WrittenGuid;

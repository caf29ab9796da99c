//! HTTP with JSON or protobuf into the same server, as Connect has it.

pub use dora_gateway::connect::door::Connect;
pub use dora_gateway::connect::rules::RuleError;
pub use dora_gateway::connect::schema::SchemaError;

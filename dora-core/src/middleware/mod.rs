//! Layers and services between the transport and the handlers. Each file has
//! the same order: layer, service, future, tests.

pub mod balance;
pub mod breaker;
pub mod catch_panic;
pub mod deadline;
pub mod fallback;
pub mod intercept;
pub mod resolve;
pub mod retry;
pub mod route;
pub mod serves;
mod sifted;
pub mod stack;
pub mod trace;
pub mod when;

//! Layers and services between the transport and the handlers. A layer's file has
//! the same order everywhere: layer, service, future, tests. What has parts of its
//! own (`auth`, `balance`, `breaker`, `hedge`, `limit`, `metrics`, `retry`, `signature`) is a folder.

pub mod auth;
pub mod balance;
pub mod breaker;
pub mod catch_panic;
pub mod checked;
pub mod deadline;
mod direct;
pub mod fallback;
pub mod hedge;
pub mod intercept;
pub mod limit;
#[cfg(feature = "metrics")]
pub mod metrics;
pub mod resolve;
pub mod retry;
pub mod route;
pub mod serves;
mod sifted;
#[cfg(feature = "hmac")]
pub mod signature;
pub mod stack;
pub mod trace;
pub mod trace_context;
pub mod when;

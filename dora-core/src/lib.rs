//! The core of Dora: calls, the wire, the packers, the transport and the
//! middleware. Applications use it through the `dora-rpc` package.

#![warn(unreachable_pub)]

pub mod call;
pub mod carry;
mod client;
pub mod codegen;
pub mod discovery;
pub mod generation;
pub mod guid;
pub mod middleware;
pub mod pack;
pub mod server;
pub mod stub;
mod sync;
pub mod transport;
pub mod wire;

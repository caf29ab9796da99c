//! The core of Dora: calls, the wire, the packers, the transport and the
//! middleware. Applications use it through the `dora-rpc` package.

pub mod call;
pub mod guid;
pub mod pack;
pub mod wire;

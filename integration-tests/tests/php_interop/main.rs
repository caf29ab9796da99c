//! Real PHP on one end, Dora on the other: PHP clients call Rust servers, Rust
//! clients call PHP servers.

mod bare;
mod example;
mod limits;
mod packets;
mod packings;
mod php_calls_legacy;
mod php_calls_typed;
mod refusals;
mod restarts;
mod rust_calls_php;
mod salts;
mod server;
mod trouble;

/// What `proto/reference.proto` declares.
mod reference {
    dora::include_proto!("interop.v1");
}

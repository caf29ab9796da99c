//! The protocols of Dora itself as generated types, for tools that look into a
//! wire. `dora` does not use them to call or to serve: it writes and reads these
//! bytes by hand, and is held to the schema by a test.

/// `proto/dora/wire/v1/packet.proto`: the envelope of protobuf bodies.
pub mod wire {
    #![allow(missing_docs, reason = "the schema has the docs; fields that need none have none")]

    crate::include_proto!("dora.wire.v1");
}

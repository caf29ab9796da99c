//! The message that every peer echoes.

/// What `build.rs` made of `proto/echo.proto`: the message, and tonic's client and server.
#[allow(missing_docs, clippy::all, reason = "generated, and not by us")]
pub(crate) mod generated {
    include!(concat!(env!("OUT_DIR"), "/bench.v1.rs"));
}

use bytes::Bytes;

pub(crate) use generated::EchoMessage;

/// A message whose payload has `payload` bytes.
pub(crate) fn sample(payload: usize) -> EchoMessage {
    EchoMessage {
        text: "the quick brown fox jumps over i".to_owned(),
        number: 1_234_567_890_123,
        first: "orders".to_owned(),
        second: "eu-west".to_owned(),
        third: "a7".to_owned(),
        payload: Bytes::from(vec![0x5a; payload]),
    }
}

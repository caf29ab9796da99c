//! The envelope of `proto/dora/wire/v1/packet.proto`, by hand: parameters and
//! results are slices of the frame when reading, and are packed straight into
//! the connection's buffer when writing.

mod fields;
mod request;
mod response;

pub(super) use self::request::{decode_request, encode_request, encode_single, plain_request};
pub(super) use self::response::{decode_response, encode_response, encode_success, plain_result};

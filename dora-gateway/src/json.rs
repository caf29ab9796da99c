//! JSON, as far as all doors that speak it have it in common.

use dora_core::call::body::Body;
use dora_core::call::packed::PackMessage;
use dora_core::call::packer::Packer;
use dora_core::call::status::Status;
use dora_core::pack::message::open;
use dora_core::pack::value::Value;

/// Appends the JSON of a body; on error, nothing.
///
/// # Errors
/// `Code::Internal`: it is not to be had as JSON, as bytes that are not UTF-8.
pub(crate) fn put_body(body: Body, out: &mut Vec<u8>) -> Result<(), Status> {
    let start = out.len();
    let packed = match body {
        Body::Message(message) => message.pack(Packer::Json, out),
        Body::Packed(packed) if packed.packer == Packer::Json => {
            out.extend_from_slice(&packed.bytes);
            Ok(())
        }
        other => open::<Value>(other)?.pack(Packer::Json, out),
    };
    packed.map_err(|error| {
        out.truncate(start);
        Status::internal(format!("the result is not to be had as JSON: {}", error.reason)).with_source(error)
    })
}

/// Appends a value that came as JSON.
pub(crate) fn put_value(value: &Value, out: &mut Vec<u8>) {
    let start = out.len();
    if value.pack(Packer::Json, out).is_err() {
        out.truncate(start);
        out.extend_from_slice(b"null");
    }
}

/// Appends a string.
pub(crate) fn put_str(text: &str, out: &mut Vec<u8>) {
    // Writing a string into memory cannot fail.
    serde_json::to_writer(out, text).unwrap_or(());
}

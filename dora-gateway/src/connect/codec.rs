//! Canonical proto3 JSON, from the descriptors, and protobuf.

use bytes::Bytes;
use dora_core::call::status::Status;
use dora_core::pack::envelope::check_json;
use dora_core::pack::limits::Limits;
use prost_reflect::prost::Message as _;
use prost_reflect::{
    DeserializeOptions, DynamicMessage, FieldDescriptor, MessageDescriptor, SerializeOptions,
};
use serde_json::Deserializer;

/// As Connect's own servers: what a newer client says that this server does not know is
/// passed, as it is in all other packings.
const READING: DeserializeOptions = DeserializeOptions::new().deny_unknown_fields(false);
/// Names in lowerCamelCase, int64 as strings, enums by name, no defaults.
const WRITING: SerializeOptions = SerializeOptions::new();

/// A message from the JSON of a caller, held to the limits before anything is made of it: a
/// value of two bytes can be a message of a hundred.
///
/// # Errors
/// `Code::InvalidArgument`: it is over a limit; and as [`from_json`].
pub(super) fn read_json(
    json: &[u8],
    message: &MessageDescriptor,
    limits: &Limits,
) -> Result<DynamicMessage, Status> {
    let over = |why| Status::invalid_argument(format!("{} in JSON: {why}", message.full_name()));
    check_json(json, limits).map_err(over)?;
    from_json(json, message)
}

/// A message from its JSON.
///
/// # Errors
/// `Code::InvalidArgument`, that names the field, line and column.
pub(super) fn from_json(json: &[u8], message: &MessageDescriptor) -> Result<DynamicMessage, Status> {
    let mut reader = Deserializer::from_slice(json);
    let read = DynamicMessage::deserialize_with_options(message.clone(), &mut reader, &READING);
    let read = read.and_then(|read| reader.end().map(|()| read));
    // Whoever is wrong is told where: by a second walk, for which others do not pay.
    read.map_err(|error| Status::invalid_argument(told(json, message, &error)).with_source(error))
}

fn told(json: &[u8], message: &MessageDescriptor, error: &serde_json::Error) -> String {
    let name = message.full_name();
    if let Err(error) = str::from_utf8(json) {
        return format!("the body is not UTF-8 from byte {} on", error.valid_up_to());
    }
    if !error.is_data() {
        return format!("the body is not JSON: {error}");
    }
    let mut track = serde_path_to_error::Track::new();
    let mut reader = Deserializer::from_slice(json);
    let reader = serde_path_to_error::Deserializer::new(&mut reader, &mut track);
    let read = DynamicMessage::deserialize_with_options(message.clone(), reader, &READING);
    let path = track.path().to_string();
    match read.is_err() && path != "." {
        true => format!("{name} in JSON: {path}: {error}"),
        false => format!("{name} in JSON: {error}"),
    }
}

/// The JSON of a message that came as protobuf.
///
/// # Errors
/// `Code::Internal`: what the service gave is no such message, or has no JSON, as a
/// `Timestamp` after the year 9999.
pub(super) fn to_json(protobuf: Bytes, message: &MessageDescriptor) -> Result<Vec<u8>, Status> {
    let name = message.full_name();
    let read = DynamicMessage::decode(message.clone(), protobuf);
    let read = read.map_err(|error| Status::internal(format!("the result is no {name}: {error}")))?;
    let mut out = Vec::with_capacity(128);
    let written = read.serialize_with_options(&mut serde_json::Serializer::new(&mut out), &WRITING);
    written
        .map_err(|error| Status::internal(format!("the result has no JSON: {error}")).with_source(error))?;
    Ok(out)
}

/// The bytes of a message.
pub(super) fn to_protobuf(message: &DynamicMessage) -> Bytes {
    message.encode_to_vec().into()
}

/// The JSON of one field of a message that came as protobuf: where it is not set, of
/// its default.
///
/// # Errors
/// As [`to_json`].
pub(super) fn field_to_json(
    protobuf: Bytes,
    message: &MessageDescriptor,
    field: &FieldDescriptor,
) -> Result<Vec<u8>, Status> {
    let name = message.full_name();
    let read = DynamicMessage::decode(message.clone(), protobuf);
    let read = read.map_err(|error| Status::internal(format!("the result is no {name}: {error}")))?;
    // A message of that field alone, so that its defaults are written and no others'.
    let is_set = read.has_field(field);
    let mut alone = DynamicMessage::new(message.clone());
    if is_set {
        alone.set_field(field, read.get_field(field).into_owned());
    }
    let options = WRITING.skip_default_fields(is_set);
    let json = alone.serialize_with_options(serde_json::value::Serializer, &options);
    let json = json
        .map_err(|error| Status::internal(format!("the result has no JSON: {error}")).with_source(error))?;
    let json = json.get(field.json_name()).unwrap_or(&serde_json::Value::Null);
    serde_json::to_vec(json).map_err(|error| Status::internal(error.to_string()).with_source(error))
}

//! Fields of a message that are written as text, in a path or a query.

use base64::Engine as _;
use dora_core::call::status::Status;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage as _, Value};

use super::query::{URL_SAFE, pairs};

/// A field, and the messages that it stands in: `author.name`.
#[derive(Clone, Debug)]
pub(super) struct Field {
    within: Vec<FieldDescriptor>,
    last: FieldDescriptor,
}

/// The field at `path`, its parts as declared or in lowerCamelCase.
pub(super) fn field(message: &MessageDescriptor, path: &str) -> Option<Field> {
    let (mut message, mut within) = (message.clone(), Vec::new());
    let mut names = path.split('.').peekable();
    loop {
        let name = names.next()?;
        let field = message.get_field_by_name(name).or_else(|| message.get_field_by_json_name(name))?;
        if names.peek().is_none() {
            return Some(Field { within, last: field });
        }
        match field.kind() {
            Kind::Message(inner) if !field.is_list() && !field.is_map() => message = inner,
            _ => return None,
        }
        within.push(field);
    }
}

/// The messages of Google's that JSON writes as a string, or can be read from one.
const TEXTS: [&str; 12] = [
    "Timestamp",
    "Duration",
    "FieldMask",
    "StringValue",
    "BytesValue",
    "BoolValue",
    "Int32Value",
    "Int64Value",
    "UInt32Value",
    "UInt64Value",
    "FloatValue",
    "DoubleValue",
];

fn known(message: &MessageDescriptor) -> Option<&str> {
    message.full_name().strip_prefix("google.protobuf.").filter(|name| TEXTS.contains(name))
}

impl Field {
    /// Whether a text can be one of its values.
    pub(super) fn is_text(&self) -> bool {
        let is_text = match self.last.kind() {
            Kind::Message(message) => known(&message).is_some(),
            _ => true,
        };
        is_text && !self.last.is_map()
    }

    pub(super) fn is_list(&self) -> bool {
        self.last.is_list()
    }

    pub(super) const fn descriptor(&self) -> &FieldDescriptor {
        &self.last
    }

    /// Sets the field to what `text` says, or adds that to the list that it is.
    ///
    /// # Errors
    /// `Code::InvalidArgument`: the text is no such value; it names the field.
    pub(super) fn set(&self, message: &mut DynamicMessage, text: &str) -> Result<(), Status> {
        let value = value(&self.last.kind(), text).map_err(|why| {
            let name = self.last.full_name();
            Status::invalid_argument(format!("{name} cannot be {text:?}: {why}"))
        })?;
        let mut message = message;
        for field in &self.within {
            let inner = message.get_field_mut(field).as_message_mut();
            message = inner.ok_or_else(|| Status::internal("a field on a path is no message"))?;
        }
        if self.last.is_list() {
            if let Some(list) = message.get_field_mut(&self.last).as_list_mut() {
                list.push(value);
            }
            return Ok(());
        }
        message
            .try_set_field(&self.last, value)
            .map_err(|error| Status::internal(error.to_string()).with_source(error))
    }
}

fn value(kind: &Kind, text: &str) -> Result<Value, String> {
    fn number<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, String> {
        text.parse().map_err(|error: T::Err| error.to_string())
    }
    Ok(match kind {
        Kind::String => Value::String(text.to_owned()),
        Kind::Bool => Value::Bool(number(text)?),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(number(text)?),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(number(text)?),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(number(text)?),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(number(text)?),
        Kind::Float => Value::F32(number(text)?),
        Kind::Double => Value::F64(number(text)?),
        Kind::Bytes => {
            let standard = text.replace('+', "-").replace('/', "_");
            Value::Bytes(URL_SAFE.decode(standard).map_err(|error| error.to_string())?.into())
        }
        Kind::Enum(names) => match names.get_value_by_name(text) {
            Some(value) => Value::EnumNumber(value.number()),
            None => Value::EnumNumber(
                number(text).map_err(|_| format!("{} has no such value", names.full_name()))?,
            ),
        },
        Kind::Message(message) => {
            let json = match known(message) {
                Some("BoolValue") => serde_json::Value::Bool(number(text)?),
                Some(_) => serde_json::Value::String(text.to_owned()),
                None => return Err(format!("{} is a message", message.full_name())),
            };
            Value::Message(
                DynamicMessage::deserialize(message.clone(), json).map_err(|error| error.to_string())?,
            )
        }
    })
}

/// Sets the fields that a query has; names that the message has not are passed, as they
/// are in JSON.
///
/// # Errors
/// `Code::InvalidArgument`: a value is not UTF-8, or not one of its field's.
pub(super) fn read_query(message: &mut DynamicMessage, query: &str) -> Result<(), Status> {
    for (name, text) in pairs(query) {
        let known = str::from_utf8(&name).ok().and_then(|name| field(&message.descriptor(), name));
        let Some(field) = known else { continue };
        let not_utf8 =
            |_| Status::invalid_argument(format!("{} in the query is not UTF-8", field.last.full_name()));
        field.set(message, str::from_utf8(&text).map_err(not_utf8)?)?;
    }
    Ok(())
}

//! Messages and enums as JSON Schema.

use std::collections::BTreeMap;

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::comments::{described, text};

/// The name of an error's schema: no message of a `.proto` can have it.
const ERROR: &str = "connect-error";

/// The schemas that others refer to.
#[derive(Default)]
pub(super) struct Components(BTreeMap<String, Value>);

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

impl Components {
    pub(super) fn into_schemas(self) -> Map<String, Value> {
        self.0.into_iter().collect()
    }

    /// A message, and all that is in it.
    pub(super) fn message(&mut self, message: &MessageDescriptor) -> Value {
        let name = message.full_name();
        if let Some(known) = name.strip_prefix("google.protobuf.").and_then(known) {
            return known;
        }
        if !self.0.contains_key(name) {
            // Messages may be within themselves.
            self.0.insert(name.to_owned(), Value::Null);
            let properties = message.fields().map(|field| {
                let schema = self.field(&field);
                let comment = text(&message.parent_file(), field.path());
                (field.json_name().to_owned(), described(schema, comment))
            });
            let properties: Map<String, Value> = properties.collect();
            let schema = json!({ "type": "object", "properties": properties });
            self.0.insert(name.to_owned(), described(schema, text(&message.parent_file(), message.path())));
        }
        reference(name)
    }

    /// What a field holds.
    pub(super) fn field(&mut self, field: &FieldDescriptor) -> Value {
        match field.kind() {
            Kind::Message(entry) if field.is_map() => {
                let value = self.kind(&entry.map_entry_value_field().kind());
                json!({ "type": "object", "additionalProperties": value })
            }
            kind if field.is_list() => json!({ "type": "array", "items": self.kind(&kind) }),
            kind => self.kind(&kind),
        }
    }

    fn kind(&mut self, kind: &Kind) -> Value {
        match kind {
            Kind::Message(message) => self.message(message),
            Kind::Enum(names) => self.enumeration(names),
            Kind::String => json!({ "type": "string" }),
            Kind::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
            Kind::Bool => json!({ "type": "boolean" }),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => json!({ "type": "integer", "format": "int32" }),
            Kind::Uint32 | Kind::Fixed32 => json!({ "type": "integer", "format": "uint32", "minimum": 0 }),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => json!({ "type": "string", "format": "int64" }),
            Kind::Uint64 | Kind::Fixed64 => json!({ "type": "string", "format": "uint64" }),
            Kind::Float => float("float"),
            Kind::Double => float("double"),
        }
    }

    fn enumeration(&mut self, names: &EnumDescriptor) -> Value {
        if names.full_name() == "google.protobuf.NullValue" {
            return json!({ "type": "null" });
        }
        let values: Vec<String> = names.values().map(|value| value.name().to_owned()).collect();
        let schema = json!({ "type": "string", "enum": values });
        let comment = text(&names.parent_file(), names.path());
        self.0.entry(names.full_name().to_owned()).or_insert_with(|| described(schema, comment));
        reference(names.full_name())
    }

    /// What is answered when a call fails.
    pub(super) fn error(&mut self) -> Value {
        self.0.entry(ERROR.to_owned()).or_insert_with(|| {
            let detail = json!({
                "type": "object",
                "properties": { "type": { "type": "string" }, "value": { "type": "string" } },
            });
            json!({
                "type": "object",
                "required": ["code"],
                "properties": {
                    "code": { "type": "string", "examples": ["not_found"] },
                    "message": { "type": "string" },
                    "details": { "type": "array", "items": detail },
                    "doraCode": {
                        "type": "integer",
                        "description": "The service's own code, where it has one.",
                    },
                },
            })
        });
        let content = json!({ "application/json": { "schema": reference(ERROR) } });
        json!({ "description": "The call failed.", "content": content })
    }
}

fn float(format: &str) -> Value {
    json!({ "oneOf": [
        { "type": "number", "format": format },
        { "type": "string", "enum": ["NaN", "Infinity", "-Infinity"] },
    ] })
}

/// The messages of Google's that JSON writes in a form of their own.
fn known(name: &str) -> Option<Value> {
    let nullable = |kind: &str, format: &str| json!({ "type": [kind, "null"], "format": format });
    Some(match name {
        "Timestamp" => json!({ "type": "string", "format": "date-time" }),
        "Duration" => json!({ "type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$" }),
        "FieldMask" => json!({ "type": "string" }),
        "Empty" => json!({ "type": "object" }),
        "Struct" => json!({ "type": "object", "additionalProperties": true }),
        "Value" => json!({}),
        "ListValue" => json!({ "type": "array", "items": {} }),
        "Any" => json!({
            "type": "object",
            "properties": { "@type": { "type": "string" } },
            "required": ["@type"],
            "additionalProperties": true,
        }),
        "BoolValue" => json!({ "type": ["boolean", "null"] }),
        "StringValue" => json!({ "type": ["string", "null"] }),
        "BytesValue" => json!({ "type": ["string", "null"], "contentEncoding": "base64" }),
        "Int32Value" => nullable("integer", "int32"),
        "UInt32Value" => nullable("integer", "uint32"),
        "Int64Value" => nullable("string", "int64"),
        "UInt64Value" => nullable("string", "uint64"),
        "FloatValue" => nullable("number", "float"),
        "DoubleValue" => nullable("number", "double"),
        _ => return None,
    })
}

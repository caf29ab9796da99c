//! Google's well-known types.
//!
//! The wrappers, such as `google.protobuf.Int32Value`, are plain Rust values
//! in prost, and so they are here.

mod field_mask;
mod structs;
mod time;

use prost_types::{Any, NullValue};

use super::{Enumeration, Fields, ReadField, WriteFields};

/// `google.protobuf.Empty`.
impl Fields for () {
    const NAME: &'static str = "google.protobuf.Empty";

    fn write<W: WriteFields>(&self, _: &mut W) -> Result<(), W::Error> {
        Ok(())
    }

    fn read<V: ReadField>(&mut self, _: &str, value: V) -> Result<(), V::Error> {
        value.skip()
    }
}

impl Fields for Any {
    const NAME: &'static str = "google.protobuf.Any";

    fn write<W: WriteFields>(&self, fields: &mut W) -> Result<(), W::Error> {
        fields.field("type_url", &self.type_url)?;
        fields.field("value", &self.value)?;
        Ok(())
    }

    fn read<V: ReadField>(&mut self, name: &str, value: V) -> Result<(), V::Error> {
        match name {
            "type_url" => value.read(&mut self.type_url),
            "value" => value.read(&mut self.value),
            _ => value.skip(),
        }
    }
}

impl Enumeration for NullValue {
    const NAME: &'static str = "google.protobuf.NullValue";

    fn number(name: &str) -> Option<i32> {
        Self::from_str_name(name).map(i32::from)
    }
}

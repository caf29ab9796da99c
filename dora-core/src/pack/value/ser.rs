//! Typed data to values.

use serde::ser::{self, Error as _, Serialize};

use super::{Array, Key, Value, ValueError};
use crate::pack::php::raw_object::{OBJECT, parse};

type Result<T> = std::result::Result<T, ValueError>;

impl Value {
    /// The value that `data` serializes to.
    ///
    /// Structs, maps and enums with data become arrays with keys, sequences
    /// lists, `None` and `()` null, unit variants their name, and integers over
    /// 64 bits their decimal string.
    ///
    /// # Errors
    ///
    /// When `data` has a map whose keys are no strings, integers or booleans,
    /// or refuses by itself.
    pub fn from_serialize<T: Serialize + ?Sized>(data: &T) -> Result<Self> {
        data.serialize(ValueSerializer)
    }
}

struct ValueSerializer;

macro_rules! integers {
    ($($method:ident: $int:ty),*) => {$(
        fn $method(self, value: $int) -> Result<Value> {
            Ok(match i64::try_from(value) {
                Ok(value) => value.into(),
                Err(_) => value.to_string().into(),
            })
        }
    )*};
}

impl ser::Serializer for ValueSerializer {
    type Ok = Value;
    type Error = ValueError;
    type SerializeSeq = Building;
    type SerializeTuple = Building;
    type SerializeTupleStruct = Building;
    type SerializeTupleVariant = Building;
    type SerializeMap = Building;
    type SerializeStruct = Building;
    type SerializeStructVariant = Building;

    integers! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_i128: i128, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32,
        serialize_u64: u64, serialize_u128: u128
    }

    fn serialize_bool(self, value: bool) -> Result<Value> {
        Ok(value.into())
    }

    fn serialize_f32(self, value: f32) -> Result<Value> {
        Ok(value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<Value> {
        Ok(value.into())
    }

    fn serialize_char(self, value: char) -> Result<Value> {
        Ok(value.to_string().into())
    }

    fn serialize_str(self, value: &str) -> Result<Value> {
        Ok(value.into())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<Value> {
        Ok(value.into())
    }

    fn serialize_none(self) -> Result<Value> {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Value> {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Value> {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<Value> {
        Ok(variant.into())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<Value> {
        let value = value.serialize(self)?;
        let object = if name == OBJECT { value.as_bytes().and_then(parse) } else { None };
        Ok(object.map_or(value, Value::Object))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value> {
        Ok(tagged(variant, value.serialize(self)?))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Building> {
        Ok(Building::default())
    }

    fn serialize_tuple(self, _: usize) -> Result<Building> {
        Ok(Building::default())
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Building> {
        Ok(Building::default())
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Building> {
        Ok(Building { variant: Some(variant), ..Building::default() })
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Building> {
        Ok(Building::default())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Building> {
        Ok(Building::default())
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Building> {
        self.serialize_tuple_variant(name, index, variant, length)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// An array that is being built.
#[derive(Default)]
struct Building {
    array: Array,
    key: Option<Key>,
    variant: Option<&'static str>,
}

impl Building {
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.array.push(value.serialize(ValueSerializer)?);
        Ok(())
    }

    fn field<T: Serialize + ?Sized>(&mut self, key: impl Into<Key>, value: &T) -> Result<()> {
        self.array.insert(key, value.serialize(ValueSerializer)?);
        Ok(())
    }

    fn finish(self) -> Result<Value> {
        Ok(match self.variant {
            Some(variant) => tagged(variant, self.array.into()),
            None => self.array.into(),
        })
    }
}

fn tagged(variant: &'static str, value: Value) -> Value {
    Value::Array([(variant, value)].into_iter().collect())
}

macro_rules! building {
    ($($name:ident: $method:ident($($key:ident: $key_type:ty)?) via $via:ident),*) => {$(
        impl ser::$name for Building {
            type Ok = Value;
            type Error = ValueError;

            fn $method<T: Serialize + ?Sized>(
                &mut self,
                $($key: $key_type,)?
                value: &T,
            ) -> Result<()> {
                self.$via($($key,)? value)
            }

            fn end(self) -> Result<Value> {
                self.finish()
            }
        }
    )*};
}

building!(
    SerializeSeq: serialize_element() via item,
    SerializeTuple: serialize_element() via item,
    SerializeTupleStruct: serialize_field() via item,
    SerializeTupleVariant: serialize_field() via item,
    SerializeStruct: serialize_field(key: &'static str) via field,
    SerializeStructVariant: serialize_field(key: &'static str) via field
);

impl ser::SerializeMap for Building {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        self.key = Some(match key.serialize(ValueSerializer)? {
            Value::Int(int) => Key::Int(int),
            Value::Bool(bool) => Key::Int(bool.into()),
            Value::Str(string) => Key::from(string),
            other => {
                return Err(ValueError::new(format!("array key of type {}", other.type_name())));
            }
        });
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        let key = self.key.take();
        self.field(key.ok_or_else(|| ValueError::custom("value without a key"))?, value)
    }

    fn end(self) -> Result<Value> {
        self.finish()
    }
}

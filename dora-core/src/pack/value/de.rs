//! Values to typed data.

use serde::de::{self, DeserializeOwned, Error as _, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::{Array, Object, PhpString, Value, ValueError};
use crate::pack::limits::Limits;
use crate::pack::php::raw_object::{OBJECT, RawObject};

type Result<T> = std::result::Result<T, ValueError>;

mod key;
mod pairs;

pub(in crate::pack) use key::{KeyDeserializer, UnitVariant, integer};
use pairs::Pairs;

impl Value {
    /// Reads this value as a `T`, as [`from_slice`] reads bytes.
    ///
    /// [`from_slice`]: crate::pack::php::from_slice
    ///
    /// # Errors
    ///
    /// When `T` does not fit, or the value nests deeper than
    /// [`Limits::MAX_DEPTH`].
    pub fn to<T: DeserializeOwned>(&self) -> Result<T> {
        T::deserialize(self.into_deserializer())
    }
}

/// Deserializes from a [`Value`], and borrows its strings.
#[derive(Clone, Copy, Debug)]
pub struct ValueDeserializer<'de> {
    value: &'de Value,
    /// How many levels it may still nest.
    depth: usize,
}

impl<'de> IntoDeserializer<'de, ValueError> for &'de Value {
    type Deserializer = ValueDeserializer<'de>;

    fn into_deserializer(self) -> ValueDeserializer<'de> {
        ValueDeserializer { value: self, depth: Limits::MAX_DEPTH }
    }
}

impl<'de> ValueDeserializer<'de> {
    fn deeper(self) -> Result<usize> {
        self.depth.checked_sub(1).ok_or_else(|| ValueError::new("nested too deeply"))
    }

    fn visit_list<V: Visitor<'de>>(self, array: &'de Array, visitor: V) -> Result<V::Value> {
        let mut pairs = Pairs::of_array(array, self.deeper()?);
        let value = visitor.visit_seq(&mut pairs)?;
        pairs.finish(array.len(), value)
    }

    fn visit_map<V: Visitor<'de>>(self, array: &'de Array, visitor: V) -> Result<V::Value> {
        let mut pairs = Pairs::of_array(array, self.deeper()?);
        let value = visitor.visit_map(&mut pairs)?;
        pairs.finish(array.len(), value)
    }

    /// An object is the map of its properties, by their plain names; the case of
    /// an enum its name.
    fn visit_object<V: Visitor<'de>>(self, object: &'de Object, visitor: V) -> Result<V::Value> {
        if let Some(case) = object.case() {
            return visit_string(case, visitor);
        }
        if object.payload().is_some() {
            let class = object.class().escape_ascii();
            return Err(ValueError::custom(format_args!("an object that only its class, {class}, can read")));
        }
        let mut pairs = Pairs::of_object(object, self.deeper()?);
        let length = pairs.len();
        let value = visitor.visit_map(&mut pairs)?;
        pairs.finish(length, value)
    }
}

fn visit_string<'de, V: Visitor<'de>>(string: &'de PhpString, visitor: V) -> Result<V::Value> {
    match string.as_str() {
        Some(text) => visitor.visit_borrowed_str(text),
        None => visitor.visit_borrowed_bytes(string),
    }
}

macro_rules! integers {
    ($($method:ident: $int:ty => $visit:ident),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            match self.value.as_bytes().and_then(integer::<$int>) {
                Some(int) => visitor.$visit(int),
                None => self.deserialize_any(visitor),
            }
        }
    )*};
}

macro_rules! lists {
    ($($method:ident($($argument:ty),*)),*) => {$(
        fn $method<V: Visitor<'de>>(self, $(_: $argument,)* visitor: V) -> Result<V::Value> {
            match self.value {
                Value::Array(array) => self.visit_list(array, visitor),
                Value::Object(object) => match object.properties() {
                    Some(properties) => self.visit_list(properties, visitor),
                    None => self.deserialize_any(visitor),
                },
                _ => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> de::Deserializer<'de> for ValueDeserializer<'de> {
    type Error = ValueError;

    integers! {
        deserialize_u64: u64 => visit_u64,
        deserialize_i128: i128 => visit_i128,
        deserialize_u128: u128 => visit_u128
    }

    lists! {
        deserialize_seq(),
        deserialize_tuple(usize),
        deserialize_tuple_struct(&'static str, usize)
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Int(value) => visitor.visit_i64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Str(string) => visit_string(string, visitor),
            Value::Array(array) if array.is_list() => self.visit_list(array, visitor),
            Value::Array(array) => self.visit_map(array, visitor),
            Value::Object(object) => self.visit_object(object, visitor),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.value {
            Value::Str(string) => visitor.visit_borrowed_bytes(string),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value> {
        match self.value {
            Value::Object(object) if name == OBJECT => visitor.visit_enum(RawObject::of(object)),
            _ if name == OBJECT => self.deserialize_any(visitor),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.value {
            Value::Array(array) => self.visit_map(array, visitor),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self.value {
            Value::Str(name) => visitor.visit_enum(UnitVariant::new(name.as_bytes())),
            Value::Array(array) => Pairs::of_array(array, self.deeper()?).visit_variant(visitor),
            Value::Object(object) => match object.case() {
                Some(case) => visitor.visit_enum(UnitVariant::new(case.as_bytes())),
                None => Pairs::of_object(object, self.deeper()?).visit_variant(visitor),
            },
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_unit()
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 f32 f64 char str string unit unit_struct
        identifier
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Debug;

    use serde::de::DeserializeOwned;
    use serde::{Deserialize, Serialize};

    use crate::pack::value::Value;
    use crate::value;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Shape {
        Unit,
        New(Option<i32>),
        Tuple(i32, String),
        Struct { x: f64, rest: Vec<Shape> },
    }

    fn round<T: Serialize + DeserializeOwned + PartialEq + Debug>(data: T) {
        let value = Value::from_serialize(&data).unwrap();
        assert_eq!(value.to::<T>().unwrap(), data, "{value:?}");
    }

    #[test]
    fn typed_data_comes_back() {
        round(Shape::Unit);
        round(Shape::New(None));
        round(Shape::Tuple(1, "x".into()));
        round(vec![Shape::Struct { x: 0.5, rest: vec![Shape::Unit, Shape::New(Some(2))] }]);
        round((u64::MAX, i128::MIN, u128::MAX, 'c', true, ()));
        round(BTreeMap::from([(1_u64, "a".to_owned()), (u64::MAX, "b".to_owned())]));
        round(BTreeMap::from([("5".to_owned(), 1), ("x".to_owned(), 2)]));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(value!({ "x" => 1 }).to::<Vec<i32>>().is_err());
        assert!(value!([1, 2, 3]).to::<(i32, i32)>().is_err());
        assert!(value!([]).to::<BTreeMap<String, i32>>().is_ok());
        let mut deep = Value::Null;
        for _ in 0..513 {
            deep = vec![deep].into();
        }
        let error = deep.to::<Value>().unwrap_err();
        assert_eq!(error.to_string(), "nested too deeply");
    }
}

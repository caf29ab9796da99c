//! Values to typed data.

use serde::de::{
    self, Deserialize, DeserializeOwned, DeserializeSeed, Error as _, IntoDeserializer, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;

use super::iter::Iter;
use super::{Array, KeyRef, Value, ValueError};
use crate::pack::limits::Limits;

type Result<T> = std::result::Result<T, ValueError>;

mod key;

pub(in crate::pack) use key::{KeyDeserializer, UnitVariant, integer};

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
    fn within(self, array: &'de Array) -> Result<Pairs<'de>> {
        let depth = self.depth.checked_sub(1);
        Ok(Pairs {
            pairs: array.iter(),
            value: None,
            next: 0,
            depth: depth.ok_or_else(|| ValueError::new("nested too deeply"))?,
        })
    }

    fn visit_list<V: Visitor<'de>>(self, array: &'de Array, visitor: V) -> Result<V::Value> {
        let mut pairs = self.within(array)?;
        let value = visitor.visit_seq(&mut pairs)?;
        pairs.finish(array, value)
    }

    fn visit_map<V: Visitor<'de>>(self, array: &'de Array, visitor: V) -> Result<V::Value> {
        let mut pairs = self.within(array)?;
        let value = visitor.visit_map(&mut pairs)?;
        pairs.finish(array, value)
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
            Value::Str(string) => match string.as_str() {
                Some(text) => visitor.visit_borrowed_str(text),
                None => visitor.visit_borrowed_bytes(string),
            },
            Value::Array(array) if array.is_list() => self.visit_list(array, visitor),
            Value::Array(array) => self.visit_map(array, visitor),
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

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
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
            Value::Array(array) if array.len() == 1 => visitor.visit_enum(self.within(array)?),
            Value::Array(array) => Err(ValueError::invalid_length(array.len(), &"one variant")),
            _ => self.deserialize_any(visitor),
        }
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 f32 f64 char str string unit unit_struct
        identifier ignored_any
    }
}

/// The pairs of an array, in whatever way they are asked for.
pub(in crate::pack) struct Pairs<'de> {
    pairs: Iter<'de>,
    value: Option<&'de Value>,
    next: i64,
    depth: usize,
}

impl<'de> Pairs<'de> {
    fn nested(&self, value: &'de Value) -> ValueDeserializer<'de> {
        ValueDeserializer { value, depth: self.depth }
    }

    /// What is under the key that was read last.
    fn current(&mut self) -> Result<ValueDeserializer<'de>> {
        let value = self.value.take();
        value.map(|value| self.nested(value)).ok_or_else(|| ValueError::custom("value without a key"))
    }

    fn finish<T>(&self, array: &Array, value: T) -> Result<T> {
        match self.pairs.len() {
            0 => Ok(value),
            _ => Err(ValueError::invalid_length(array.len(), &"fewer elements")),
        }
    }
}

impl<'de> de::SeqAccess<'de> for Pairs<'de> {
    type Error = ValueError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        let Some((key, value)) = self.pairs.next() else {
            return Ok(None);
        };
        if key != KeyRef::Int(self.next) {
            return Err(ValueError::invalid_type(Unexpected::Map, &"a list"));
        }
        self.next = self.next.saturating_add(1);
        seed.deserialize(self.nested(value)).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.pairs.len())
    }
}

impl<'de> de::MapAccess<'de> for Pairs<'de> {
    type Error = ValueError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        let Some((key, value)) = self.pairs.next() else {
            return Ok(None);
        };
        self.value = Some(value);
        seed.deserialize(KeyDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        seed.deserialize(self.current()?)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.pairs.len())
    }
}

/// The key of the only pair names a variant, its value has the data.
impl<'de> de::EnumAccess<'de> for Pairs<'de> {
    type Error = ValueError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(mut self, seed: V) -> Result<(V::Value, Self)> {
        let name = de::MapAccess::next_key_seed(&mut self, seed)?;
        Ok((name.ok_or_else(|| ValueError::invalid_length(0, &"one variant"))?, self))
    }
}

impl<'de> de::VariantAccess<'de> for Pairs<'de> {
    type Error = ValueError;

    fn unit_variant(mut self) -> Result<()> {
        Deserialize::deserialize(self.current()?)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(mut self, seed: T) -> Result<T::Value> {
        seed.deserialize(self.current()?)
    }

    fn tuple_variant<V: Visitor<'de>>(mut self, _: usize, visitor: V) -> Result<V::Value> {
        de::Deserializer::deserialize_seq(self.current()?, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(mut self, _: &'static [&'static str], visitor: V) -> Result<V::Value> {
        de::Deserializer::deserialize_map(self.current()?, visitor)
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

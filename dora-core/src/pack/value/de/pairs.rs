//! What stands within arrays and objects.

use std::collections::hash_map::Entry;
use std::vec;

use serde::de::{self, Deserialize, DeserializeSeed, Error as _, Unexpected, Visitor};

use super::{KeyDeserializer, Result, ValueDeserializer};
use crate::pack::value::error::ValueError;
use crate::pack::value::iter::Iter;
use crate::pack::value::object::{Field, Object};
use crate::pack::value::{Array, KeyRef, Value};

/// The pairs of an array or object, in whatever way they are asked for.
pub(super) struct Pairs<'de> {
    pairs: Source<'de>,
    value: Option<&'de Value>,
    next: i64,
    depth: usize,
}

#[derive(Clone)]
enum Source<'de> {
    Array(Iter<'de>),
    /// By their plain names, each once.
    Object(vec::IntoIter<(KeyRef<'de>, &'de Value)>),
}

impl<'de> Iterator for Source<'de> {
    type Item = (KeyRef<'de>, &'de Value);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Array(pairs) => pairs.next(),
            Self::Object(pairs) => pairs.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Self::Array(pairs) => pairs.size_hint(),
            Self::Object(pairs) => pairs.size_hint(),
        }
    }
}

impl ExactSizeIterator for Source<'_> {}

impl<'de> Pairs<'de> {
    pub(super) fn of_array(array: &'de Array, depth: usize) -> Self {
        Self { pairs: Source::Array(array.iter()), value: None, next: 0, depth }
    }

    pub(super) fn of_object(object: &'de Object, depth: usize) -> Self {
        let mut fields: Vec<(KeyRef<'de>, &'de Value)> = Vec::with_capacity(object.fields().len());
        // Names are an attacker's choice: the hash is seeded.
        let mut places = foldhash::HashMap::default();
        for Field { name, value, .. } in object.fields() {
            match places.entry(name.clone()) {
                Entry::Vacant(place) => {
                    place.insert(fields.len());
                    fields.push((name, value));
                }
                Entry::Occupied(place) => {
                    if let Some((_, known)) = fields.get_mut(*place.get()) {
                        *known = value;
                    }
                }
            }
        }
        Self { pairs: Source::Object(fields.into_iter()), value: None, next: 0, depth }
    }

    pub(super) fn len(&self) -> usize {
        self.pairs.len()
    }

    /// As an enum's variant, if there is but one pair.
    pub(super) fn visit_variant<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.len() {
            1 => visitor.visit_enum(self),
            length => Err(ValueError::invalid_length(length, &"one variant")),
        }
    }

    fn nested(&self, value: &'de Value) -> ValueDeserializer<'de> {
        ValueDeserializer { value, depth: self.depth }
    }

    /// What is under the key that was read last.
    fn current(&mut self) -> Result<ValueDeserializer<'de>> {
        let value = self.value.take();
        value.map(|value| self.nested(value)).ok_or_else(|| ValueError::custom("value without a key"))
    }

    /// All `length` of them must have been taken.
    pub(super) fn finish<T>(&self, length: usize, value: T) -> Result<T> {
        match self.pairs.len() {
            0 => Ok(value),
            _ => Err(ValueError::invalid_length(length, &"fewer elements")),
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

//! What stands within arrays.

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Error as _, Unexpected, Visitor};

use super::{Deserializer, Result};
use crate::pack::php::error::PhpError;
use crate::pack::value::KeyRef;
use crate::pack::value::de::KeyDeserializer;
use crate::pack::value::object::plain;

/// No reader makes room for more than this ahead: a count is only a claim.
const MOST_AHEAD: usize = 1024;

/// The elements of a list.
pub(super) struct Elements<'a, 'de> {
    de: &'a mut Deserializer<'de>,
    left: usize,
    next: i64,
}

impl<'a, 'de> Elements<'a, 'de> {
    pub(super) fn new(de: &'a mut Deserializer<'de>, count: usize) -> Self {
        Self { de, left: count, next: 0 }
    }

    pub(super) fn left(&self) -> usize {
        self.left
    }
}

impl<'de> de::SeqAccess<'de> for Elements<'_, 'de> {
    type Error = PhpError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        let start = self.de.cursor.offset();
        if self.de.cursor.key()? != KeyRef::Int(self.next) {
            return Err(PhpError::invalid_type(Unexpected::Map, &"a list").or_at(start));
        }
        self.left = left;
        self.next = self.next.saturating_add(1);
        seed.deserialize(&mut *self.de).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left.min(MOST_AHEAD))
    }
}

/// The pairs of a map or struct, or the properties of an object.
pub(super) struct Entries<'a, 'de> {
    de: &'a mut Deserializer<'de>,
    left: usize,
    of_object: bool,
}

impl<'a, 'de> Entries<'a, 'de> {
    pub(super) fn new(de: &'a mut Deserializer<'de>, count: usize) -> Self {
        Self { de, left: count, of_object: false }
    }

    pub(super) fn of_object(de: &'a mut Deserializer<'de>, count: usize) -> Self {
        Self { de, left: count, of_object: true }
    }

    pub(super) fn left(&self) -> usize {
        self.left
    }
}

impl<'de> de::MapAccess<'de> for Entries<'_, 'de> {
    type Error = PhpError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        let start = self.de.cursor.offset();
        let mut key = self.de.cursor.key()?;
        if self.of_object {
            key = plain(key).0;
        }
        seed.deserialize(KeyDeserializer::new(key)).map(Some).map_err(|error: PhpError| error.or_at(start))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        seed.deserialize(&mut *self.de)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left.min(MOST_AHEAD))
    }
}

/// An enum variant with data: the key of an array, or object, of one pair.
pub(super) struct Variant<'a, 'de>(Entries<'a, 'de>);

impl<'a, 'de> Variant<'a, 'de> {
    pub(super) fn new(de: &'a mut Deserializer<'de>) -> Self {
        Self(Entries::new(de, 1))
    }

    pub(super) fn of_object(de: &'a mut Deserializer<'de>) -> Self {
        Self(Entries::of_object(de, 1))
    }
}

impl<'de> de::EnumAccess<'de> for Variant<'_, 'de> {
    type Error = PhpError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(mut self, seed: V) -> Result<(V::Value, Self)> {
        let name = de::MapAccess::next_key_seed(&mut self.0, seed)?;
        Ok((name.ok_or_else(|| PhpError::invalid_length(0, &"one variant"))?, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_, 'de> {
    type Error = PhpError;

    fn unit_variant(self) -> Result<()> {
        Deserialize::deserialize(self.0.de)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        seed.deserialize(self.0.de)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        de::Deserializer::deserialize_seq(self.0.de, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value> {
        de::Deserializer::deserialize_map(self.0.de, visitor)
    }
}

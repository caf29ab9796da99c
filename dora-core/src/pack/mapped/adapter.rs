//! Serde's traits for mapped values.

use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeSeed, Deserializer};
use serde::ser::{Serialize, Serializer};

use super::{Mapped, Plain, Reading};

/// Writes a [`Mapped`] value where serde wants a `Serialize`.
#[derive(Debug)]
pub struct ToSerde<'a, T, K = Plain>(&'a T, PhantomData<K>);

impl<'a, T: Mapped<K>, K> ToSerde<'a, T, K> {
    /// Writes `value`.
    pub fn new(value: &'a T) -> Self {
        Self(value, PhantomData)
    }
}

impl<T: Mapped<K>, K> Serialize for ToSerde<'_, T, K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// Reads a [`Mapped`] value where serde wants a `Deserialize`.
#[derive(Debug, Default)]
pub struct FromSerde<T>(pub T);

impl<'de, T: Mapped> Deserialize<'de> for FromSerde<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer, Reading::Lenient).map(Self)
    }
}

/// Reads a [`Mapped`] value of kind `K` where serde wants a seed.
pub(super) struct Seed<T, K>(Reading, PhantomData<(T, K)>);

impl<T: Mapped<K>, K> Seed<T, K> {
    pub(super) fn new(reading: Reading) -> Self {
        Self(reading, PhantomData)
    }
}

impl<'de, T: Mapped<K>, K> DeserializeSeed<'de> for Seed<T, K> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        T::deserialize(deserializer, self.0)
    }
}

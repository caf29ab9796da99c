//! `optional` fields and messages within messages.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserializer, Visitor};
use serde::ser::Serializer;

use super::{Mapped, Reading};

impl<T: Mapped<K>, K> Mapped<K> for Option<T> {
    fn is_absent(&self) -> bool {
        self.is_none()
    }

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Some(value) => value.serialize(serializer),
            None => serializer.serialize_unit(),
        }
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D, reading: Reading) -> Result<Self, D::Error> {
        T::deserialize_optional(deserializer, reading)
    }

    /// An option of an option: nothing is the outer one's.
    fn deserialize_optional<'de, D: Deserializer<'de>>(
        deserializer: D,
        reading: Reading,
    ) -> Result<Option<Self>, D::Error> {
        T::deserialize_optional(deserializer, reading).map(|value| value.map(Some))
    }
}

/// Reads `null` as `None`, and nothing else.
pub(super) fn read<'de, T, K, D>(deserializer: D, reading: Reading) -> Result<Option<T>, D::Error>
where
    T: Mapped<K>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_option(OptionVisitor { reading, value: PhantomData })
}

struct OptionVisitor<T, K> {
    reading: Reading,
    value: PhantomData<(T, K)>,
}

impl<'de, T: Mapped<K>, K> Visitor<'de> for OptionVisitor<T, K> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or null")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_none<E: de::Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<T>, D::Error> {
        T::deserialize(deserializer, self.reading).map(Some)
    }
}

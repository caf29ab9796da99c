//! `optional` fields and messages within messages.

use serde::de::Deserializer;
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

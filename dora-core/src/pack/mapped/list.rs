//! `repeated` fields.

use std::marker::PhantomData;

use serde::de::{Deserializer, MapAccess, SeqAccess};
use serde::ser::{SerializeSeq, Serializer};

use super::adapter::{Seed, ToSerde};
use super::input::{self, Reader};
use super::key::Key;
use super::{Mapped, Reading};

/// The most elements that room is made for by a mere claim of the peer.
const CLAIMED: usize = 256;

impl<T: Mapped<K>, K> Mapped<K> for Vec<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.len()))?;
        for value in self {
            list.serialize_element(&ToSerde::new(value))?;
        }
        list.end()
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D, reading: Reading) -> Result<Self, D::Error> {
        ListReader(reading, PhantomData).read_array(deserializer, reading)
    }

    fn deserialize_optional<'de, D: Deserializer<'de>>(
        deserializer: D,
        reading: Reading,
    ) -> Result<Option<Self>, D::Error> {
        ListReader(reading, PhantomData).read_array(deserializer, reading)
    }
}

struct ListReader<T, K>(Reading, PhantomData<(T, K)>);

impl<'de, T: Mapped<K>, K> Reader<'de> for ListReader<T, K> {
    type Value = Vec<T>;

    fn expected(&self) -> String {
        "a list".to_owned()
    }

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut values = Vec::with_capacity(list.size_hint().unwrap_or(0).min(CLAIMED));
        while let Some(value) = list.next_element_seed(Seed::new(self.0))? {
            values.push(value);
        }
        Ok(values)
    }

    /// A PHP array with holes, such as `array_filter` leaves, is still a list.
    fn map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<T>, A::Error> {
        let mut values = Vec::with_capacity(map.size_hint().unwrap_or(0).min(CLAIMED));
        while let Some(key) = map.next_key::<Key<'de>>()? {
            if !key.is_int() {
                return Err(input::mismatch("a list", format_args!("an array with the key {key}")));
            }
            values.push(map.next_value_seed(Seed::new(self.0))?);
        }
        Ok(values)
    }
}

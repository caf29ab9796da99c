//! `map` fields.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::marker::PhantomData;

use serde::de::{Deserializer, MapAccess, SeqAccess};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::adapter::{Seed, ToSerde};
use super::input::{self, Input, Outcome, Reader, Scalar};
use super::key::KeySeed;
use super::number;
use super::{Mapped, Reading};

/// A type that a `map` may have as key.
trait MapKey: Scalar + Ord + Hash {
    fn write<S: Serializer>(&self, serializer: S, human_readable: bool) -> Result<S::Ok, S::Error>;
}

impl<Key, T, K> Mapped<K> for HashMap<Key, T>
where
    Key: MapKey,
    T: Mapped<K>,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // By key: PHP's arrays have an order, and `===` looks at it.
        let mut entries: Vec<_> = self.iter().collect();
        entries.sort_unstable_by_key(|&(key, _)| key);
        write(entries, serializer)
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D, reading: Reading) -> Result<Self, D::Error> {
        read::<Self, Key, T, K, _, _>(deserializer, reading)
    }

    fn deserialize_optional<'de, D: Deserializer<'de>>(
        deserializer: D,
        reading: Reading,
    ) -> Result<Option<Self>, D::Error> {
        read::<Self, Key, T, K, _, _>(deserializer, reading)
    }
}

impl<Key, T, K> Mapped<K> for BTreeMap<Key, T>
where
    Key: MapKey,
    T: Mapped<K>,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write(self, serializer)
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D, reading: Reading) -> Result<Self, D::Error> {
        read::<Self, Key, T, K, _, _>(deserializer, reading)
    }

    fn deserialize_optional<'de, D: Deserializer<'de>>(
        deserializer: D,
        reading: Reading,
    ) -> Result<Option<Self>, D::Error> {
        read::<Self, Key, T, K, _, _>(deserializer, reading)
    }
}

/// Writes entries that are in the order of their keys.
fn write<'a, Key, T, K, S>(
    entries: impl IntoIterator<Item = (&'a Key, &'a T), IntoIter: ExactSizeIterator>,
    serializer: S,
) -> Result<S::Ok, S::Error>
where
    Key: MapKey + 'a,
    T: Mapped<K> + 'a,
    S: Serializer,
{
    let human_readable = serializer.is_human_readable();
    let entries = entries.into_iter();
    let mut map = serializer.serialize_map(Some(entries.len()))?;
    for (key, value) in entries {
        map.serialize_entry(&KeyToSerde(key, human_readable), &ToSerde::new(value))?;
    }
    map.end()
}

fn read<'de, M, Key, T, K, O, D>(deserializer: D, reading: Reading) -> Result<O, D::Error>
where
    M: Default + Extend<(Key, T)>,
    Key: MapKey,
    T: Mapped<K>,
    O: Outcome<M>,
    D: Deserializer<'de>,
{
    let human_readable = deserializer.is_human_readable();
    MapReader::<M, Key, T, K> { human_readable, reading, map: PhantomData }.read_array(deserializer, reading)
}

struct MapReader<M, Key, T, K> {
    human_readable: bool,
    reading: Reading,
    map: PhantomData<(M, Key, T, K)>,
}

impl<'de, M, Key, T, K> Reader<'de> for MapReader<M, Key, T, K>
where
    M: Default + Extend<(Key, T)>,
    Key: MapKey,
    T: Mapped<K>,
{
    type Value = M;

    fn expected(&self) -> String {
        "a map".to_owned()
    }

    /// To PHP a list is a map from 0, 1, 2. To JSON it is not, unless empty:
    /// that is how `json_encode` writes an empty map.
    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut values = M::default();
        for index in 0.. {
            let Some(value) = list.next_element_seed(Seed::new(self.reading))? else {
                break;
            };
            let index = Input::Int(index);
            match Key::from_input(index, self.human_readable) {
                Some(key) if !self.human_readable => values.extend([(key, value)]),
                _ => return Err(input::mismatch(&self.expected(), "a list")),
            };
        }
        Ok(values)
    }

    fn map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = M::default();
        while let Some(key) = map.next_key_seed(KeySeed::<Key>::new(self.human_readable))? {
            values.extend([(key, map.next_value_seed(Seed::new(self.reading))?)]);
        }
        Ok(values)
    }
}

struct KeyToSerde<'a, Key>(&'a Key, bool);

impl<Key: MapKey> Serialize for KeyToSerde<'_, Key> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.write(serializer, self.1)
    }
}

macro_rules! keys {
    ($($ty:ty, |$key:ident, $serializer:ident, $human_readable:ident| $write:expr;)*) => {$(
        impl MapKey for $ty {
            fn write<S: Serializer>(
                &self,
                $serializer: S,
                $human_readable: bool,
            ) -> Result<S::Ok, S::Error> {
                let $key = self;
                $write
            }
        }
    )*};
}

keys! {
    i32, |key, s, _human| s.serialize_i32(*key);
    i64, |key, s, _human| s.serialize_i64(*key);
    u32, |key, s, _human| s.serialize_u32(*key);
    u64, |key, s, _human| number::write_u64(s, *key);
    String, |key, s, _human| s.serialize_str(key);
    // PHP turns a bool key into an int.
    bool, |key, s, human| if human { s.serialize_bool(*key) } else { s.serialize_i64((*key).into()) };
}

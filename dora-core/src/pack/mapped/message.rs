//! Messages: arrays by field name.

use std::convert::Infallible;
use std::marker::PhantomData;

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess};
use serde::ser::{SerializeMap, Serializer};

use super::adapter::{Seed, ToSerde};
use super::input::{self, Reader};
use super::key::Key;
use super::{Fields, Mapped, ReadField, Reading, WriteFields};

impl<M: Fields> Mapped for M {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(count(self)))?;
        Fields::write(self, &mut Writer(&mut map))?;
        map.end()
    }

    /// A message has its own way to read, and its fields follow it.
    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D, _: Reading) -> Result<Self, D::Error> {
        MessageReader::<M>(PhantomData).read_array(deserializer, M::READING)
    }

    fn deserialize_optional<'de, D: Deserializer<'de>>(
        deserializer: D,
        _: Reading,
    ) -> Result<Option<Self>, D::Error> {
        MessageReader::<M>(PhantomData).read_array(deserializer, M::READING)
    }
}

/// The fields that are there. PHP's format wants their number first.
fn count(message: &impl Fields) -> usize {
    let mut present = Counter(0);
    let Ok(()) = Fields::write(message, &mut present);
    present.0
}

struct Counter(usize);

impl WriteFields for Counter {
    type Error = Infallible;

    fn write<T: Mapped<K>, K>(&mut self, _: &'static str, value: &T) -> Result<(), Infallible> {
        self.0 += usize::from(!value.is_absent());
        Ok(())
    }
}

struct Writer<'a, M>(&'a mut M);

impl<M: SerializeMap> WriteFields for Writer<'_, M> {
    type Error = M::Error;

    fn write<T: Mapped<K>, K>(&mut self, name: &'static str, value: &T) -> Result<(), M::Error> {
        if value.is_absent() {
            return Ok(());
        }
        self.0.serialize_entry(name, &ToSerde::new(value))
    }
}

struct MessageReader<M>(PhantomData<M>);

impl<'de, M: Fields> Reader<'de> for MessageReader<M> {
    type Value = M;

    fn expected(&self) -> String {
        format!("a message ({})", M::NAME)
    }

    /// PHP writes an empty message as it writes an empty list.
    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<M, A::Error> {
        match list.next_element::<IgnoredAny>()? {
            None => Ok(M::default()),
            Some(_) => Err(input::mismatch(&self.expected(), "a list")),
        }
    }

    fn map<A: MapAccess<'de>>(self, mut map: A) -> Result<M, A::Error> {
        let mut message = M::default();
        let mut named = false;
        let mut numbered = false;
        while let Some(key) = map.next_key()? {
            match key {
                Key::Text(name) => {
                    named = true;
                    Fields::read(&mut message, &name, Value::of(&mut map, M::READING))?;
                }
                // PDO's rows have each column by name and by number.
                Key::Int(_) => {
                    numbered = true;
                    Value::of(&mut map, M::READING).skip()?;
                }
            }
        }
        if numbered && !named {
            return Err(input::mismatch(&self.expected(), "a list"));
        }
        Ok(message)
    }
}

/// The value of the key that was just read.
struct Value<'a, 'de, A> {
    map: &'a mut A,
    reading: Reading,
    lent: PhantomData<&'de ()>,
}

impl<'a, A> Value<'a, '_, A> {
    fn of(map: &'a mut A, reading: Reading) -> Self {
        Self { map, reading, lent: PhantomData }
    }
}

impl<'de, A: MapAccess<'de>> ReadField for Value<'_, 'de, A> {
    type Error = A::Error;

    fn value<T: Mapped<K>, K>(self) -> Result<T, A::Error> {
        self.map.next_value_seed(Seed::<T, K>::new(self.reading))
    }

    fn skip(self) -> Result<(), A::Error> {
        self.map.next_value::<IgnoredAny>().map(drop)
    }
}

//! Enums: a number to PHP, and read from a number or a name.

use std::marker::PhantomData;
use std::str;

use serde::de::{self, Deserializer};
use serde::ser::Serializer;

use super::input::{self, Input, Reader};
use super::number;
use super::{Mapped, Reading};

/// An enum of a `.proto`. Implemented by dora-codegen.
pub trait Enumeration {
    /// The name in the `.proto`: "shop.v1.Color".
    const NAME: &'static str;

    /// The number of the value called `name` in the `.proto`: 1 for "RED".
    fn number(name: &str) -> Option<i32>;
}

/// The kind of an `i32` that is a value of the enum `E`.
#[derive(Debug)]
pub struct Enum<E>(PhantomData<E>);

/// Numbers that `E` does not know are kept, as protobuf does.
impl<E: Enumeration> Mapped<Enum<E>> for i32 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i32(*self)
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D, reading: Reading) -> Result<Self, D::Error> {
        EnumReader::<E>(PhantomData).read(deserializer, reading)
    }

    fn deserialize_optional<'de, D: Deserializer<'de>>(
        deserializer: D,
        reading: Reading,
    ) -> Result<Option<Self>, D::Error> {
        EnumReader::<E>(PhantomData).read(deserializer, reading)
    }
}

struct EnumReader<E>(PhantomData<E>);

impl<E: Enumeration> Reader<'_> for EnumReader<E> {
    type Value = i32;

    fn expected(&self) -> String {
        format!("a name or number of {}", E::NAME)
    }

    fn scalar<F: de::Error>(self, input: Input<'_>) -> Result<i32, F> {
        let named = match input {
            Input::Text(name) => str::from_utf8(name).ok().and_then(E::number),
            _ => None,
        };
        named.or_else(|| number::int(input)).ok_or_else(|| input::mismatch(&self.expected(), input))
    }
}

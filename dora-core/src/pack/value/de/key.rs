//! Keys of arrays.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{self, DeserializeSeed, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use crate::pack::value::KeyRef;

/// A key, in the type that is asked for.
pub(in crate::pack) struct KeyDeserializer<'de, E> {
    key: KeyRef<'de>,
    error: PhantomData<E>,
}

impl<'de, E: de::Error> KeyDeserializer<'de, E> {
    pub(in crate::pack) fn new(key: KeyRef<'de>) -> Self {
        Self { key, error: PhantomData }
    }

    fn text<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        match self.key {
            KeyRef::Int(int) => visitor.visit_string(int.to_string()),
            KeyRef::Str(bytes) => visit_bytes(bytes, visitor),
        }
    }
}

fn visit_bytes<'de, V, E>(bytes: Cow<'de, [u8]>, visitor: V) -> Result<V::Value, E>
where
    V: Visitor<'de>,
    E: de::Error,
{
    match bytes {
        Cow::Borrowed(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => visitor.visit_borrowed_str(text),
            Err(_) => visitor.visit_borrowed_bytes(bytes),
        },
        Cow::Owned(bytes) => match String::from_utf8(bytes) {
            Ok(text) => visitor.visit_string(text),
            Err(error) => visitor.visit_byte_buf(error.into_bytes()),
        },
    }
}

/// Integers over 64 bits stay strings as keys.
macro_rules! integers {
    ($($method:ident: $int:ty => $visit:ident),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
            match self.key.as_bytes().and_then(integer::<$int>) {
                Some(int) => visitor.$visit(int),
                None => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de, E: de::Error> de::Deserializer<'de> for KeyDeserializer<'de, E> {
    type Error = E;

    integers! {
        deserialize_u64: u64 => visit_u64,
        deserialize_i128: i128 => visit_i128,
        deserialize_u128: u128 => visit_u128
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        match self.key {
            KeyRef::Int(int) => visitor.visit_i64(int),
            KeyRef::Str(bytes) => visit_bytes(bytes, visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        match self.key {
            KeyRef::Int(int @ (0 | 1)) => visitor.visit_bool(int == 1),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        self.text(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        self.text(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        self.text(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        self.text(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        self.deserialize_byte_buf(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        match self.key {
            KeyRef::Int(int) => visitor.visit_byte_buf(int.to_string().into_bytes()),
            KeyRef::Str(Cow::Borrowed(bytes)) => visitor.visit_borrowed_bytes(bytes),
            KeyRef::Str(Cow::Owned(bytes)) => visitor.visit_byte_buf(bytes),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, E> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, E> {
        let name = match self.key {
            KeyRef::Int(int) => Cow::Owned(int.to_string().into_bytes()),
            KeyRef::Str(bytes) => bytes,
        };
        visitor.visit_enum(UnitVariant::new(name))
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 u8 u16 u32 f32 f64 unit unit_struct seq tuple
        tuple_struct map struct ignored_any
    }
}

/// An enum variant without data: its name.
pub(in crate::pack) struct UnitVariant<'de, E> {
    name: Cow<'de, [u8]>,
    error: PhantomData<E>,
}

impl<'de, E> UnitVariant<'de, E> {
    pub(in crate::pack) fn new(name: impl Into<Cow<'de, [u8]>>) -> Self {
        Self { name: name.into(), error: PhantomData }
    }
}

impl<'de, E: de::Error> de::EnumAccess<'de> for UnitVariant<'de, E> {
    type Error = E;
    type Variant = OnlyUnit<E>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, OnlyUnit<E>), E> {
        let name = seed.deserialize(KeyDeserializer::new(KeyRef::Str(self.name)))?;
        Ok((name, OnlyUnit(PhantomData)))
    }
}

pub(in crate::pack) struct OnlyUnit<E>(PhantomData<E>);

impl<'de, E: de::Error> de::VariantAccess<'de> for OnlyUnit<E> {
    type Error = E;

    fn unit_variant(self) -> Result<(), E> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, E> {
        Err(E::invalid_type(Unexpected::UnitVariant, &"newtype variant"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, E> {
        Err(E::invalid_type(Unexpected::UnitVariant, &"tuple variant"))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, E> {
        Err(E::invalid_type(Unexpected::UnitVariant, &"struct variant"))
    }
}

/// An integer in decimals: how those over 64 bits are kept.
pub(in crate::pack) fn integer<T: FromStr>(digits: &[u8]) -> Option<T> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

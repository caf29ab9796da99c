//! How an object passes through serde, which knows none: as its own bytes.
//!
//! A newtype struct called [`OBJECT`] says on both sides that it may come. Who
//! writes one gets serialized bytes; who reads one gets an enum of that name. No
//! array and no JSON is ever read as an enum here, so no peer can feign it.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{BorrowedBytesDeserializer, BytesDeserializer, StrDeserializer};
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, EnumAccess, Unexpected, VariantAccess, Visitor,
};
use serde::ser::{Serialize, Serializer};

use super::decode::decode;
use super::encode::encode_object;
use crate::pack::limits::Limits;
use crate::pack::value::{Object, Value};

/// The name of the newtype struct.
pub(in crate::pack) const OBJECT: &str = "$dora::php::Object";

/// Bytes that a reader has walked over, or that were written here.
const WALKED: Limits = Limits { depth: Limits::MAX_DEPTH, nodes: usize::MAX, bytes: usize::MAX, calls: 0 };

/// Writes an object.
pub(in crate::pack) fn serialize<S: Serializer>(object: &Object, serializer: S) -> Result<S::Ok, S::Error> {
    let mut bytes = Vec::new();
    encode_object(object, &mut bytes);
    serializer.serialize_newtype_struct(OBJECT, &AsBytes(&bytes))
}

/// The object of these bytes.
pub(in crate::pack) fn parse(bytes: &[u8]) -> Option<Object> {
    match decode(bytes, &WALKED) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    }
}

struct AsBytes<'a>(&'a [u8]);

impl Serialize for AsBytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// Reads what [`RawObject`] gives.
pub(in crate::pack) fn deserialize<'de, A: EnumAccess<'de>>(data: A) -> Result<Object, A::Error> {
    let (_, variant) = data.variant::<de::IgnoredAny>()?;
    variant.newtype_variant::<Parsed>().map(|Parsed(object)| object)
}

struct Parsed(Object);

impl<'de> Deserialize<'de> for Parsed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(ParsedVisitor)
    }
}

struct ParsedVisitor;

impl Visitor<'_> for ParsedVisitor {
    type Value = Parsed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a serialized object")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Parsed, E> {
        let object = decode(bytes, &WALKED).map_err(E::custom)?;
        match object {
            Value::Object(object) => Ok(Parsed(object)),
            _ => Err(E::invalid_type(Unexpected::Bytes(bytes), &self)),
        }
    }
}

/// An object, to who asked for [`OBJECT`].
pub(in crate::pack) struct RawObject<'de, E> {
    bytes: Cow<'de, [u8]>,
    error: PhantomData<E>,
}

impl<'de, E> RawObject<'de, E> {
    pub(in crate::pack) fn new(bytes: impl Into<Cow<'de, [u8]>>) -> Self {
        Self { bytes: bytes.into(), error: PhantomData }
    }

    pub(in crate::pack) fn of(object: &Object) -> Self {
        let mut bytes = Vec::new();
        encode_object(object, &mut bytes);
        Self::new(bytes)
    }
}

impl<'de, E: de::Error> EnumAccess<'de> for RawObject<'de, E> {
    type Error = E;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), E> {
        Ok((seed.deserialize(StrDeserializer::new(OBJECT))?, self))
    }
}

impl<'de, E: de::Error> VariantAccess<'de> for RawObject<'de, E> {
    type Error = E;

    fn unit_variant(self) -> Result<(), E> {
        Err(self.only_newtype())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, E> {
        match &self.bytes {
            Cow::Borrowed(bytes) => seed.deserialize(BorrowedBytesDeserializer::new(bytes)),
            Cow::Owned(bytes) => seed.deserialize(BytesDeserializer::new(bytes)),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, E> {
        Err(self.only_newtype())
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, E> {
        Err(self.only_newtype())
    }
}

impl<E: de::Error> RawObject<'_, E> {
    fn only_newtype(&self) -> E {
        E::invalid_type(Unexpected::NewtypeVariant, &"a serialized object")
    }
}

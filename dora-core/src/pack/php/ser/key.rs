//! Keys of maps.

use serde::ser::{self, Impossible, Serialize};

use super::{Result, not_a_key};
use crate::pack::php::error::PhpError;
use crate::pack::php::write;

/// Takes what can be a key: strings, and what PHP casts to an integer.
pub(super) struct KeySerializer<'a> {
    pub(super) out: &'a mut Vec<u8>,
}

macro_rules! integers {
    ($($method:ident: $int:ty),*) => {$(
        fn $method(self, value: $int) -> Result<()> {
            match i64::try_from(value) {
                Ok(value) => write::int(self.out, value),
                Err(_) => write::string(self.out, value.to_string()),
            }
            Ok(())
        }
    )*};
}

impl ser::Serializer for KeySerializer<'_> {
    type Ok = ();
    type Error = PhpError;
    type SerializeSeq = Impossible<(), PhpError>;
    type SerializeTuple = Impossible<(), PhpError>;
    type SerializeTupleStruct = Impossible<(), PhpError>;
    type SerializeTupleVariant = Impossible<(), PhpError>;
    type SerializeMap = Impossible<(), PhpError>;
    type SerializeStruct = Impossible<(), PhpError>;
    type SerializeStructVariant = Impossible<(), PhpError>;

    integers! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_i128: i128, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32,
        serialize_u64: u64, serialize_u128: u128
    }

    fn serialize_bool(self, value: bool) -> Result<()> {
        self.serialize_i64(i64::from(value))
    }

    fn serialize_f32(self, _: f32) -> Result<()> {
        Err(not_a_key())
    }

    fn serialize_f64(self, _: f64) -> Result<()> {
        Err(not_a_key())
    }

    fn serialize_char(self, value: char) -> Result<()> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<()> {
        self.serialize_bytes(value.as_bytes())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<()> {
        write::key(self.out, value);
        Ok(())
    }

    fn serialize_none(self) -> Result<()> {
        Err(not_a_key())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<()> {
        Err(not_a_key())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<()> {
        Err(not_a_key())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<()> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<()> {
        Err(not_a_key())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq> {
        Err(not_a_key())
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple> {
        Err(not_a_key())
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct> {
        Err(not_a_key())
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant> {
        Err(not_a_key())
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap> {
        Err(not_a_key())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct> {
        Err(not_a_key())
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant> {
        Err(not_a_key())
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

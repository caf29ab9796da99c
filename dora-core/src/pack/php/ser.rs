//! Typed data to bytes.

use serde::ser::{self, Error as _, Serialize};

use super::error::PhpError;
use super::raw_object::OBJECT;
use super::write;

type Result<T> = std::result::Result<T, PhpError>;

mod compound;
mod key;

pub use compound::Compound;
use key::KeySerializer;

/// The bytes that PHP's `serialize` makes of `value`.
///
/// # Errors
///
/// When `value` has a map whose keys are no strings, integers or booleans, or
/// refuses by itself.
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    to_writer(value, &mut out)?;
    Ok(out)
}

/// Appends to `out` what PHP's `serialize` makes of `value`.
///
/// # Errors
///
/// As [`to_vec`]. What was appended until then stays.
pub fn to_writer<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<()> {
    value.serialize(&mut Serializer::new(out))
}

/// Serializes into a vector.
///
/// Structs, maps and enums with data become arrays with keys, sequences become
/// lists, `None` and `()` become null, unit variants their name. Integers over
/// 64 bits become their decimal string.
#[derive(Debug)]
pub struct Serializer<'a> {
    out: &'a mut Vec<u8>,
    /// Bytes come that are serialized already: an object's.
    raw: bool,
}

impl<'a> Serializer<'a> {
    /// Appends to `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, raw: false }
    }

    /// The head of an enum variant with data: an array of one pair.
    fn variant(&mut self, variant: &str) {
        write::array(self.out, 1);
        write::key(self.out, variant);
    }
}

/// What one value of any kind becomes.
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

impl<'s, 'a> ser::Serializer for &'s mut Serializer<'a> {
    type Ok = ();
    type Error = PhpError;
    type SerializeSeq = Compound<'s>;
    type SerializeTuple = Compound<'s>;
    type SerializeTupleStruct = Compound<'s>;
    type SerializeTupleVariant = Compound<'s>;
    type SerializeMap = Compound<'s>;
    type SerializeStruct = Compound<'s>;
    type SerializeStructVariant = Compound<'s>;

    integers! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_i128: i128, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32,
        serialize_u64: u64, serialize_u128: u128
    }

    fn serialize_bool(self, value: bool) -> Result<()> {
        write::bool(self.out, value);
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Result<()> {
        self.serialize_f64(f64::from(value))
    }

    fn serialize_f64(self, value: f64) -> Result<()> {
        write::float(self.out, value);
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<()> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<()> {
        self.serialize_bytes(value.as_bytes())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<()> {
        if self.raw {
            self.out.extend_from_slice(value);
        } else {
            write::string(self.out, value);
        }
        Ok(())
    }

    fn serialize_none(self) -> Result<()> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<()> {
        write::null(self.out);
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<()> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<()> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<()> {
        value.serialize(&mut Serializer { out: &mut *self.out, raw: name == OBJECT })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<()> {
        self.variant(variant);
        value.serialize(&mut *self)?;
        write::end(self.out);
        Ok(())
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Compound<'s>> {
        Ok(Compound::new(self.out, length))
    }

    fn serialize_tuple(self, length: usize) -> Result<Compound<'s>> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> Result<Compound<'s>> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Compound<'s>> {
        self.variant(variant);
        Ok(Compound::new(self.out, Some(length)).in_variant())
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Compound<'s>> {
        Ok(Compound::new(self.out, length))
    }

    fn serialize_struct(self, _: &'static str, length: usize) -> Result<Compound<'s>> {
        self.serialize_map(Some(length))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Compound<'s>> {
        self.serialize_tuple_variant(name, index, variant, length)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

fn not_a_key() -> PhpError {
    PhpError::custom("array key that is neither an integer nor a string")
}

#[cfg(test)]
#[path = "ser_tests.rs"]
mod tests;

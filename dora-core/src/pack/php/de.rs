//! Bytes to typed data.

use serde::de::{self, DeserializeOwned, Error as _, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

use super::budget::Budget;
use super::decode::decode;
use super::error::{Fault, PhpError, PhpErrorKind};
use super::float;
use super::path::locate;
use super::raw_object::{OBJECT, RawObject};
use super::scan::skip;
use super::shape::Shapes;
use super::token::{Cursor, Token, split_case, unescape};
use crate::pack::limits::Limits;
use crate::pack::value::de::{UnitVariant, integer};

type Result<T> = std::result::Result<T, PhpError>;

mod access;

use access::{Elements, Entries, Variant};

/// Reads the value that `input` starts with as a `T`. What stands after it is
/// ignored, as PHP does.
///
/// Keys that come twice cost a second pass when `T` does not allow them: the
/// last one wins. For a `T` that borrows from `input`, see [`Deserializer`].
///
/// # Errors
///
/// When the bytes are refused as [`decode`] refuses them, or `T` does not fit.
pub fn from_slice<T: DeserializeOwned>(input: &[u8], limits: &Limits) -> Result<T> {
    let read = Deserializer::new(input, limits)?.read();
    match read {
        Err(error) if error.kind() == PhpErrorKind::Duplicate => {
            decode(input, limits)?.to().map_err(PhpError::custom)
        }
        read => read,
    }
}

/// Deserializes from a slice. Strings are borrowed from it where they can be.
///
/// An array is read as what is asked for: as a list (whose keys must be 0, 1,
/// 2, ... in order) or as a map or struct, whatever its keys. Who asks for
/// nothing gets a list if it is one, else a map. Integer keys are integers to
/// who asks for integers, and their decimals to who asks for strings.
///
/// An object is read as the map of its properties by their plain names, the case
/// of an enum as its name. A `C:` object is an error, unless nobody asks for it.
/// A [`Value`](crate::pack::value::Value) holds each as it is.
#[derive(Debug)]
pub struct Deserializer<'de> {
    input: &'de [u8],
    cursor: Cursor<'de>,
    budget: Budget,
    shapes: Shapes,
}

impl<'de> Deserializer<'de> {
    /// Starts at the start of `input`.
    ///
    /// # Errors
    ///
    /// When `input` has more bytes than `limits` allow.
    pub fn new(input: &'de [u8], limits: &Limits) -> Result<Self> {
        let budget = Budget::new(limits);
        budget.admit(input)?;
        Ok(Self { input, cursor: Cursor::new(input), budget, shapes: Shapes::default() })
    }

    /// Reads one value, and says in which keys it went wrong if it did.
    ///
    /// # Errors
    ///
    /// As [`from_slice`]. A key that comes twice, where `T` does not allow it,
    /// is one: [`PhpErrorKind::Duplicate`].
    pub fn read<T: Deserialize<'de>>(&mut self) -> Result<T> {
        T::deserialize(&mut *self).map_err(|error| match error.offset() {
            Some(offset) => error.with_path(locate(self.input, offset)),
            None => error,
        })
    }

    /// Bytes read so far.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.cursor.offset()
    }

    fn visit<V: Visitor<'de>>(&mut self, as_array: As, visitor: V) -> Result<V::Value> {
        let start = self.cursor.offset();
        let token = self.cursor.value(&mut self.budget)?;
        match token {
            Token::Array(count) => self.visit_array(start, count, as_array, visitor),
            Token::Object { count, .. } => self.visit_object(start, count as usize, as_array, visitor),
            token => visit_scalar(token, visitor),
        }
        .map_err(|error| error.or_at(start))
    }

    fn visit_array<V: Visitor<'de>>(
        &mut self,
        start: usize,
        count: usize,
        as_array: As,
        visitor: V,
    ) -> Result<V::Value> {
        self.enter(start)?;
        let as_list = match as_array {
            As::List => true,
            As::Map => false,
            As::Either => self.shapes.is_list(&self.cursor, count, self.budget)?,
        };
        let (value, left) = if as_list {
            let mut elements = Elements::new(self, count);
            (visitor.visit_seq(&mut elements)?, elements.left())
        } else {
            let mut entries = Entries::new(self, count);
            (visitor.visit_map(&mut entries)?, entries.left())
        };
        self.finish(count, left)?;
        Ok(value)
    }

    /// An object is a map of its properties by their plain names; a list only to
    /// who asks for one.
    fn visit_object<V: Visitor<'de>>(
        &mut self,
        start: usize,
        count: usize,
        as_array: As,
        visitor: V,
    ) -> Result<V::Value> {
        if let As::List = as_array {
            return self.visit_array(start, count, as_array, visitor);
        }
        self.enter(start)?;
        let mut entries = Entries::of_object(self, count);
        let (value, left) = (visitor.visit_map(&mut entries)?, entries.left());
        self.finish(count, left)?;
        Ok(value)
    }

    fn finish(&mut self, count: usize, left: usize) -> Result<()> {
        if left > 0 {
            return Err(PhpError::invalid_length(count, &"fewer elements"));
        }
        self.leave()
    }

    fn enter(&mut self, start: usize) -> Result<()> {
        if self.budget.enter() {
            return Ok(());
        }
        Err(PhpError::from(Fault { kind: PhpErrorKind::Depth, offset: start }))
    }

    fn leave(&mut self) -> Result<()> {
        self.cursor.close()?;
        self.budget.leave();
        Ok(())
    }
}

/// What an array is to be read as.
#[derive(Clone, Copy)]
enum As {
    List,
    Map,
    Either,
}

fn visit_scalar<'de, V: Visitor<'de>>(token: Token<'de>, visitor: V) -> Result<V::Value> {
    match token {
        Token::Bool(value) => visitor.visit_bool(value),
        Token::Int(value) => visitor.visit_i64(value),
        Token::Float(text) => visitor.visit_f64(float::parse(text)),
        Token::Str(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => visitor.visit_borrowed_str(text),
            Err(_) => visitor.visit_borrowed_bytes(bytes),
        },
        Token::Escaped(raw) => match String::from_utf8(unescape(raw).into_owned()) {
            Ok(text) => visitor.visit_string(text),
            Err(error) => visitor.visit_byte_buf(error.into_bytes()),
        },
        // To who knows no such enum, its case is what there is to see.
        Token::Case(both) => visit_scalar(Token::Str(split_case(both).1), visitor),
        Token::Custom(_) => Err(refused(PhpErrorKind::Object)),
        Token::Reference { .. } => Err(refused(PhpErrorKind::DanglingReference)),
        Token::Null | Token::Array(_) | Token::Object { .. } => visitor.visit_unit(),
    }
}

fn refused(kind: PhpErrorKind) -> PhpError {
    PhpError::without_offset(kind)
}

/// Integers over 64 bits are written as their decimals.
macro_rules! integers {
    ($($method:ident: $int:ty => $visit:ident),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            let mut ahead = self.cursor.clone();
            if let Ok(Token::Str(digits)) = ahead.token()
                && let Some(int) = integer::<$int>(digits)
                && self.budget.spend()
            {
                let start = self.cursor.offset();
                self.cursor = ahead;
                return visitor.$visit(int).map_err(|error: PhpError| error.or_at(start));
            }
            self.visit(As::Either, visitor)
        }
    )*};
}

impl<'de> de::Deserializer<'de> for &mut Deserializer<'de> {
    type Error = PhpError;

    integers! {
        deserialize_u64: u64 => visit_u64,
        deserialize_i128: i128 => visit_i128,
        deserialize_u128: u128 => visit_u128
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.visit(As::Either, visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let start = self.cursor.offset();
        if let [b's', ..] = self.cursor.rest()
            && let Token::Str(bytes) = self.cursor.value(&mut self.budget)?
        {
            return visitor.visit_borrowed_bytes(bytes).map_err(|error: PhpError| error.or_at(start));
        }
        self.visit(As::Either, visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.cursor.rest() {
            [b'N', ..] => self.visit(As::Either, visitor),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value> {
        if name != OBJECT {
            return visitor.visit_newtype_struct(self);
        }
        let [b'O' | b'E' | b'C', b':', ..] = self.cursor.rest() else {
            return self.visit(As::Either, visitor);
        };
        let (start, input) = (self.cursor.offset(), self.cursor.rest());
        skip(&mut self.cursor, &mut self.budget)?;
        let end = self.cursor.offset().saturating_sub(start);
        let object = input.get(..end).unwrap_or_default();
        visitor.visit_enum(RawObject::new(object)).map_err(|error: PhpError| error.or_at(start))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.visit(As::List, visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        self.visit(As::List, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value> {
        self.visit(As::List, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.visit(As::Map, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.visit(As::Map, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let start = self.cursor.offset();
        let value = match self.cursor.value(&mut self.budget)? {
            Token::Array(1) => {
                self.enter(start)?;
                let value = visitor.visit_enum(Variant::new(self))?;
                self.leave()?;
                return Ok(value);
            }
            Token::Object { count: 1, .. } => {
                self.enter(start)?;
                let value = visitor.visit_enum(Variant::of_object(self))?;
                self.leave()?;
                return Ok(value);
            }
            Token::Str(name) => visitor.visit_enum(UnitVariant::new(name)),
            Token::Case(both) => visitor.visit_enum(UnitVariant::new(split_case(both).1)),
            Token::Escaped(raw) => visitor.visit_enum(UnitVariant::new(unescape(raw))),
            Token::Array(count) => Err(PhpError::invalid_length(count, &"one variant")),
            Token::Object { count, .. } => Err(PhpError::invalid_length(count as usize, &"one variant")),
            token => visit_scalar(token, visitor),
        };
        value.map_err(|error| error.or_at(start))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        skip(&mut self.cursor, &mut self.budget)?;
        visitor.visit_unit()
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 f32 f64 char str string unit unit_struct
        identifier
    }
}

#[cfg(test)]
#[path = "de_tests.rs"]
mod tests;

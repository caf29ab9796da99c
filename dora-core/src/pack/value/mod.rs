//! Values without a schema: what PHP and JSON bodies carry.
//!
//! A [`Value`] is what a PHP variable can hold: strings are bytes, an [`Array`]
//! is PHP's ordered map, lists included, and an [`Object`] is the name of its
//! class and its properties, as data.

pub mod array;
pub mod key;
pub mod object;
pub mod string;

mod compare;
mod convert;
mod copy;
pub(in crate::pack) mod de;
mod error;
mod index;
mod iter;
mod macros;
pub(in crate::pack) mod printable;
mod ser;
mod serde_impl;

use std::fmt;

pub use array::Array;
pub use de::ValueDeserializer;
pub use error::ValueError;
pub use iter::{IntoIter, Iter};
pub use key::{Key, KeyRef};
pub use object::Object;
pub use string::PhpString;

/// A value whose type is known only when it is read.
///
/// Equality tells `1` from `1.0`, and holds floats equal when they are the
/// same number or both not a number, so `0.0 == -0.0` and `NAN == NAN`.
///
/// These are all kinds of values that PHP can send, and it has had no other since
/// its third version: a `match` on them needs no arm for what may come.
#[derive(Clone, Default)]
pub enum Value {
    /// PHP `null`.
    #[default]
    Null,
    /// PHP `bool`.
    Bool(bool),
    /// PHP `int`.
    Int(i64),
    /// PHP `float`.
    Float(f64),
    /// PHP `string`: bytes, mostly UTF-8.
    Str(PhpString),
    /// PHP `array`: a list or an ordered map.
    Array(Array),
    /// PHP `object`, as data: nothing is ever instantiated.
    Object(Object),
}

impl Value {
    /// Whether this is `Null`.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The boolean, if this is one.
    #[must_use]
    pub const fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The integer, if this is one.
    #[must_use]
    pub const fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The float, if this is one. An integer is none.
    #[must_use]
    pub const fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// The string, if this is one and is UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(value) => value.as_str(),
            _ => None,
        }
    }

    /// The bytes of the string, if this is one.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Str(value) => Some(value.as_bytes()),
            _ => None,
        }
    }

    /// The array, if this is one. A `stdClass` is one: the array of its
    /// properties.
    #[must_use]
    pub fn as_array(&self) -> Option<&Array> {
        match self {
            Self::Array(value) => Some(value),
            Self::Object(object) if object.is_std_class() => object.properties(),
            _ => None,
        }
    }

    /// As [`as_array`](Self::as_array), to be changed.
    pub fn as_array_mut(&mut self) -> Option<&mut Array> {
        match self {
            Self::Array(value) => Some(value),
            Self::Object(object) if object.is_std_class() => object.properties_mut(),
            _ => None,
        }
    }

    /// The object, if this is one.
    #[must_use]
    pub const fn as_object(&self) -> Option<&Object> {
        match self {
            Self::Object(value) => Some(value),
            _ => None,
        }
    }

    /// The object, if this is one.
    pub const fn as_object_mut(&mut self) -> Option<&mut Object> {
        match self {
            Self::Object(value) => Some(value),
            _ => None,
        }
    }

    /// What stands under `key`, if this is an array that has it, or an object
    /// with a property of that plain name.
    #[must_use]
    pub fn get<'k>(&self, key: impl Into<KeyRef<'k>>) -> Option<&Self> {
        match self {
            Self::Array(array) => array.get(key),
            Self::Object(object) => object.get(key),
            _ => None,
        }
    }

    /// As [`get`](Self::get), to be changed.
    pub fn get_mut<'k>(&mut self, key: impl Into<KeyRef<'k>>) -> Option<&mut Self> {
        match self {
            Self::Array(array) => array.get_mut(key),
            Self::Object(object) => object.get_mut(key),
            _ => None,
        }
    }

    /// What it nests: an array, or the properties of an object.
    pub(super) fn nested(&self) -> Option<&Array> {
        match self {
            Self::Array(array) => Some(array),
            Self::Object(object) => object.properties(),
            _ => None,
        }
    }

    /// As [`nested`](Self::nested), to be changed.
    pub(super) fn nested_mut(&mut self) -> Option<&mut Array> {
        match self {
            Self::Array(array) => Some(array),
            Self::Object(object) => object.properties_mut(),
            _ => None,
        }
    }

    /// Leaves `Null` behind and gives what was here.
    #[must_use]
    pub fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// What PHP's `gettype` calls it.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Str(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Str(value) => value.fmt(f),
            Self::Array(value) => value.fmt(f),
            Self::Object(value) => value.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Value;

    #[test]
    fn accessors_answer_only_for_their_type() {
        assert_eq!(Value::from(5).as_int(), Some(5));
        assert_eq!(Value::from(5).as_float(), None);
        assert_eq!(Value::from(5.5).as_float(), Some(5.5));
        assert_eq!(Value::from(true).as_bool(), Some(true));
        assert_eq!(Value::from("x").as_str(), Some("x"));
        assert_eq!(Value::from(vec![0xff_u8]).as_str(), None);
        assert_eq!(Value::from(vec![0xff_u8]).as_bytes(), Some(&[0xff][..]));
        assert!(Value::default().is_null());
    }

    #[test]
    fn debug_reads_like_the_value() {
        let value = crate::value!({ "a" => [1, 2.0, null], 7 => { "b" => "x" } });
        assert_eq!(format!("{value:?}"), r#"{"a": [1, 2.0, null], 7: {"b": "x"}}"#);
    }
}

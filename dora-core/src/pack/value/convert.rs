//! Conversions into [`Value`].

use std::borrow::Cow;

use super::{Array, Key, Object, PhpString, Value};

macro_rules! from_integers {
    ($($int:ty),*) => {$(
        impl From<$int> for Value {
            fn from(int: $int) -> Self {
                Self::Int(i64::from(int))
            }
        }
    )*};
}

macro_rules! from_strings {
    ($($string:ty),*) => {$(
        impl From<$string> for Value {
            fn from(string: $string) -> Self {
                Self::Str(string.into())
            }
        }
    )*};
}

from_integers!(i64, i32, i16, i8, u32, u16, u8);
from_strings!(PhpString, String, &str, Vec<u8>, &[u8], Cow<'_, [u8]>, bytes::Bytes);

impl From<bool> for Value {
    fn from(bool: bool) -> Self {
        Self::Bool(bool)
    }
}

impl From<f64> for Value {
    fn from(float: f64) -> Self {
        Self::Float(float)
    }
}

impl From<f32> for Value {
    fn from(float: f32) -> Self {
        Self::Float(f64::from(float))
    }
}

/// PHP has no larger integer: over `i64::MAX` it is its decimal string.
impl From<u64> for Value {
    fn from(int: u64) -> Self {
        i64::try_from(int).map_or_else(|_| Self::from(int.to_string()), Self::Int)
    }
}

impl From<usize> for Value {
    fn from(int: usize) -> Self {
        i64::try_from(int).map_or_else(|_| Self::from(int.to_string()), Self::Int)
    }
}

impl From<()> for Value {
    fn from((): ()) -> Self {
        Self::Null
    }
}

impl From<Array> for Value {
    fn from(array: Array) -> Self {
        Self::Array(array)
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object)
    }
}

impl From<Vec<Value>> for Value {
    fn from(list: Vec<Value>) -> Self {
        Self::Array(list.into())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(option: Option<T>) -> Self {
        option.map_or(Self::Null, Into::into)
    }
}

/// A list.
impl<V: Into<Value>> FromIterator<V> for Value {
    fn from_iter<I: IntoIterator<Item = V>>(values: I) -> Self {
        Self::Array(values.into_iter().map(Into::into).collect::<Vec<_>>().into())
    }
}

/// A map.
impl FromIterator<(Key, Value)> for Value {
    fn from_iter<I: IntoIterator<Item = (Key, Value)>>(pairs: I) -> Self {
        Self::Array(pairs.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{Key, Value};
    use crate::value;

    #[test]
    fn what_an_int_cannot_hold_becomes_its_decimal_string() {
        assert_eq!(Value::from(7_u64), Value::Int(7));
        assert_eq!(Value::from(u64::MAX), value!("18446744073709551615"));
    }

    #[test]
    fn options_and_iterators_convert() {
        assert_eq!(Value::from(None::<i32>), Value::Null);
        assert_eq!([1, 2].into_iter().collect::<Value>(), value!([1, 2]));
        let pairs = [(Key::from("a"), value!(1))];
        assert_eq!(pairs.into_iter().collect::<Value>(), value!({ "a" => 1 }));
    }
}

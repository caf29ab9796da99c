//! What a format may hand over, brought down to few cases.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};

/// The longest part of a string or key that an error shows, in bytes.
const SHOWN: usize = 40;

/// One value that is no array.
#[derive(Clone, Copy, Debug)]
pub(super) enum Input<'a> {
    Bool(bool),
    Int(i64),
    /// Over `i64::MAX`.
    Uint(u64),
    Float(f64),
    /// A string: of PHP, so that it need not be UTF-8.
    Text(&'a [u8]),
}

impl fmt::Display for Input<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "the int {value}"),
            Self::Uint(value) => write!(f, "the int {value}"),
            Self::Float(value) => write!(f, "the float {value:?}"),
            Self::Text(text) => write!(f, "the string \"{}\"", excerpt(text)),
        }
    }
}

/// The start of what a peer wrote, fit for a line of a log.
pub(super) fn excerpt(text: &[u8]) -> String {
    let (shown, more) = match text.get(..SHOWN) {
        Some(start) if text.len() > SHOWN => (start, "..."),
        _ => (text, ""),
    };
    format!("{}{more}", String::from_utf8_lossy(shown).escape_debug())
}

/// Makes a value of what comes. Whatever it does not take is an error.
pub(super) trait Reader<'de>: Sized {
    type Value: Default;

    /// What is taken, with its article: "an int32".
    fn expected(&self) -> String;

    fn scalar<E: de::Error>(self, input: Input<'_>) -> Result<Self::Value, E> {
        Err(mismatch(&self.expected(), input))
    }

    fn list<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Err(mismatch(&self.expected(), "an array"))
    }

    fn map<A: MapAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Err(mismatch(&self.expected(), "an array"))
    }

    fn null(self) -> Self::Value {
        Self::Value::default()
    }

    fn read<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(ReaderVisitor(self))
    }

    /// Reads what is an array. PHP's format need not look ahead then whether it
    /// is a list; JSON's says in its own words what it had expected.
    fn read_array<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(ReaderVisitor(self))
        } else {
            deserializer.deserialize_map(ReaderVisitor(self))
        }
    }
}

/// A type that is one scalar.
pub(super) trait Scalar: Sized + Default {
    /// With its article: "an int32".
    const EXPECTED: &'static str;

    /// The value that `input` means; `human_readable` as serde has it.
    fn from_input(input: Input<'_>, human_readable: bool) -> Option<Self>;
}

/// Reads a [`Scalar`].
pub(super) struct ScalarReader<T> {
    human_readable: bool,
    scalar: PhantomData<T>,
}

impl<T> ScalarReader<T> {
    pub(super) fn new(human_readable: bool) -> Self {
        Self { human_readable, scalar: PhantomData }
    }
}

impl<'de, T: Scalar> Reader<'de> for ScalarReader<T> {
    type Value = T;

    fn expected(&self) -> String {
        T::EXPECTED.to_owned()
    }

    fn scalar<E: de::Error>(self, input: Input<'_>) -> Result<T, E> {
        T::from_input(input, self.human_readable).ok_or_else(|| mismatch(T::EXPECTED, input))
    }
}

/// Reads a [`Scalar`].
pub(super) fn scalar<'de, T: Scalar, D: Deserializer<'de>>(d: D) -> Result<T, D::Error> {
    let reader = ScalarReader::new(d.is_human_readable());
    reader.read(d)
}

pub(super) fn mismatch<E: de::Error>(expected: &str, got: impl fmt::Display) -> E {
    E::custom(format_args!("expected {expected}, got {got}"))
}

struct ReaderVisitor<R>(R);

impl<'de, R: Reader<'de>> Visitor<'de> for ReaderVisitor<R> {
    type Value = R::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.expected())
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<R::Value, E> {
        self.0.scalar(Input::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<R::Value, E> {
        self.0.scalar(Input::Int(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<R::Value, E> {
        self.0.scalar(match i64::try_from(value) {
            Ok(value) => Input::Int(value),
            Err(_) => Input::Uint(value),
        })
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<R::Value, E> {
        self.0.scalar(Input::Float(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<R::Value, E> {
        self.0.scalar(Input::Text(value.as_bytes()))
    }

    fn visit_bytes<E: de::Error>(self, value: &[u8]) -> Result<R::Value, E> {
        self.0.scalar(Input::Text(value))
    }

    fn visit_unit<E: de::Error>(self) -> Result<R::Value, E> {
        Ok(self.0.null())
    }

    fn visit_none<E: de::Error>(self) -> Result<R::Value, E> {
        Ok(self.0.null())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<R::Value, D::Error> {
        self.0.read(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<R::Value, A::Error> {
        self.0.list(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<R::Value, A::Error> {
        self.0.map(map)
    }
}

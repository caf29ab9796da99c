//! What a format may hand over, brought down to few cases.

use std::fmt;
use std::marker::PhantomData;
use std::str;

use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};

use super::Reading;

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
            Self::Text(text) => match str::from_utf8(text) {
                Ok(_) => write!(f, "the string \"{}\"", excerpt(text)),
                // Its bytes tell in what else it is, GBK for one.
                Err(_) => write!(f, "the string \"{}\", which is not UTF-8", raw_excerpt(text)),
            },
        }
    }
}

/// The start of what a peer wrote, fit for a line of a log.
pub(super) fn excerpt(text: &[u8]) -> String {
    let (shown, more) = start(text);
    format!("{}{more}", String::from_utf8_lossy(shown).escape_debug())
}

/// As [`excerpt`], byte by byte.
fn raw_excerpt(text: &[u8]) -> String {
    let (shown, more) = start(text);
    format!("{}{more}", shown.escape_ascii())
}

/// What is shown of `text`, and what stands for the rest.
fn start(text: &[u8]) -> (&[u8], &'static str) {
    match text.get(..SHOWN) {
        Some(start) if text.len() > SHOWN => (start, "..."),
        _ => (text, ""),
    }
}

impl Input<'_> {
    /// What PHP says for nothing.
    pub(super) fn is_false(&self) -> bool {
        matches!(self, Self::Bool(false))
    }

    /// What PHP, its forms and its databases say for nothing.
    pub(super) fn is_false_or_empty(&self) -> bool {
        matches!(self, Self::Bool(false) | Self::Text(b""))
    }
}

/// Makes a value of what comes. Whatever it does not take is an error.
pub(super) trait Reader<'de>: Sized {
    type Value: Default;

    /// What is taken, with its article: "an int32".
    fn expected(&self) -> String;

    /// Whether `input` stands for nothing to a lenient reading: what is a value
    /// of this kind does not.
    fn is_nothing(&self, input: Input<'_>) -> bool {
        input.is_false_or_empty()
    }

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

    fn read<O, D>(self, deserializer: D, reading: Reading) -> Result<O, D::Error>
    where
        O: Outcome<Self::Value>,
        D: Deserializer<'de>,
    {
        deserializer.deserialize_any(ReaderVisitor::<Self, O>::new(self, reading))
    }

    /// Reads what is an array. PHP's format need not look ahead then whether it
    /// is a list; JSON's says in its own words what it had expected.
    fn read_array<O, D>(self, deserializer: D, reading: Reading) -> Result<O, D::Error>
    where
        O: Outcome<Self::Value>,
        D: Deserializer<'de>,
    {
        let visitor = ReaderVisitor::<Self, O>::new(self, reading);
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(visitor)
        } else {
            deserializer.deserialize_map(visitor)
        }
    }
}

/// What is made of a value, or of nothing: the value itself, or an option.
pub(super) trait Outcome<T>: Sized {
    fn some(value: T) -> Self;

    /// Of nothing, where `null` is the value that it is by itself.
    fn nothing(null: impl FnOnce() -> T) -> Self;
}

impl<T> Outcome<T> for T {
    fn some(value: T) -> Self {
        value
    }

    fn nothing(null: impl FnOnce() -> T) -> Self {
        null()
    }
}

impl<T> Outcome<T> for Option<T> {
    fn some(value: T) -> Self {
        Some(value)
    }

    fn nothing(_: impl FnOnce() -> T) -> Self {
        None
    }
}

/// A type that is one scalar.
pub(super) trait Scalar: Sized + Default {
    /// With its article: "an int32".
    const EXPECTED: &'static str;

    /// The value that `input` means; `human_readable` as serde has it.
    fn from_input(input: Input<'_>, human_readable: bool) -> Option<Self>;

    /// As [`Reader::is_nothing`].
    fn is_nothing(input: Input<'_>) -> bool {
        input.is_false_or_empty()
    }
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

    fn is_nothing(&self, input: Input<'_>) -> bool {
        T::is_nothing(input)
    }

    fn scalar<E: de::Error>(self, input: Input<'_>) -> Result<T, E> {
        T::from_input(input, self.human_readable).ok_or_else(|| mismatch(T::EXPECTED, input))
    }
}

/// Reads a [`Scalar`].
pub(super) fn scalar<'de, T, O, D>(deserializer: D, reading: Reading) -> Result<O, D::Error>
where
    T: Scalar,
    O: Outcome<T>,
    D: Deserializer<'de>,
{
    let reader = ScalarReader::<T>::new(deserializer.is_human_readable());
    reader.read(deserializer, reading)
}

pub(super) fn mismatch<E: de::Error>(expected: &str, got: impl fmt::Display) -> E {
    E::custom(format_args!("expected {expected}, got {got}"))
}

struct ReaderVisitor<R, O> {
    reader: R,
    reading: Reading,
    outcome: PhantomData<O>,
}

impl<'de, R: Reader<'de>, O: Outcome<R::Value>> ReaderVisitor<R, O> {
    fn new(reader: R, reading: Reading) -> Self {
        Self { reader, reading, outcome: PhantomData }
    }

    fn scalar<E: de::Error>(self, input: Input<'_>) -> Result<O, E> {
        if self.reading == Reading::Lenient && self.reader.is_nothing(input) {
            return Ok(self.nothing());
        }
        self.reader.scalar(input).map(O::some)
    }

    fn nothing(self) -> O {
        O::nothing(|| self.reader.null())
    }
}

impl<'de, R: Reader<'de>, O: Outcome<R::Value>> Visitor<'de> for ReaderVisitor<R, O> {
    type Value = O;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reader.expected())
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<O, E> {
        self.scalar(Input::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<O, E> {
        self.scalar(Input::Int(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<O, E> {
        self.scalar(match i64::try_from(value) {
            Ok(value) => Input::Int(value),
            Err(_) => Input::Uint(value),
        })
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<O, E> {
        self.scalar(Input::Float(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<O, E> {
        self.scalar(Input::Text(value.as_bytes()))
    }

    fn visit_bytes<E: de::Error>(self, value: &[u8]) -> Result<O, E> {
        self.scalar(Input::Text(value))
    }

    fn visit_unit<E: de::Error>(self) -> Result<O, E> {
        Ok(self.nothing())
    }

    fn visit_none<E: de::Error>(self) -> Result<O, E> {
        Ok(self.nothing())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<O, D::Error> {
        self.reader.read(deserializer, self.reading)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<O, A::Error> {
        self.reader.list(list).map(O::some)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<O, A::Error> {
        self.reader.map(map).map(O::some)
    }
}

//! Keys of PHP arrays and JSON objects.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, Visitor};

use super::Reading;
use super::input::{Reader, Scalar, ScalarReader, excerpt};
use super::number::{self, Numeric};

/// A key, borrowed where the format can lend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key<'de> {
    Text(Cow<'de, str>),
    Int(i64),
}

impl Key<'_> {
    /// Whether PHP would make it an int: JSON has but strings as keys.
    pub(super) fn is_int(&self) -> bool {
        match self {
            Self::Int(_) => true,
            Self::Text(text) => {
                matches!(number::numeric(text.as_bytes()), Some(Numeric::Int(_)))
            }
        }
    }

    pub(super) fn into_string(self) -> String {
        match self {
            Self::Text(text) => text.into_owned(),
            Self::Int(n) => n.to_string(),
        }
    }
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "\"{}\"", excerpt(text.as_bytes())),
            Self::Int(n) => write!(f, "{n}"),
        }
    }
}

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeyVisitor)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Key<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_i64<E: de::Error>(self, n: i64) -> Result<Key<'de>, E> {
        Ok(Key::Int(n))
    }

    fn visit_u64<E: de::Error>(self, n: u64) -> Result<Key<'de>, E> {
        Ok(match i64::try_from(n) {
            Ok(n) => Key::Int(n),
            Err(_) => Key::Text(n.to_string().into()),
        })
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Key<'de>, E> {
        Ok(Key::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Key<'de>, E> {
        Ok(Key::Text(Cow::Borrowed(text)))
    }

    fn visit_bytes<E: de::Error>(self, text: &[u8]) -> Result<Key<'de>, E> {
        let text = String::from_utf8_lossy(text).into_owned();
        Ok(Key::Text(Cow::Owned(text)))
    }

    fn visit_borrowed_bytes<E: de::Error>(self, text: &'de [u8]) -> Result<Key<'de>, E> {
        Ok(Key::Text(String::from_utf8_lossy(text)))
    }
}

/// Reads the key of a `map` field.
pub(super) struct KeySeed<T> {
    human_readable: bool,
    key: PhantomData<T>,
}

impl<T> KeySeed<T> {
    pub(super) fn new(human_readable: bool) -> Self {
        Self { human_readable, key: PhantomData }
    }
}

impl<'de, T: Scalar> DeserializeSeed<'de> for KeySeed<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        // A key is there: it cannot stand for nothing.
        ScalarReader::new(self.human_readable).read(deserializer, Reading::Strict)
    }
}

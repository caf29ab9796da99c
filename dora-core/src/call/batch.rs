//! Several calls in one request.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::method::Method;
use super::name::MethodName;
use super::status::Status;

/// The key of a call within its batch. PHP's are integers or bytes; those of a
/// typed batch are the places of its calls, from 0.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CallKey {
    /// An integer key.
    Int(i64),
    /// A string key.
    Str(Bytes),
}

impl CallKey {
    /// The integer that PHP's arrays, and so packets, make of a key of this text.
    fn integer(key: &str) -> Option<i64> {
        let number: i64 = key.parse().ok()?;
        // Only as PHP writes it: no sign or zero before.
        (number.to_string() == key).then_some(number)
    }
}

/// As in a PHP array, a key that is the text of an integer is that integer.
impl From<&str> for CallKey {
    fn from(key: &str) -> Self {
        match Self::integer(key) {
            Some(number) => Self::Int(number),
            None => Self::Str(Bytes::copy_from_slice(key.as_bytes())),
        }
    }
}

/// As in a PHP array, a key that is the text of an integer is that integer.
impl From<String> for CallKey {
    fn from(key: String) -> Self {
        match Self::integer(&key) {
            Some(number) => Self::Int(number),
            None => Self::Str(key.into()),
        }
    }
}

impl From<i64> for CallKey {
    fn from(key: i64) -> Self {
        Self::Int(key)
    }
}

/// Escaped: a key is a peer's text and may stand in a log.
impl fmt::Display for CallKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(key) => key.fmt(f),
            Self::Str(key) => write!(f, "{}", key.escape_ascii()),
        }
    }
}

impl fmt::Debug for CallKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(key) => key.fmt(f),
            Self::Str(key) => write!(f, "\"{}\"", key.escape_ascii()),
        }
    }
}

/// Checks that no two calls of a batch have the same key: in a PHP array, and so on the
/// wire, the later one would stand in the place of the earlier.
///
/// # Errors
/// `Code::InvalidArgument`: two have; the message names the key.
pub(crate) fn check_keys<'a>(keys: impl ExactSizeIterator<Item = &'a CallKey> + Clone) -> Result<(), Status> {
    // Places of calls, as most keys are, rise.
    if keys.clone().is_sorted_by(|a, b| a < b) {
        return Ok(());
    }
    let mut known = HashSet::with_capacity(keys.len());
    for key in keys {
        if !known.insert(key) {
            let message = format!("two calls of a batch have the key {key:?}: each needs one of its own");
            return Err(Status::invalid_argument(message));
        }
    }
    Ok(())
}

/// A call's place in the batch it came in, and what else is in it: for a layer
/// of a server, where each call of a batch comes as a request of its own.
#[derive(Clone, Debug)]
pub struct BatchPart {
    index: usize,
    calls: Arc<[BatchEntry]>,
}

/// A call of a batch, as the others see it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BatchEntry {
    /// Its key.
    pub key: CallKey,
    /// The canonical path of its method, or the name as it was sent.
    pub method: MethodName,
    /// Its method, if the server has it.
    pub descriptor: Option<&'static Method>,
}

impl BatchEntry {
    pub(crate) const fn new(key: CallKey, method: MethodName, descriptor: Option<&'static Method>) -> Self {
        Self { key, method, descriptor }
    }
}

impl BatchPart {
    pub(crate) const fn new(index: usize, calls: Arc<[BatchEntry]>) -> Self {
        Self { index, calls }
    }

    /// The place of this call in [`calls`](Self::calls).
    #[must_use]
    pub const fn index(&self) -> usize {
        self.index
    }

    /// All calls of the batch, this one too, in the order they were sent. Every
    /// call sees the same ones, so a layer that refuses a call for what is beside
    /// it refuses them all.
    #[must_use]
    pub fn calls(&self) -> &[BatchEntry] {
        &self.calls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_two_calls_have_is_named() {
        let check = |keys: &[CallKey]| check_keys(keys.iter()).map_err(|status| status.message().to_owned());
        let keys = [CallKey::from("b"), CallKey::from("a"), CallKey::from(2), CallKey::from(1)];
        assert_eq!(check(&keys), Ok(()));
        assert_eq!(check(&[]), Ok(()));
        let message = "two calls of a batch have the key 7: each needs one of its own";
        assert_eq!(check(&[7.into(), "7".into()]), Err(message.into()), "as PHP's arrays have it");
        let twice = check(&["b".into(), "a\n".into(), "a\n".into()]).expect_err("twice");
        assert!(twice.contains(r#"the key "a\n""#), "{twice}");
    }

    #[test]
    fn keys_are_those_of_a_php_array() {
        for (text, key) in [("5", 5), ("-7", -7), ("0", 0)] {
            assert_eq!(CallKey::from(text), CallKey::Int(key));
            assert_eq!(CallKey::from(text.to_owned()), CallKey::Int(key));
        }
        for text in ["05", "+5", "-0", " 5", "5.0", "", "a", "9223372036854775808"] {
            assert!(matches!(CallKey::from(text), CallKey::Str(_)), "{text:?}");
        }
    }
}

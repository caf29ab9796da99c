//! Messages from and to JSON.

use serde_json::{Deserializer, Error, Serializer};

use super::{Mapped, PathError, Reading, locate};

/// Reads `json`, and nothing after it but blanks.
///
/// # Errors
///
/// Bytes that are no JSON, and what cannot be meant, with its path.
pub fn from_json<T: Mapped>(json: &[u8]) -> Result<T, PathError<Error>> {
    let mut reader = Deserializer::from_slice(json);
    T::deserialize(&mut reader, Reading::Lenient)
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|error| locate::<T, _>(&mut Deserializer::from_slice(json), error))
}

/// Writes `value` without blanks.
///
/// # Errors
///
/// Well-known types out of their range.
pub fn to_json<T: Mapped>(value: &T) -> Result<Vec<u8>, Error> {
    let mut json = Vec::with_capacity(128);
    value.serialize(&mut Serializer::new(&mut json))?;
    Ok(json)
}

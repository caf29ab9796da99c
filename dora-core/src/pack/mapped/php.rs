//! Messages from and to PHP's `serialize`.

use super::{FromSerde, Mapped, ToSerde};
use crate::pack::limits::Limits;
use crate::pack::php::{self, PhpError};

/// Reads the value that `bytes` start with; what stands after it is ignored,
/// as PHP does.
///
/// # Errors
///
/// Bytes that [`php::decode`] refuses, and what cannot be meant, with its path.
pub fn from_php<T: Mapped>(bytes: &[u8], limits: &Limits) -> Result<T, PhpError> {
    php::from_slice::<FromSerde<T>>(bytes, limits).map(|FromSerde(value)| value)
}

/// Writes `value` as PHP's `serialize` does.
///
/// # Errors
///
/// Well-known types out of their range.
pub fn to_php<T: Mapped>(value: &T) -> Result<Vec<u8>, PhpError> {
    php::to_vec(&ToSerde::<T>::new(value))
}

//! Where in a message an error came up.

use serde::Deserializer;
use thiserror::Error;

use super::{FromSerde, Mapped};

/// What could not be meant, and where.
#[derive(Debug, Error)]
#[error("{}{error}", prefix(.path))]
pub struct PathError<E> {
    /// The path of field names, indexes and keys: `user.address[2].zip`.
    /// Empty if the whole is at fault.
    pub path: String,
    /// What is wrong there.
    pub error: E,
}

/// Says where `error` came up: `again` is what was read, from its start.
///
/// Reading keeps no track of the path, so that it costs nothing while all is
/// well. After an error the value is read once more, with its path noted.
pub fn locate<'de, T, D>(again: D, error: D::Error) -> PathError<D::Error>
where
    T: Mapped,
    D: Deserializer<'de>,
{
    match serde_path_to_error::deserialize::<D, FromSerde<T>>(again) {
        Ok(_) => PathError { path: String::new(), error },
        Err(located) => {
            let path = located.path();
            let path = match path.iter().next() {
                Some(_) => path.to_string(),
                None => String::new(),
            };
            PathError { path, error: located.into_inner() }
        }
    }
}

fn prefix(path: &str) -> String {
    match path {
        "" => String::new(),
        path => format!("{path}: "),
    }
}

//! Where in a message an error came up.

use serde::Deserializer;
use serde_path_to_error::Segment;
use thiserror::Error;

use super::input::excerpt;
use super::{FromSerde, Mapped};

/// A path longer than this is cut, in bytes.
const LONGEST: usize = 256;

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
        Err(located) => PathError { path: describe(located.path().iter()), error: located.into_inner() },
    }
}

/// The path in one line, however long the keys of the peer are.
fn describe<'a>(segments: impl Iterator<Item = &'a Segment>) -> String {
    let mut path = String::new();
    for segment in segments {
        if path.len() > LONGEST {
            path.push_str("...");
            break;
        }
        match segment {
            Segment::Seq { index } => path.push_str(&format!("[{index}]")),
            Segment::Map { key: name } | Segment::Enum { variant: name } => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&excerpt(name.as_bytes()));
            }
            Segment::Unknown => path.push_str(".?"),
        }
    }
    path
}

fn prefix(path: &str) -> String {
    match path {
        "" => String::new(),
        path => format!("{path}: "),
    }
}

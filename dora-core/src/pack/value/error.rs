//! What goes wrong when typed data and values do not fit.

use std::fmt::Display;

use super::printable;

/// A typed value that cannot be a [`Value`](super::Value), or the reverse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ValueError(Box<str>);

impl ValueError {
    pub(super) fn new(message: impl Into<Box<str>>) -> Self {
        Self(message.into())
    }
}

impl serde::ser::Error for ValueError {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(printable::message(&message.to_string()))
    }
}

impl serde::de::Error for ValueError {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(printable::message(&message.to_string()))
    }
}

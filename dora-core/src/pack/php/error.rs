//! What can be wrong with serialized bytes.

use std::fmt::{self, Display};

use crate::pack::value::printable;

/// Serialized bytes that are refused: why, where, and under which keys.
#[derive(Clone, PartialEq, Eq)]
pub struct PhpError(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    kind: PhpErrorKind,
    offset: Option<usize>,
    path: String,
    message: String,
}

/// Why serialized bytes are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PhpErrorKind {
    /// The bytes end in the middle of a value.
    #[error("the bytes end within a value")]
    UnexpectedEnd,
    /// No serialized value starts so, or goes on so.
    #[error("not a serialized value")]
    Syntax,
    /// An integer that 64 bits cannot hold. PHP would clamp it.
    #[error("integer beyond 64 bits")]
    IntOverflow,
    /// Neither a decimal number nor `INF`, `-INF` or `NAN`.
    #[error("not a float")]
    Float,
    /// The length of a string is not where its closing quote is.
    #[error("length of a string does not match")]
    Length,
    /// An array or object claims more, or fewer, elements than it has.
    #[error("count of an array does not match")]
    Count,
    /// The key of an array, or name of a property, is neither an integer nor a string.
    #[error("array key that is neither an integer nor a string")]
    Key,
    /// An `S:` string with a backslash that two hex digits do not follow.
    #[error("bad escape in a string")]
    Escape,
    /// A `C:` object, asked for as anything but a
    /// [`Value`](crate::pack::value::Value).
    #[error("an object that only its class can read")]
    Object,
    /// `R:` or `r:`: [`normalize`](super::normalize()) first.
    #[error("has a reference")]
    Reference,
    /// A reference to nothing, to an array or object around it, or past a `C:`
    /// object.
    #[error("reference to nothing, to what it stands in, or past an object that only its class can read")]
    DanglingReference,
    /// Nested deeper than [`Limits::depth`](crate::pack::limits::Limits).
    #[error("nested too deeply (over Limits::depth)")]
    Depth,
    /// More values than [`Limits::nodes`](crate::pack::limits::Limits).
    #[error("too many values (over Limits::nodes)")]
    Nodes,
    /// More bytes than [`Limits::bytes`](crate::pack::limits::Limits).
    #[error("too many bytes (over Limits::bytes)")]
    Bytes,
    /// Well-formed, but of another type than asked for.
    #[error("of another type than expected")]
    Type,
    /// A key twice, where the reader could not let the last one win.
    #[error("duplicate key")]
    Duplicate,
    /// What serde, or the type that was read or written, has to say.
    #[error("does not fit")]
    Data,
}

impl PhpError {
    /// Why.
    #[must_use]
    pub fn kind(&self) -> PhpErrorKind {
        self.0.kind
    }

    /// Where: bytes from the start of what was given to read.
    #[must_use]
    pub fn offset(&self) -> Option<usize> {
        self.0.offset
    }

    /// Under which keys, such as `api.one.param[3]`. Control characters in keys
    /// are escaped and long keys cut. Empty at the outermost value.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// Whether the bytes hold a reference, so that
    /// [`normalize`](super::normalize()) may help.
    #[must_use]
    pub fn is_reference(&self) -> bool {
        self.0.kind == PhpErrorKind::Reference
    }

    pub(super) fn new(kind: PhpErrorKind, offset: usize, path: String) -> Self {
        Self(Box::new(Inner { kind, offset: Some(offset), path, message: String::new() }))
    }

    /// As [`or_at`](Self::or_at) completes it.
    pub(super) fn without_offset(kind: PhpErrorKind) -> Self {
        Self::data(kind, "")
    }

    fn data(kind: PhpErrorKind, message: &str) -> Self {
        Self(Box::new(Inner {
            kind,
            offset: None,
            path: String::new(),
            message: printable::message(message),
        }))
    }

    /// Visitors do not know where they are: the innermost reader tells.
    pub(super) fn or_at(mut self, offset: usize) -> Self {
        self.0.offset.get_or_insert(offset);
        self
    }

    pub(in crate::pack) fn with_path(mut self, path: String) -> Self {
        self.0.path = path;
        self
    }
}

impl Display for PhpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        match inner.message.as_str() {
            "" => inner.kind.fmt(f)?,
            message => f.write_str(message)?,
        }
        match inner.path.as_str() {
            "" => {}
            path => write!(f, " in {path}")?,
        }
        match inner.offset {
            Some(offset) => write!(f, " at byte {offset}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for PhpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PhpError({:?}: {self})", self.0.kind)
    }
}

impl std::error::Error for PhpError {}

impl serde::ser::Error for PhpError {
    fn custom<T: Display>(message: T) -> Self {
        Self::data(PhpErrorKind::Data, &message.to_string())
    }
}

impl serde::de::Error for PhpError {
    fn custom<T: Display>(message: T) -> Self {
        Self::data(PhpErrorKind::Data, &message.to_string())
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::data(PhpErrorKind::Duplicate, &format!("duplicate key `{field}`"))
    }
}

/// A [`PhpError`] whose path is not worked out yet: small, and free to make.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub(super) kind: PhpErrorKind,
    pub(super) offset: usize,
}

impl From<Fault> for PhpError {
    fn from(fault: Fault) -> Self {
        Self::new(fault.kind, fault.offset, String::new())
    }
}

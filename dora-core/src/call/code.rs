//! Canonical status codes.

use std::fmt;

/// The canonical code of a [`Status`](super::status::Status), numbered as gRPC does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Code {
    /// The caller gave the call up.
    Cancelled = 1,
    /// An error of no known kind: what a PHP exception is.
    Unknown = 2,
    /// The caller sent what cannot be meant.
    InvalidArgument = 3,
    /// No answer in time. The call may have run all the same.
    DeadlineExceeded = 4,
    /// What was asked for does not exist.
    NotFound = 5,
    /// What was to be made exists.
    AlreadyExists = 6,
    /// The caller may not do this.
    PermissionDenied = 7,
    /// A limit or quota is used up.
    ResourceExhausted = 8,
    /// The system is not in the state that the call needs.
    FailedPrecondition = 9,
    /// A concurrent change got in the way.
    Aborted = 10,
    /// Past the valid range.
    OutOfRange = 11,
    /// No such method, or not supported.
    Unimplemented = 12,
    /// A broken invariant: a fault of this software, or of the peer's.
    Internal = 13,
    /// The peer cannot be reached.
    Unavailable = 14,
    /// Bytes were lost or changed.
    DataLoss = 15,
    /// The caller is not known.
    Unauthenticated = 16,
}

impl Code {
    const ALL: [Self; 16] = [
        Self::Cancelled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
    ];

    /// The code with this gRPC number; `None` for 0 (OK) and unknown numbers.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|code| i64::from(code.number()) == number)
    }

    /// The gRPC number of the code, 1 to 16.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

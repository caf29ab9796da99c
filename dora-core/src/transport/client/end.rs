//! How a connection ends, and whether it takes calls until then.

use crate::call::status::Status;

/// Whether it takes calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Intake {
    Open,
    /// No more: what runs ends here. Whoever makes the next connection has yet to hear.
    Shut(Turned),
    /// The same, and it is known.
    Former,
}

/// Why a connection takes no more calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turned {
    /// The server has said that it is about to close.
    Drained,
    /// Nothing ever came on it, and a call was given up.
    Unheard,
}

/// How a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// Nobody needs it any more.
    LetGo,
    /// It takes no more calls, and goes on until those it has have ended.
    Turned(Turned),
    /// A call was given up whose answer could not be told from the next one's.
    Spoiled(Status),
    /// It broke, or the server closed it, or it can be of no use.
    Lost(Status),
}

impl End {
    /// How, in a word for a log.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::LetGo => "not needed any more",
            Self::Turned(Turned::Drained) => "the server drains: it takes no more calls",
            Self::Turned(Turned::Unheard) => "nothing was ever heard on it: it takes no more calls",
            Self::Spoiled(_) => "a call was given up on it",
            Self::Lost(_) => "lost",
        }
    }
}

//! How a channel is, for those who choose between several.

use std::fmt;

use tokio::time::Instant;

/// How the connection of a channel is at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChannelState {
    /// There is no connection; the next call makes one.
    Idle,
    /// A connection is being made.
    Connecting,
    /// The connection stands.
    Ready,
    /// The last attempt to connect failed; the next is made at this moment, if
    /// somebody waits for it.
    Down(Instant),
    /// The task of the connection has ended with its runtime: no call can be made.
    Closed,
}

impl fmt::Display for ChannelState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle => f.write_str("idle"),
            Self::Connecting => f.write_str("connecting"),
            Self::Ready => f.write_str("ready"),
            Self::Down(until) => {
                let wait = until.saturating_duration_since(Instant::now());
                write!(f, "down for another {wait:.1?}")
            }
            Self::Closed => f.write_str("closed"),
        }
    }
}

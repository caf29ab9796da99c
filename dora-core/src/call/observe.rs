//! Hearing what no layer sees.

use std::fmt;
use std::io;

use super::origin::{Connection, Peer};
use super::status::Status;

/// Hears what happens on a server or an endpoint beside its calls: what layers cannot
/// see. All methods do nothing unless written; they are called where the connection
/// is driven, and must not block. An endpoint tells of its server by the name that it
/// was given, as [`Peer::Other`], or by its path.
///
/// ```
/// use dora::{Closed, Connection, Observer};
///
/// struct Log;
///
/// impl Observer for Log {
///     fn connection_closed(&self, connection: &Connection, why: &Closed) {
///         println!("{}: {why}", connection.peer());
///     }
/// }
/// ```
pub trait Observer: Send + Sync + 'static {
    /// A connection was lost before it began: the other end does not speak TLS, or
    /// one of them does not believe the other. `reason` is for people.
    fn handshake_failed(&self, _peer: &Peer, _reason: &dyn fmt::Display) {}

    /// A connection was accepted.
    fn connection_accepted(&self, _connection: &Connection) {}

    /// An endpoint's connection to its server was made.
    fn connection_made(&self, _connection: &Connection) {}

    /// An endpoint could not connect to its server.
    fn attempt_failed(&self, _connection: &Connection, _why: &Status) {}

    /// A connection is over.
    fn connection_closed(&self, _connection: &Connection, _why: &Closed) {}

    /// Bytes came that are no frame: a wrong length or signature, another
    /// protocol. `reason` is for people.
    fn frame_refused(&self, _connection: &Connection, _reason: &dyn fmt::Display) {}

    /// A packet was refused as a whole.
    fn packet_refused(&self, _connection: &Connection, _status: &Status) {}

    /// Calls were refused because too many run already; on an endpoint, because too
    /// many bytes wait to be sent.
    fn calls_shed(&self, _connection: &Connection, _calls: usize) {}

    /// Calls of an endpoint were given up at their deadline, their answers awaited.
    fn calls_expired(&self, _connection: &Connection, _calls: usize) {}

    /// An endpoint dropped answers: `late` ones to calls that were cancelled or had
    /// expired, and `unknown` ones that it never asked for.
    fn answers_dropped(&self, _connection: &Connection, _late: usize, _unknown: usize) {}

    /// What went through a connection since it was last told.
    fn traffic(&self, _connection: &Connection, _traffic: &Traffic) {}
}

/// Why a connection is over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Closed {
    /// The peer closed it.
    ByPeer,
    /// Nothing happened on it for the idle timeout.
    Idle,
    /// A frame that began was not whole within the frame timeout.
    FrameTimeout,
    /// The peer took none of its answers for the stall timeout.
    Stalled,
    /// Too many bytes waited for peers that do not read, most of them for this one.
    OverBudget,
    /// What came is not to be told into frames any more.
    OutOfStep,
    /// The server drained.
    Drained,
    /// This end, a client, needs it no more.
    LetGo,
    /// It was lost: the system's word for why.
    Lost(String),
}

/// Why a connection is over whose reading or writing failed.
impl From<&io::Error> for Closed {
    fn from(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut => Self::Stalled,
            io::ErrorKind::UnexpectedEof => Self::ByPeer,
            _ => Self::Lost(error.to_string()),
        }
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ByPeer => "closed by the peer",
            Self::Idle => "idle",
            Self::FrameTimeout => "a frame that began did not end",
            Self::Stalled => "the peer does not take its answers",
            Self::OverBudget => "too many bytes wait for the peer",
            Self::OutOfStep => "what came is no frame",
            Self::Drained => "drained",
            Self::LetGo => "no longer needed",
            Self::Lost(reason) => return write!(f, "lost: {reason}"),
        })
    }
}

/// What went through a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Packets received.
    pub requests: u64,
    /// Packets sent.
    pub answers: u64,
    /// Bytes received.
    pub received: u64,
    /// Bytes sent.
    pub sent: u64,
}

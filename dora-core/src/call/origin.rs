//! Where a call came from.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use tokio::time::Instant;

use super::extensions::Extensions;
use super::mode::PacketKind;
use super::packed::Packed;
use crate::guid::Guid;

/// Who is at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Peer {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A Unix socket; its path, where it has one (clients seldom do).
    Unix(Option<Arc<Path>>),
    /// A caller in this process.
    InProcess,
    /// Whatever the owner of the connection calls it.
    Other(Arc<str>),
}

impl Peer {
    /// The address, of a TCP peer.
    #[must_use]
    pub const fn socket_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            _ => None,
        }
    }

    /// The IP address, of a TCP peer.
    #[must_use]
    pub const fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => Some(address.ip()),
            _ => None,
        }
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

/// Escaped where it is somebody's text: it may stand in a log.
impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(Some(path)) => write!(f, "unix:{}", path.to_string_lossy().escape_debug()),
            Self::Unix(None) => f.write_str("unix"),
            Self::InProcess => f.write_str("this process"),
            Self::Other(name) => name.escape_debug().fmt(f),
        }
    }
}

/// A connection that calls come over: through which door, from whom, and what
/// whoever accepted it knows about it.
#[derive(Debug)]
pub struct Connection {
    door: &'static str,
    peer: Peer,
    values: Extensions,
}

impl Connection {
    /// The door of Dora's own wire.
    pub const DORA: &'static str = "dora";

    /// A connection through `door` (`dora`, `http`, ..) from `peer`.
    #[must_use]
    pub fn new(door: &'static str, peer: Peer) -> Self {
        Self { door, peer, values: Extensions::default() }
    }

    /// The same with values, such as the identity that a certificate proves.
    #[must_use]
    pub fn with_values(self, values: Extensions) -> Self {
        Self { values, ..self }
    }

    /// The door it came through: `dora`, `http`, ...
    #[must_use]
    pub const fn door(&self) -> &'static str {
        self.door
    }

    /// Who is at its other end.
    #[must_use]
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// What whoever accepted it knows about it.
    #[must_use]
    pub const fn values(&self) -> &Extensions {
        &self.values
    }
}

/// Where a call came from: its connection, and the Dora packet if it came in one.
#[derive(Clone, Debug)]
pub struct RequestOrigin {
    connection: Arc<Connection>,
    begun: Instant,
    packet: Option<PacketOrigin>,
}

/// The Dora packet that a call came in. Other doors have none.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PacketOrigin {
    /// The guid of the packet, shared by all its calls.
    pub guid: Guid,
    /// The `type` of the packet.
    pub kind: PacketKind,
    /// The whole call as it was packed, further fields beside name and parameter
    /// included (PHP and JSON only, and not for a batch before it is taken apart).
    pub raw: Option<Packed>,
}

impl PacketOrigin {
    /// A packet of this guid and type.
    #[must_use]
    pub const fn new(guid: Guid, kind: PacketKind) -> Self {
        Self { guid, kind, raw: None }
    }
}

impl RequestOrigin {
    /// A call that came over `connection` and was taken up at `begun`.
    #[must_use]
    pub const fn new(connection: Arc<Connection>, begun: Instant) -> Self {
        Self { connection, begun, packet: None }
    }

    /// The same, in a Dora packet.
    #[must_use]
    pub fn with_packet(self, packet: PacketOrigin) -> Self {
        Self { packet: Some(packet), ..self }
    }

    /// The connection, shared by all its calls.
    #[must_use]
    pub const fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// The door it came through: `dora`, `http`, ...
    #[must_use]
    pub fn door(&self) -> &'static str {
        self.connection.door
    }

    /// Who sent it.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.connection.peer
    }

    /// When the server took it up: one reading of the clock for all that came at
    /// once.
    #[must_use]
    pub const fn begun(&self) -> Instant {
        self.begun
    }

    pub(crate) const fn begin(&mut self, now: Instant) {
        self.begun = now;
    }

    /// The Dora packet that it came in.
    #[must_use]
    pub const fn packet(&self) -> Option<&PacketOrigin> {
        self.packet.as_ref()
    }

    pub(crate) const fn packet_mut(&mut self) -> Option<&mut PacketOrigin> {
        self.packet.as_mut()
    }
}

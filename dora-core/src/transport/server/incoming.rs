//! A connection that stands and is to be served.

use std::any::Any;
use std::fmt;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use crate::call::extensions::Extensions;
use crate::call::origin::{Connection, Peer};
use crate::transport::io::stream::Stream;

/// A connection that stands and is to be served: a socket, or any stream.
///
/// ```
/// use dora::Incoming;
///
/// let (near, far) = tokio::io::duplex(1024);
/// // What was read to find out whom the connection is for is said again.
/// let incoming = Incoming::new(far).first("already read");
/// # drop((near, incoming));
/// ```
pub struct Incoming {
    pub(super) stream: Stream,
    pub(super) first: Bytes,
    pub(super) peer: Peer,
    pub(super) values: Extensions,
    /// What its ends agreed to speak on it, within TLS.
    pub(super) protocol: Option<Bytes>,
}

impl Incoming {
    /// Any stream. Sockets of the system are better handed over as themselves
    /// (`Incoming::from`): they hold no buffer while nothing comes.
    pub fn new(io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self::over(Stream::Other(Box::new(io)), Peer::InProcess)
    }

    /// With bytes that were read from it before, and come first.
    #[must_use]
    pub fn first(self, bytes: impl Into<Bytes>) -> Self {
        Self { first: bytes.into(), ..self }
    }

    /// Says who is at the other end. Default: the socket's peer; of what is no
    /// socket, this process.
    #[must_use]
    pub fn peer(self, peer: impl Into<Peer>) -> Self {
        Self { peer: peer.into(), ..self }
    }

    /// Adds a value that all its calls see: who the caller has proved to be, say.
    #[must_use]
    pub fn value<T: Any + Clone + Send + Sync>(mut self, value: T) -> Self {
        self.values.insert(value);
        self
    }

    fn over(stream: Stream, peer: Peer) -> Self {
        Self { stream, first: Bytes::new(), peer, values: Extensions::default(), protocol: None }
    }

    /// The stream, what comes before it, and what calls see of it that come through
    /// `door`.
    pub(super) fn into_parts(self, door: &'static str) -> (Stream, Bytes, Connection) {
        let Self { stream, first, peer, values, .. } = self;
        (stream, first, Connection::new(door, peer).with_values(values))
    }
}

impl From<TcpStream> for Incoming {
    fn from(stream: TcpStream) -> Self {
        // One without a peer has ended already, which the first read tells.
        let peer = stream.peer_addr().map_or_else(|_| Peer::Other("gone".into()), Peer::Tcp);
        Self::over(Stream::Tcp(stream), peer)
    }
}

#[cfg(unix)]
impl From<UnixStream> for Incoming {
    fn from(stream: UnixStream) -> Self {
        let path = stream.peer_addr().ok().and_then(|peer| peer.as_pathname().map(Into::into));
        Self::over(Stream::Unix(stream), Peer::Unix(path))
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("stream", &self.stream).field("peer", &self.peer).finish()
    }
}

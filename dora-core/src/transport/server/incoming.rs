//! A connection that stands and is to be served.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use crate::transport::io::stream::Stream;

/// A connection that stands and is to be served: a socket, or any stream.
///
/// ```
/// use dora_core::transport::server::incoming::Incoming;
///
/// let (near, far) = tokio::io::duplex(1024);
/// // What was read to find out whom the connection is for is said again.
/// let incoming = Incoming::new(far).first("already read");
/// # drop((near, incoming));
/// ```
pub struct Incoming {
    pub(super) stream: Stream,
    pub(super) first: Bytes,
    pub(super) peer: SocketAddr,
}

impl Incoming {
    /// Any stream. Sockets of the system are better handed over as themselves
    /// (`Incoming::from`): they hold no buffer while nothing comes.
    pub fn new(io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self::over(Stream::Other(Box::new(io)), nowhere())
    }

    /// With bytes that were read from it before, and come first.
    #[must_use]
    pub fn first(self, bytes: impl Into<Bytes>) -> Self {
        Self { first: bytes.into(), ..self }
    }

    pub(super) fn over(stream: Stream, peer: SocketAddr) -> Self {
        Self { stream, first: Bytes::new(), peer }
    }
}

pub(super) const fn nowhere() -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0)
}

impl From<TcpStream> for Incoming {
    fn from(stream: TcpStream) -> Self {
        // One without a peer has ended already, which the first read tells.
        let peer = stream.peer_addr().unwrap_or_else(|_| nowhere());
        Self::over(Stream::Tcp(stream), peer)
    }
}

#[cfg(unix)]
impl From<UnixStream> for Incoming {
    fn from(stream: UnixStream) -> Self {
        Self::over(Stream::Unix(stream), nowhere())
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("stream", &self.stream).field("peer", &self.peer).finish()
    }
}

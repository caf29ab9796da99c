//! From an address to a listener.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use tokio::net::{TcpListener, TcpSocket, lookup_host};

use crate::transport::io::address::Address;

use super::accept::Accept;
use super::incoming::Incoming;
#[cfg(unix)]
use super::unix::UnixPath;

/// Connections that may have finished their handshake and wait to be accepted.
const BACKLOG: u32 = 1024;

/// A listener on an address.
#[derive(Debug)]
pub enum Bound {
    /// On a TCP port.
    Tcp(TcpListener),
    /// On a path.
    #[cfg(unix)]
    Unix(UnixPath),
}

impl Accept for Bound {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Incoming>>> {
        match self {
            Self::Tcp(listener) => Accept::poll_accept(listener, cx),
            #[cfg(unix)]
            Self::Unix(listener) => listener.poll_accept(cx),
        }
    }

    fn close(self) -> Vec<Incoming> {
        match self {
            Self::Tcp(listener) => listener.close(),
            #[cfg(unix)]
            Self::Unix(listener) => listener.close(),
        }
    }
}

/// Listens on `address`; `shared`: beside others on the same port, or in place of
/// the one that listens on the same path.
///
/// # Errors
/// The name has no address, or the system refuses.
pub async fn bind(address: &Address, shared: bool) -> io::Result<Bound> {
    match address {
        Address::Tcp { host, port } => {
            let mut last = None;
            for address in lookup_host((&**host, *port)).await? {
                match tcp(address, shared) {
                    Ok(listener) => return Ok(Bound::Tcp(listener)),
                    Err(error) => last = Some(error),
                }
            }
            Err(last.unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address")))
        }
        #[cfg(unix)]
        Address::Unix(path) => super::unix::bind(path, shared).map(Bound::Unix),
        #[cfg(not(unix))]
        Address::Unix(_) => {
            Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no Unix sockets"))
        }
    }
}

fn tcp(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // As tokio's `TcpListener::bind`: elsewhere than on Unix it means another thing.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    if shared {
        share(&socket)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[cfg(unix)]
fn share(socket: &TcpSocket) -> io::Result<()> {
    socket.set_reuseport(true)
}

#[cfg(not(unix))]
fn share(_: &TcpSocket) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system shares no port"))
}

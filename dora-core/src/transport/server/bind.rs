//! Listening on an address, and saying why it is not possible.

use std::fmt;
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

    fn address(&self) -> Option<Address> {
        match self {
            Self::Tcp(listener) => Accept::address(listener),
            #[cfg(unix)]
            Self::Unix(listener) => listener.address(),
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

/// An address that cannot be listened on.
#[derive(Debug)]
pub struct ListenError {
    /// What was tried: the address, or those that its name has.
    addresses: Vec<Address>,
    source: io::Error,
}

/// Listens on `address`, for a name on the first of its addresses that allows it;
/// `shared`: beside others on the same port, or in place of the one that listens
/// on the same path.
///
/// # Errors
/// None does: with the last one's reason.
pub async fn bind(address: &Address, shared: bool) -> Result<Bound, ListenError> {
    let refused = |addresses, source| ListenError { addresses, source };
    match address {
        Address::Tcp { host, port } => {
            let found = lookup_host((&**host, *port)).await;
            let found: Vec<_> = found.map_err(|error| refused(vec![address.clone()], error))?.collect();
            let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
            for address in &found {
                match tcp(*address, shared) {
                    Ok(listener) => return Ok(Bound::Tcp(listener)),
                    Err(error) => last = error,
                }
            }
            Err(refused(found.into_iter().map(Address::from).collect(), last))
        }
        #[cfg(unix)]
        Address::Unix(path) => match super::unix::bind(path, shared) {
            Ok(listener) => Ok(Bound::Unix(listener)),
            Err(error) => Err(refused(vec![address.clone()], error)),
        },
        #[cfg(not(unix))]
        Address::Unix(_) => {
            let error = io::Error::new(io::ErrorKind::Unsupported, "this system has no Unix sockets");
            Err(refused(vec![address.clone()], error))
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

impl ListenError {
    /// What kind of error the system gave.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot listen")?;
        for (index, address) in self.addresses.iter().enumerate() {
            write!(f, "{}{address}", if index == 0 { " on " } else { " or " })?;
        }
        write!(f, ": {}", self.source)?;
        f.write_str(match self.source.kind() {
            io::ErrorKind::AddrInUse => {
                "; another program, or an instance of this one, has it: stop it, or take another one"
            }
            io::ErrorKind::AddrNotAvailable => {
                "; it is no address of this machine: 0.0.0.0 stands for all that are"
            }
            io::ErrorKind::PermissionDenied => "; ports below 1024 take a privilege: take a higher one",
            _ => "",
        })
    }
}

impl std::error::Error for ListenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn listen(address: &str) -> Result<TcpListener, ListenError> {
        match bind(&address.parse().expect("an address"), false).await? {
            Bound::Tcp(listener) => Ok(listener),
            other => panic!("no TCP: {other:?}"),
        }
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_named() {
        let first = listen("127.0.0.1:0").await.expect("a free port");
        let address = first.local_addr().expect("an address");
        let error = listen(&address.to_string()).await.expect_err("it is taken");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        let said = error.to_string();
        assert!(said.starts_with(&format!("cannot listen on {address}: ")), "{said}");
        assert!(said.ends_with("has it: stop it, or take another one"), "{said}");
    }

    #[tokio::test]
    async fn a_foreign_address_is_named() {
        // For documentation (RFC 5737): no machine has it.
        let said = listen("192.0.2.1:0").await.expect_err("not ours").to_string();
        assert!(said.starts_with("cannot listen on 192.0.2.1:0: "), "{said}");
        assert!(said.contains("no address of this machine"), "{said}");
    }
}

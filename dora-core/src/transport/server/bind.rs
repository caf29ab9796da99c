//! Listening, and saying why it is not possible.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, ToSocketAddrs, lookup_host};

/// An address that cannot be listened on.
#[derive(Debug)]
pub struct ListenError {
    /// The addresses that were tried; none if a name has none.
    addresses: Vec<SocketAddr>,
    source: io::Error,
}

/// A listener on the first address that allows one.
///
/// # Errors
/// None does: with the last one's reason.
pub async fn bind(address: impl ToSocketAddrs) -> Result<TcpListener, ListenError> {
    let refused = |addresses, source| ListenError { addresses, source };
    let addresses: Vec<_> = lookup_host(address).await.map_err(|error| refused(Vec::new(), error))?.collect();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in &addresses {
        match TcpListener::bind(*address).await {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(refused(addresses, last))
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
                "; another program, or an instance of this one, has the port: stop it, or take another port"
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

    #[tokio::test]
    async fn a_port_that_is_taken_is_named() {
        let first = bind("127.0.0.1:0").await.expect("a free port");
        let address = first.local_addr().expect("an address");
        let error = bind(address).await.expect_err("it is taken");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        let said = error.to_string();
        assert!(said.starts_with(&format!("cannot listen on {address}: ")), "{said}");
        assert!(said.ends_with("has the port: stop it, or take another port"), "{said}");
    }

    #[tokio::test]
    async fn a_foreign_address_is_named() {
        // For documentation (RFC 5737): no machine has it.
        let said = bind("192.0.2.1:0").await.expect_err("not ours").to_string();
        assert!(said.starts_with("cannot listen on 192.0.2.1:0: "), "{said}");
        assert!(said.contains("no address of this machine"), "{said}");
    }
}

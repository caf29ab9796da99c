//! Making a connection.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use crate::transport::io::address::Address;
use crate::transport::io::stream::Stream;

/// What makes the connections of an endpoint.
#[derive(Clone, Default)]
pub(super) enum Connector {
    /// The system's sockets.
    #[default]
    System,
    /// What the user brought.
    Own(Arc<Connect>),
}

type Connect = dyn Fn(Address) -> Pin<Box<dyn Future<Output = io::Result<Stream>> + Send>> + Send + Sync;

impl Connector {
    /// A connector that the user brings.
    pub(super) fn own<F, Fut, IO>(connect: F) -> Self
    where
        F: Fn(Address) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = io::Result<IO>> + Send + 'static,
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        Self::Own(Arc::new(move |address| {
            let connecting = connect(address);
            Box::pin(async move { Ok(Stream::Other(Box::new(connecting.await?))) })
        }))
    }

    /// Connects to `address`.
    pub(super) async fn connect(&self, address: &Address) -> io::Result<Stream> {
        match self {
            Self::System => dial(address).await,
            Self::Own(connect) => connect(address.clone()).await,
        }
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "System",
            Self::Own(_) => "Own",
        })
    }
}

async fn dial(address: &Address) -> io::Result<Stream> {
    match address {
        Address::Tcp { host, port } => {
            let stream = TcpStream::connect((&**host, *port)).await?;
            notice_silence(&stream)?;
            Stream::tcp(stream)
        }
        #[cfg(unix)]
        Address::Unix(path) => Ok(Stream::Unix(UnixStream::connect(path).await?)),
        #[cfg(not(unix))]
        Address::Unix(_) => {
            Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no Unix sockets"))
        }
    }
}

/// Keepalive is not sent while requests are unacknowledged: without this, those
/// of a server that vanished would go into a dead connection for a quarter of an hour.
fn notice_silence(stream: &TcpStream) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    SockRef::from(stream).set_tcp_user_timeout(Some(Duration::from_secs(60)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_server_that_vanished_is_noticed_while_requests_are_unacknowledged() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let stream = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("connects");
        notice_silence(&stream).expect("a socket");
        assert_eq!(SockRef::from(&stream).tcp_user_timeout().ok(), Some(Some(Duration::from_secs(60))));
    }
}

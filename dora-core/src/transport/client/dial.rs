//! Making a connection.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use crate::transport::io::address::Address;
use crate::transport::io::stream::Stream;

/// What makes the connections of an endpoint.
#[derive(Clone, Default)]
pub(super) struct Connector {
    /// What the user brought, in place of the system's sockets.
    connect: Option<Arc<Connect>>,
    /// What is spoken over the connection before anything else.
    pub(super) upgrade: Option<Arc<Upgrade>>,
}

type Connect = dyn Fn(Address) -> Connecting + Send + Sync;

/// Makes another stream of one that stands.
pub(super) type Upgrade = dyn Fn(Stream, Address) -> Connecting + Send + Sync;

type Connecting = Pin<Box<dyn Future<Output = io::Result<Stream>> + Send>>;

impl Connector {
    /// With a connector that the user brings.
    pub(super) fn with<F, Fut, IO>(self, connect: F) -> Self
    where
        F: Fn(Address) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = io::Result<IO>> + Send + 'static,
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let connect: Arc<Connect> = Arc::new(move |address| {
            let connecting = connect(address);
            Box::pin(async move { Ok(Stream::Other(Box::new(connecting.await?))) })
        });
        Self { connect: Some(connect), ..self }
    }

    /// Connects to `address`.
    pub(super) async fn connect(&self, address: &Address) -> io::Result<Stream> {
        let stream = match &self.connect {
            None => dial(address).await?,
            Some(connect) => connect(address.clone()).await?,
        };
        match &self.upgrade {
            None => Ok(stream),
            Some(upgrade) => upgrade(stream, address.clone()).await,
        }
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connect, upgrade } = self;
        write!(f, "Connector(own: {}, upgraded: {})", connect.is_some(), upgrade.is_some())
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
#[cfg(any(target_os = "linux", target_os = "android"))]
fn notice_silence(stream: &TcpStream) -> io::Result<()> {
    socket2::SockRef::from(stream).set_tcp_user_timeout(Some(std::time::Duration::from_secs(60)))
}

/// Other systems have no such setting.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn notice_silence(_: &TcpStream) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::Duration;

    use socket2::SockRef;

    use super::*;

    #[tokio::test]
    async fn a_server_that_vanished_is_noticed_while_requests_are_unacknowledged() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let stream = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("connects");
        notice_silence(&stream).expect("a socket");
        assert_eq!(SockRef::from(&stream).tcp_user_timeout().ok(), Some(Some(Duration::from_secs(60))));
    }
}

//! Making a connection.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::net::{TcpStream, lookup_host};

use crate::transport::io::address::Address;
use crate::transport::io::stream::Stream;

use super::race;

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
            // The task that connects must outlive a panic: no channel has another.
            let connecting = catch_unwind(AssertUnwindSafe(|| connect(address)));
            Box::pin(async move {
                let mut connecting = pin!(connecting.map_err(|_| panicked())?);
                let stream = poll_fn(|cx| {
                    catch_unwind(AssertUnwindSafe(|| connecting.as_mut().poll(cx)))
                        .unwrap_or_else(|_| Poll::Ready(Err(panicked())))
                });
                Ok(Stream::Other(Box::new(stream.await?)))
            })
        });
        Self { connect: Some(connect), ..self }
    }

    /// Connects to `address`, so that a peer is taken for gone that does not
    /// acknowledge bytes for `silence`.
    pub(super) async fn connect(&self, address: &Address, silence: Duration) -> io::Result<Stream> {
        let stream = match &self.connect {
            None => dial(address, silence).await?,
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

fn panicked() -> io::Error {
    io::Error::other("the connector panicked")
}

async fn dial(address: &Address, silence: Duration) -> io::Result<Stream> {
    match address {
        Address::Tcp { host, port } => {
            // Anew for each connection: names move.
            let addresses = race::in_turn(lookup_host((&**host, *port)).await?);
            let stream = race::connect(addresses, TcpStream::connect).await?;
            notice_silence(&stream, silence)?;
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
fn notice_silence(stream: &TcpStream, silence: Duration) -> io::Result<()> {
    // The system counts milliseconds in 32 bits.
    const MOST: Duration = Duration::from_millis(i32::MAX as u64);
    socket2::SockRef::from(stream).set_tcp_user_timeout((silence <= MOST).then_some(silence))
}

/// Other systems have no such setting.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn notice_silence(_: &TcpStream, _: Duration) -> io::Result<()> {
    Ok(())
}

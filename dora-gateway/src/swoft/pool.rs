//! Connections to a server, of which each has one call at a time.

use std::io;

use bytes::Bytes;
use dora_core::call::status::Status;
use dora_core::transport::io::address::Address;
use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::endpoint::SwoftEndpoint;
use super::frames::{Frames, TooLong};

/// The connections of a channel.
pub(super) struct Pool {
    endpoint: SwoftEndpoint,
    places: Semaphore,
    /// Those that nothing is asked on, used last at the end.
    idle: Mutex<Vec<(Connection, Instant)>>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Nobody was asked.
    Unconnected(String),
    /// Somebody may have been.
    Lost(String),
    /// What was answered is longer than it may be.
    TooLong(usize),
}

struct Connection {
    stream: Box<dyn Stream>,
    frames: Frames,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Trouble {
    pub(super) fn into_status(self) -> Status {
        match self {
            Self::Unconnected(reason) => Status::unavailable(reason).unsent(),
            Self::Lost(reason) => Status::unavailable(reason),
            Self::TooLong(most) => Status::resource_exhausted(format!(
                "the answer is over {most} bytes (SwoftEndpoint::max_packet)"
            )),
        }
    }
}

impl Pool {
    pub(super) fn new(endpoint: SwoftEndpoint) -> Self {
        let places = Semaphore::new(endpoint.max_connections.min(Semaphore::MAX_PERMITS));
        Self { endpoint, places, idle: Mutex::default() }
    }

    pub(super) const fn endpoint(&self) -> &SwoftEndpoint {
        &self.endpoint
    }

    /// Asks on a connection that nothing else is asked on. Dropped, it closes that
    /// connection.
    pub(super) async fn ask(&self, frame: &[u8]) -> Result<Bytes, Trouble> {
        let unconnected = |_| Trouble::Unconnected("the channel is closed".to_owned());
        let _place = self.places.acquire().await.map_err(unconnected)?;
        let mut connection = match self.reuse() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let answer = connection.ask(frame, &self.endpoint).await?;
        // What nobody asked for would be taken for the next answer.
        if connection.frames.is_empty() {
            self.idle.lock().push((connection, Instant::now()));
        }
        Ok(answer)
    }

    /// A connection that stands, as far as this end can tell.
    fn reuse(&self) -> Option<Connection> {
        loop {
            let (mut connection, since) = self.idle.lock().pop()?;
            if since.elapsed() > self.endpoint.idle_timeout {
                // Those below it are older.
                self.idle.lock().retain(|(_, since)| since.elapsed() <= self.endpoint.idle_timeout);
            } else if connection.is_quiet() {
                return Some(connection);
            }
        }
    }

    async fn connect(&self) -> Result<Connection, Trouble> {
        let SwoftEndpoint { address, dialect, connect_timeout, max_packet, .. } = &self.endpoint;
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no connection in time (connect_timeout)");
        let stream = match timeout(*connect_timeout, dial(address)).await.map_err(late) {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) | Err(error) => {
                return Err(Trouble::Unconnected(format!("cannot connect to {address}: {error}")));
            }
        };
        Ok(Connection { stream, frames: Frames::new(dialect.end.clone(), *max_packet) })
    }
}

async fn dial(address: &Address) -> io::Result<Box<dyn Stream>> {
    match address {
        Address::Tcp { host, port } => {
            let stream = TcpStream::connect((&**host, *port)).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream))
        }
        #[cfg(unix)]
        Address::Unix(path) => Ok(Box::new(tokio::net::UnixStream::connect(path).await?)),
        _ => Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no such sockets")),
    }
}

impl Connection {
    /// Whether the peer has neither ended it nor said what nobody asked for.
    fn is_quiet(&mut self) -> bool {
        self.stream.read_buf(self.frames.buffer()).now_or_never().is_none()
    }

    async fn ask(&mut self, frame: &[u8], endpoint: &SwoftEndpoint) -> Result<Bytes, Trouble> {
        let lost = |error: io::Error| Trouble::Lost(format!("{}: {error}", endpoint.address));
        self.stream.write_all(frame).await.map_err(lost)?;
        self.stream.flush().await.map_err(lost)?;
        loop {
            match self.frames.next() {
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) => {}
                Err(TooLong) => return Err(Trouble::TooLong(endpoint.max_packet)),
            }
            self.frames.buffer().reserve(ROOM);
            if self.stream.read_buf(self.frames.buffer()).await.map_err(lost)? == 0 {
                let message = format!("{} closed the connection without an answer", endpoint.address);
                return Err(Trouble::Lost(message));
            }
        }
    }
}

/// Room that is made for what comes.
const ROOM: usize = 8 << 10;

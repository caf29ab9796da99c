//! A connection's bytes, whatever carries them.
//!
//! TCP and Unix sockets keep what makes them cheap: readiness (no buffer is held
//! while nothing comes) and writing from any thread. Whatever else is a stream
//! (TLS, a pair in memory, one that the user brings) is read and written by its
//! task alone.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

#[cfg(unix)]
use futures_util::FutureExt;
use socket2::SockRef;
#[cfg(unix)]
use tokio::io::Interest;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, ReadHalf, WriteHalf, split};
#[cfg(unix)]
use tokio::net::UnixStream;
#[cfg(unix)]
use tokio::net::unix;
use tokio::net::{TcpStream, tcp};

use super::tcp::prepare;

/// A stream that is no socket of the system.
pub(in crate::transport) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connection that stands.
pub(in crate::transport) enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
    Other(Box<dyn Io>),
}

/// The half of a [`Stream`] that is read.
pub(in crate::transport) enum Reader {
    Tcp(tcp::OwnedReadHalf),
    #[cfg(unix)]
    Unix(unix::OwnedReadHalf),
    Other(ReadHalf<Box<dyn Io>>),
}

/// The half of a [`Stream`] that is written.
pub(in crate::transport) enum Writer {
    Tcp(tcp::OwnedWriteHalf),
    #[cfg(unix)]
    Unix(unix::OwnedWriteHalf),
    Other(WriteHalf<Box<dyn Io>>),
}

impl Stream {
    /// A TCP connection, set as both ends want it.
    pub(in crate::transport) fn tcp(stream: TcpStream) -> io::Result<Self> {
        prepare(&stream)?;
        Ok(Self::Tcp(stream))
    }

    /// Whether there is something to read. Streams without readiness always seem
    /// to have something: reading them tells.
    pub(in crate::transport) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(cx),
            #[cfg(unix)]
            Self::Unix(stream) => stream.poll_read_ready(cx),
            Self::Other(_) => Poll::Ready(Ok(())),
        }
    }

    /// What broke the connection since this was asked last, as far as the system
    /// says so without a read or a write.
    pub(in crate::transport) fn take_error(&self) -> io::Result<Option<io::Error>> {
        match self {
            Self::Tcp(stream) => stream.take_error(),
            #[cfg(unix)]
            Self::Unix(stream) => stream.take_error(),
            Self::Other(_) => Ok(None),
        }
    }

    /// Whether the peer has gone, and not only ended what it sends. Of TCP that is
    /// known by a reset, or not at all.
    pub(in crate::transport) fn has_left(&mut self, cx: &mut Context<'_>) -> bool {
        match self {
            Self::Tcp(_) => false,
            // No wake is awaited: whoever asks looks again.
            #[cfg(unix)]
            Self::Unix(stream) => stream
                .ready(Interest::WRITABLE)
                .now_or_never()
                .is_some_and(|ready| ready.is_ok_and(|ready| ready.is_write_closed())),
            // Nothing to write: no more than a question.
            Self::Other(stream) => matches!(Pin::new(stream).poll_write(cx, &[]), Poll::Ready(Err(_))),
        }
    }

    /// The two halves, for two owners.
    pub(in crate::transport) fn split(self) -> (Reader, Writer) {
        match self {
            Self::Tcp(stream) => {
                let (reader, writer) = stream.into_split();
                (Reader::Tcp(reader), Writer::Tcp(writer))
            }
            #[cfg(unix)]
            Self::Unix(stream) => {
                let (reader, writer) = stream.into_split();
                (Reader::Unix(reader), Writer::Unix(writer))
            }
            Self::Other(stream) => {
                let (reader, writer) = split(stream);
                (Reader::Other(reader), Writer::Other(writer))
            }
        }
    }
}

impl Reader {
    /// As [`Stream::poll_read_ready`].
    pub(in crate::transport) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(half) => half.as_ref().poll_read_ready(cx),
            #[cfg(unix)]
            Self::Unix(half) => half.as_ref().poll_read_ready(cx),
            Self::Other(_) => Poll::Ready(Ok(())),
        }
    }

    /// Ends the connection, of which `writer` is the other half, so that the peer
    /// hears that nobody reads its answers: by a reset where there is such a
    /// thing, else by closing without a farewell.
    pub(in crate::transport) fn reset(self, writer: Option<Writer>) {
        if let Self::Tcp(half) = &self {
            // Where it fails the connection is gone already.
            let _ = SockRef::from(half.as_ref()).set_linger(Some(Duration::ZERO));
        }
        match writer {
            // Dropped, it would first say that nothing more is sent: a server then
            // still answers.
            Some(Writer::Tcp(half)) => half.forget(),
            #[cfg(unix)]
            Some(Writer::Unix(half)) => half.forget(),
            Some(Writer::Other(_)) | None => {}
        }
    }
}

impl Writer {
    /// Writes what can be written at once, from any thread and without a task to
    /// wake.
    ///
    /// # Errors
    /// `WouldBlock`: nothing can, or only the connection's own task may write.
    pub(in crate::transport) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(half) => half.try_write(bytes),
            #[cfg(unix)]
            Self::Unix(half) => half.try_write(bytes),
            Self::Other(_) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

/// Hands a call to the stream that an enum holds.
macro_rules! stream {
    ($type:ident, $this:expr, $stream:ident => $call:expr) => {
        match $this {
            $type::Tcp($stream) => $call,
            #[cfg(unix)]
            $type::Unix($stream) => $call,
            $type::Other($stream) => $call,
        }
    };
}

macro_rules! impl_read {
    ($type:ident) => {
        impl AsyncRead for $type {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                stream!($type, self.get_mut(), stream => Pin::new(stream).poll_read(cx, buf))
            }
        }
    };
}

macro_rules! impl_write {
    ($type:ident) => {
        impl AsyncWrite for $type {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                stream!($type, self.get_mut(), stream => Pin::new(stream).poll_write(cx, buf))
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                stream!($type, self.get_mut(), stream => Pin::new(stream).poll_write_vectored(cx, bufs))
            }

            fn is_write_vectored(&self) -> bool {
                stream!($type, self, stream => stream.is_write_vectored())
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                stream!($type, self.get_mut(), stream => Pin::new(stream).poll_flush(cx))
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                stream!($type, self.get_mut(), stream => Pin::new(stream).poll_shutdown(cx))
            }
        }
    };
}

macro_rules! impl_debug {
    ($type:ident) => {
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    Self::Tcp(_) => concat!(stringify!($type), "(TCP)"),
                    #[cfg(unix)]
                    Self::Unix(_) => concat!(stringify!($type), "(Unix)"),
                    Self::Other(_) => concat!(stringify!($type), "(other)"),
                })
            }
        }
    };
}

impl_read!(Stream);
impl_read!(Reader);
impl_write!(Stream);
impl_write!(Writer);
impl_debug!(Stream);
impl_debug!(Reader);
impl_debug!(Writer);

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Waker;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn over_tcp() -> (Stream, Stream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let near = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("connects");
        let (far, _) = listener.accept().await.expect("accepts");
        (Stream::tcp(near).expect("stands"), Stream::tcp(far).expect("stands"))
    }

    async fn each_kind() -> Vec<(Stream, Stream)> {
        let (near, far) = tokio::io::duplex(1 << 16);
        let mut kinds = vec![over_tcp().await, (Stream::Other(Box::new(near)), Stream::Other(Box::new(far)))];
        #[cfg(unix)]
        {
            let (near, far) = UnixStream::pair().expect("a pair");
            kinds.push((Stream::Unix(near), Stream::Unix(far)));
        }
        kinds
    }

    #[tokio::test]
    async fn what_is_written_into_one_end_is_read_from_the_other() {
        for (near, mut far) in each_kind().await {
            let name = format!("{near:?}");
            let (mut reader, mut writer) = near.split();
            let mut came = [0; 4];
            writer.write_all(b"ping").await.expect("stands");
            poll_fn(|cx| far.poll_read_ready(cx)).await.expect("stands");
            far.read_exact(&mut came).await.expect("stands");
            assert_eq!(&came, b"ping", "{name}");
            far.write_all(b"pong").await.expect("stands");
            poll_fn(|cx| reader.poll_read_ready(cx)).await.expect("stands");
            reader.read_exact(&mut came).await.expect("stands");
            assert_eq!(&came, b"pong", "{name}");
            assert!(far.take_error().expect("stands").is_none(), "{name}");
            writer.shutdown().await.expect("stands");
            assert_eq!(far.read(&mut came).await.expect("an end"), 0, "{name}");
        }
    }

    #[tokio::test]
    async fn sockets_are_written_from_anywhere_and_others_by_their_task() {
        for (near, _far) in each_kind().await {
            let socket = !matches!(near, Stream::Other(_));
            let (_reader, mut writer) = near.split();
            // Only then does tokio know that the socket can be written.
            writer.write_all(b"x").await.expect("stands");
            match writer.try_write(b"x") {
                Ok(count) => assert!(socket && count == 1),
                Err(error) => assert!(error.kind() == io::ErrorKind::WouldBlock),
            }
        }
    }

    #[tokio::test]
    async fn a_peer_that_has_left_is_told_from_one_that_sends_no_more() {
        let left = async |far: &mut Stream| {
            // The system says so in its own time.
            for _ in 0..500 {
                if poll_fn(|cx| Poll::Ready(far.has_left(cx))).await {
                    return true;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            false
        };
        for (mut near, mut far) in each_kind().await {
            let name = format!("{near:?}");
            let here = |far: &mut Stream| far.has_left(&mut Context::from_waker(Waker::noop()));
            assert!(!here(&mut far), "{name}");
            near.shutdown().await.expect("stands");
            assert_eq!(far.read(&mut [0; 4]).await.expect("an end"), 0, "{name}");
            assert!(!here(&mut far), "{name}: it still reads");
            let tcp = matches!(near, Stream::Tcp(_));
            drop(near);
            assert!(tcp || left(&mut far).await, "{name}");
        }
    }

    #[tokio::test]
    async fn a_reset_tells_a_tcp_peer_and_an_end_the_others() {
        for (near, mut far) in each_kind().await {
            let tcp = matches!(near, Stream::Tcp(_));
            let (reader, writer) = near.split();
            reader.reset(Some(writer));
            match far.read(&mut [0; 4]).await {
                Ok(count) => assert!(!tcp && count == 0),
                Err(error) => assert!(tcp && error.kind() == io::ErrorKind::ConnectionReset),
            }
        }
    }
}

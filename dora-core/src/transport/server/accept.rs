//! What connections come from.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::stream::Stream;
use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::net::UnixListener;

use crate::call::status::BoxError;
use crate::transport::io::address::Address;

use super::incoming::Incoming;

/// What connections come from.
pub trait Accept: Send {
    /// The next connection; `None` when there will be none any more.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Incoming>>>;

    /// Where it listens, if that is an address.
    fn address(&self) -> Option<Address> {
        None
    }

    /// Stops listening: what has connected already and was not accepted.
    fn close(self) -> Vec<Incoming>;
}

impl Accept for TcpListener {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Incoming>>> {
        let accepted = ready!(Self::poll_accept(self, cx));
        Poll::Ready(Some(accepted.map(|(stream, _)| stream.into())))
    }

    fn address(&self) -> Option<Address> {
        self.local_addr().ok().map(Address::from)
    }

    fn close(self) -> Vec<Incoming> {
        // The runtime would say "nothing" until it has looked again.
        let Ok(listener) = self.into_std() else { return Vec::new() };
        backlog(|| {
            let (stream, _) = listener.accept()?;
            stream.set_nonblocking(true)?;
            tokio::net::TcpStream::from_std(stream).map(Incoming::from)
        })
    }
}

#[cfg(unix)]
impl Accept for UnixListener {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Incoming>>> {
        let accepted = ready!(Self::poll_accept(self, cx));
        Poll::Ready(Some(accepted.map(|(stream, _)| stream.into())))
    }

    fn address(&self) -> Option<Address> {
        let path = self.local_addr().ok()?;
        path.as_pathname().map(|path| path.to_owned().into())
    }

    fn close(self) -> Vec<Incoming> {
        let Ok(listener) = self.into_std() else { return Vec::new() };
        backlog(|| {
            let (stream, _) = listener.accept()?;
            stream.set_nonblocking(true)?;
            tokio::net::UnixStream::from_std(stream).map(Incoming::from)
        })
    }
}

/// A stream of connections that the user accepts.
pub struct Stood<T>(pub T);

impl<T, C, E> Accept for Stood<T>
where
    T: Stream<Item = Result<C, E>> + Send + Unpin,
    C: Into<Incoming>,
    E: Into<BoxError>,
{
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Incoming>>> {
        let next = ready!(Pin::new(&mut self.0).poll_next(cx));
        Poll::Ready(next.map(|next| {
            next.map(Into::into).map_err(|error| match error.into().downcast() {
                Ok(error) => *error,
                Err(error) => io::Error::other(error),
            })
        }))
    }

    fn close(self) -> Vec<Incoming> {
        Vec::new()
    }
}

/// Accepts without waiting until there is nothing left: those have finished their
/// handshake, and would be reset with the listener.
fn backlog(mut accept: impl FnMut() -> io::Result<Incoming>) -> Vec<Incoming> {
    let mut accepted = Vec::new();
    loop {
        match accept() {
            Ok(incoming) => accepted.push(incoming),
            Err(error) if is_the_peers(&error) => {}
            Err(_) => return accepted,
        }
    }
}

/// Whether a failed accept is its peer's doing and says nothing about the next one.
pub(super) fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

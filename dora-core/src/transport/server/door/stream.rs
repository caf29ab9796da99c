//! A connection's bytes, for a door.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::call::observe::Traffic;
use crate::call::origin::Connection;
use crate::transport::io::stream::Stream;
use crate::transport::server::shared::Shared;

/// A connection that a door serves, within TLS where the server speaks it. What goes
/// through it is counted; a peer that takes no byte for the server's stall timeout
/// makes writing an error of [`io::ErrorKind::TimedOut`].
pub struct DoorStream {
    stream: Stream,
    /// What was read of it before.
    first: Bytes,
    shared: Arc<Shared>,
    connection: Arc<Connection>,
    stall: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
    traffic: Traffic,
}

impl DoorStream {
    pub(super) fn new(
        stream: Stream,
        first: Bytes,
        shared: Arc<Shared>,
        connection: Arc<Connection>,
    ) -> Self {
        let stall = shared.config.stall_timeout;
        Self { stream, first, shared, connection, stall, stalled: None, traffic: Traffic::default() }
    }

    /// What became of a write: one that took nothing may do so for so long.
    fn watch<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(self.stall)));
        match stalled.as_mut().poll(cx) {
            Poll::Ready(()) => {
                let error = io::Error::new(io::ErrorKind::TimedOut, "the peer does not take its answers");
                Poll::Ready(Err(error))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn sent(&mut self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(count)) = written {
            self.traffic.sent += *count as u64;
        }
    }

    fn tell(&mut self) {
        let traffic = std::mem::take(&mut self.traffic);
        if traffic != Traffic::default() {
            self.shared.observers.tell(|observer| observer.traffic(&self.connection, &traffic));
        }
    }
}

impl AsyncRead for DoorStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.first.is_empty() {
            let count = this.first.len().min(buf.remaining());
            buf.put_slice(&this.first.split_to(count));
            this.traffic.received += count as u64;
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        this.traffic.received += buf.filled().len().saturating_sub(before) as u64;
        read
    }
}

impl AsyncWrite for DoorStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.sent(&written);
        this.watch(written, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        this.sent(&written);
        this.watch(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(cx);
        if flushed.is_ready() {
            this.tell();
        }
        this.watch(flushed, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut = Pin::new(&mut this.stream).poll_shutdown(cx);
        this.watch(shut, cx)
    }
}

impl Drop for DoorStream {
    fn drop(&mut self) {
        self.tell();
    }
}

impl fmt::Debug for DoorStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.first.remaining();
        f.debug_struct("DoorStream")
            .field("stream", &self.stream)
            .field("first", &first)
            .finish_non_exhaustive()
    }
}

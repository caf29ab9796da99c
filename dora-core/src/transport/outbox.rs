//! The bytes a connection has to send.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

/// Frames waiting to be written, behind one another.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    written: usize,
}

/// A buffer larger than this is not kept for the next frames.
const KEPT: usize = 64 << 10;

impl Outbox {
    /// Bytes that wait.
    pub(super) fn waiting(&self) -> usize {
        self.bytes.len() - self.written
    }

    /// Where frames are appended.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        if self.written > KEPT && self.written > self.bytes.len() / 2 {
            self.bytes.drain(..self.written);
            self.written = 0;
        }
        &mut self.bytes
    }

    /// Writes until all is written; the number of bytes that went out meanwhile
    /// is added to `sent`.
    pub(super) fn poll_flush<W: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut W,
        cx: &mut Context<'_>,
        sent: &mut u64,
    ) -> Poll<io::Result<()>> {
        while self.waiting() > 0 {
            let count = ready!(Pin::new(&mut *stream).poll_write(cx, &self.bytes[self.written..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
            *sent += count as u64;
        }
        self.bytes.clear();
        self.written = 0;
        if self.bytes.capacity() > KEPT {
            self.bytes = Vec::new();
        }
        Poll::Ready(Ok(()))
    }

    /// Gives the buffer of an idle connection back.
    pub(super) fn release(&mut self) {
        if self.waiting() == 0 {
            *self = Self::default();
        }
    }
}

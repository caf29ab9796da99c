//! The bytes a connection has received and not yet parsed.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::wire::decoder::{Decoder, Frame};
use crate::wire::error::FrameError;

/// A read buffer that is there only while there is something to read, and as
/// large as what comes.
#[derive(Debug)]
pub(super) struct Inbox {
    decoder: Decoder,
    buffer: BytesMut,
    chunk: usize,
}

const SMALLEST_CHUNK: usize = 4 << 10;
const LARGEST_CHUNK: usize = 512 << 10;

impl Inbox {
    pub(super) fn new(decoder: Decoder) -> Self {
        Self { decoder, buffer: BytesMut::new(), chunk: SMALLEST_CHUNK }
    }

    /// Whether no frame has begun.
    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The next whole frame.
    pub(super) fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        self.decoder.decode(&mut self.buffer)
    }

    /// Reads once; the number of bytes, 0 at the end of the stream. Call it when
    /// the socket is readable: it takes memory before it reads.
    pub(super) fn poll_read<R: AsyncRead + Unpin>(
        &mut self,
        stream: &mut R,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        // Never more than doubled for a frame that has begun: memory follows
        // what came, not what was claimed.
        let missing = self.decoder.missing(&self.buffer).unwrap_or(0);
        let room = missing.min(self.buffer.len()).max(self.chunk);
        self.buffer.reserve(room);
        let room = self.buffer.capacity() - self.buffer.len();
        let read = pin!(stream.read_buf(&mut self.buffer)).poll(cx);
        if read.is_pending() {
            self.release();
        }
        let count = ready!(read)?;
        if count >= room {
            self.chunk = (self.chunk * 2).min(LARGEST_CHUNK);
        } else if count < self.chunk / 4 {
            self.chunk = (self.chunk / 2).max(SMALLEST_CHUNK);
        }
        Poll::Ready(Ok(count))
    }

    /// Gives an empty buffer back.
    pub(super) fn release(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
    }
}

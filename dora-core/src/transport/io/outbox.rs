//! The bytes a connection has to send.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

/// Frames waiting to be written, behind one another.
#[derive(Debug, Default)]
pub(in crate::transport) struct Outbox {
    bytes: Vec<u8>,
    written: usize,
}

/// An idle connection has no buffer; the next one begins with this, or it would
/// grow from next to nothing with every burst.
const FIRST: usize = 2 << 10;

/// A buffer larger than this is not kept for the next frames.
const KEPT: usize = 64 << 10;

impl Outbox {
    /// Bytes that wait; at least one while the stream holds some back.
    pub(in crate::transport) fn waiting(&self) -> usize {
        (self.bytes.len() - self.written).max(usize::from(!self.bytes.is_empty()))
    }

    /// Bytes of memory that it takes, for what waits and as room.
    pub(in crate::transport) fn held(&self) -> usize {
        self.bytes.capacity()
    }

    /// Where frames are appended.
    pub(in crate::transport) fn buffer(&mut self) -> &mut Vec<u8> {
        if self.written > KEPT && self.written > self.bytes.len() / 2 {
            self.bytes.drain(..self.written);
            self.written = 0;
        }
        if self.bytes.capacity() == 0 {
            self.bytes.reserve(FIRST);
        }
        &mut self.bytes
    }

    /// Appends a frame that was made elsewhere. A large one is not copied where none
    /// is before it.
    pub(in crate::transport) fn push(&mut self, frame: Vec<u8>) {
        match self.bytes.is_empty() && frame.len() > KEPT {
            true => self.bytes = frame,
            false => self.buffer().extend_from_slice(&frame),
        }
    }

    /// Writes until all has left; the number of bytes that went out meanwhile
    /// is added to `sent`.
    pub(in crate::transport) fn poll_flush<W: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut W,
        cx: &mut Context<'_>,
        sent: &mut u64,
    ) -> Poll<io::Result<()>> {
        let before = self.written;
        let flushed = poll_write_all(stream, &self.bytes, &mut self.written, cx);
        *sent += (self.written - before) as u64;
        ready!(flushed)?;
        self.bytes.clear();
        self.written = 0;
        if self.bytes.capacity() > KEPT {
            self.bytes = Vec::new();
        }
        Poll::Ready(Ok(()))
    }

    /// Gives the buffer of an idle connection back.
    pub(in crate::transport) fn release(&mut self) {
        if self.bytes.is_empty() {
            *self = Self::default();
        }
    }
}

/// Writes `bytes` from `written` on, which it moves, and flushes what the stream
/// holds back (TLS does). Without bytes it does nothing.
pub(in crate::transport) fn poll_write_all<W: AsyncWrite + Unpin>(
    stream: &mut W,
    bytes: &[u8],
    written: &mut usize,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    if bytes.is_empty() {
        return Poll::Ready(Ok(()));
    }
    while *written < bytes.len() {
        let count = ready!(Pin::new(&mut *stream).poll_write(cx, &bytes[*written..]))?;
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        *written += count;
    }
    Pin::new(stream).poll_flush(cx)
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn what_a_slow_reader_leaves_is_sent_later_and_in_order() {
        let (mut near, mut far) = tokio::io::duplex(64 << 10);
        let mut cx = Context::from_waker(Waker::noop());
        let mut outbox = Outbox::default();
        let sent: Vec<u8> = (0..300_000_u32).map(|n| n as u8).collect();
        let (mut came, mut count) = (Vec::new(), 0);
        for frame in sent.chunks(1000) {
            outbox.buffer().extend_from_slice(frame);
            let _ = outbox.poll_flush(&mut near, &mut cx, &mut count);
            if outbox.waiting() > 100_000 {
                let mut piece = vec![0; 50_000];
                far.read_exact(&mut piece).await.expect("it is there");
                came.extend(piece);
            }
            assert!(outbox.bytes.len() <= 2 * outbox.waiting() + 2 * KEPT, "what was written is not kept");
        }
        while came.len() < sent.len() {
            let _ = outbox.poll_flush(&mut near, &mut cx, &mut count);
            came.push(far.read_u8().await.expect("it is there"));
        }
        assert!(came == sent);
        assert_eq!((count, outbox.waiting()), (sent.len() as u64, 0));
        assert!(outbox.bytes.capacity() <= KEPT, "a large buffer is not kept");
    }

    #[tokio::test]
    async fn what_a_stream_holds_back_is_flushed() {
        let (near, mut far) = tokio::io::duplex(64);
        let mut near = tokio::io::BufWriter::new(near);
        let mut outbox = Outbox::default();
        outbox.buffer().extend_from_slice(b"frame");
        let mut cx = Context::from_waker(Waker::noop());
        assert!(outbox.poll_flush(&mut near, &mut cx, &mut 0).is_ready());
        let mut came = [0; 5];
        far.read_exact(&mut came).await.expect("it is there");
        assert_eq!(&came, b"frame");
    }

    #[tokio::test]
    async fn what_a_stream_holds_back_waits_still() {
        let (near, mut far) = tokio::io::duplex(8);
        let mut near = tokio::io::BufWriter::new(near);
        let mut cx = Context::from_waker(Waker::noop());
        let mut outbox = Outbox::default();
        outbox.buffer().extend_from_slice(&[7; 20]);
        assert!(outbox.poll_flush(&mut near, &mut cx, &mut 0).is_pending());
        assert!(outbox.waiting() > 0, "nobody may end the connection now");
        let mut came = [0; 8];
        while outbox.waiting() > 0 {
            far.read_exact(&mut came[..4]).await.expect("it is there");
            let _ = outbox.poll_flush(&mut near, &mut cx, &mut 0);
        }
        far.read_exact(&mut came).await.expect("all of it came");
    }

    #[tokio::test]
    async fn a_stream_that_takes_nothing_is_an_error() {
        let (mut near, far) = tokio::io::duplex(8);
        drop(far);
        let mut outbox = Outbox::default();
        outbox.buffer().push(1);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(matches!(outbox.poll_flush(&mut near, &mut cx, &mut 0), Poll::Ready(Err(_))));
        outbox.release();
        assert_eq!(outbox.waiting(), 1, "only an empty buffer is given back");
    }
}

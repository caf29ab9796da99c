//! The bytes a connection has received and not yet parsed.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::wire::decoder::{Decoder, Frame};
use crate::wire::error::FrameError;

/// A read buffer that is there only while there is something to read, and as
/// large as what comes.
#[derive(Debug)]
pub(in crate::transport) struct Inbox {
    decoder: Decoder,
    buffer: BytesMut,
    /// What a read makes room for, as a power of two.
    chunk: u8,
    /// The last read filled its room: what the next one brings belongs to it.
    filled: bool,
    /// What frames have lately been as large as: a peer that has sent as much
    /// before is given the room at once.
    largest: u32,
}

/// 4 KiB.
const SMALLEST_CHUNK: u8 = 12;
/// 512 KiB.
const LARGEST_CHUNK: u8 = 19;
/// From this size on a frame is read into memory of its own: all that follows it
/// in one read has to be moved out again.
const LARGE_FRAME: usize = 256 << 10;
/// What is read beyond a large frame: a read that is not filled tells that there
/// is no more.
const SLACK: usize = 1 << 10;

impl Inbox {
    pub(in crate::transport) fn new(decoder: Decoder) -> Self {
        Self { decoder, buffer: BytesMut::new(), chunk: SMALLEST_CHUNK, filled: false, largest: 0 }
    }

    /// Takes bytes that were read elsewhere.
    pub(in crate::transport) fn put(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Bytes that are not parsed yet.
    pub(in crate::transport) fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Whether no frame has begun.
    pub(in crate::transport) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Whether the next frame is whole.
    pub(in crate::transport) fn has_frame(&self) -> bool {
        self.decoder.missing(&self.buffer) == Some(0)
    }

    /// The bytes that are not parsed yet.
    pub(in crate::transport) fn peek(&self) -> &[u8] {
        &self.buffer
    }

    /// The next whole frame.
    pub(in crate::transport) fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let before = self.buffer.len();
        let frame = self.decoder.decode(&mut self.buffer);
        let len = u32::try_from(before - self.buffer.len()).unwrap_or(u32::MAX);
        // Forgotten within some dozen small ones.
        self.largest = (self.largest - self.largest / 8).max(len);
        frame
    }

    /// Reads once; the number of bytes, 0 at the end of the stream. Call it when
    /// the socket is readable: it takes memory before it reads.
    pub(in crate::transport) fn poll_read<R: AsyncRead + Unpin>(
        &mut self,
        stream: &mut R,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let large = self.room_for_large();
        self.buffer.reserve(large.unwrap_or(self.chunk()));
        // What was given back may have left more room than was asked for.
        let room = large.unwrap_or(self.buffer.capacity() - self.buffer.len());
        let mut limited = (&mut self.buffer).limit(room);
        let read = pin!(stream.read_buf(&mut limited)).poll(cx);
        if read.is_pending() {
            self.release();
        }
        let count = ready!(read)?;
        if large.is_none() {
            self.learn(count, room);
        }
        Poll::Ready(Ok(count))
    }

    /// Room for a large frame, or the rest of it, if one has begun or is expected:
    /// never more than doubled, but for a peer that sent as much before. So
    /// memory follows what came, not what was claimed, and each of many large
    /// frames is read into its place.
    fn room_for_large(&self) -> Option<usize> {
        let (came, largest) = (self.buffer.len(), self.largest as usize);
        let room = match self.decoder.missing(&self.buffer) {
            None => Some(largest).filter(|largest| *largest >= LARGE_FRAME),
            Some(missing) => {
                let trusted = largest.saturating_sub(came).max(came).max(self.chunk());
                (came + missing >= LARGE_FRAME).then(|| missing.min(trusted))
            }
        };
        room.map(|room| room + SLACK)
    }

    const fn chunk(&self) -> usize {
        1 << self.chunk
    }

    /// Fits the chunk to what a read of up to `room` bytes brought.
    fn learn(&mut self, count: usize, room: usize) {
        let filled = std::mem::replace(&mut self.filled, count >= room);
        if self.filled {
            self.chunk = (self.chunk + 1).min(LARGEST_CHUNK);
        } else if !filled && count < self.chunk() / 4 {
            // The end of a burst is small whatever the burst was: it says nothing.
            self.chunk = (self.chunk - 1).max(SMALLEST_CHUNK);
        }
    }

    /// Gives an empty buffer back.
    pub(in crate::transport) fn release(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    const MAX: usize = 2 << 20;

    fn inbox() -> Inbox {
        Inbox::new(Decoder::new(MAX, None))
    }

    fn read(inbox: &mut Inbox, mut stream: &[u8]) -> usize {
        let polled = inbox.poll_read(&mut stream, &mut Context::from_waker(Waker::noop()));
        let Poll::Ready(Ok(count)) = polled else { panic!("a slice is always ready") };
        count
    }

    #[test]
    fn memory_follows_what_came_and_not_what_was_claimed() {
        let mut inbox = inbox();
        let claim = u32::try_from(MAX - 4).expect("2 MiB");
        read(&mut inbox, &claim.to_be_bytes());
        assert!(inbox.next_frame().expect("it may come yet").is_none());
        for came in 5..2000 {
            read(&mut inbox, b"x");
            let room = inbox.buffer.capacity();
            assert!(room <= 2 * (came + (1 << SMALLEST_CHUNK)), "{room} bytes are held for {came}");
        }
    }

    #[test]
    fn a_large_frame_is_read_in_few_pieces() {
        let mut inbox = inbox();
        let mut frame = vec![b'x'; MAX];
        frame[..4].copy_from_slice(&u32::try_from(MAX - 4).expect("2 MiB").to_be_bytes());
        let (mut rest, mut reads) = (&*frame, 0);
        while !rest.is_empty() {
            let count = read(&mut inbox, rest);
            rest = &rest[count..];
            reads += 1;
        }
        let body = inbox.next_frame().expect("it is whole").expect("it is whole").body;
        assert_eq!(body.len(), MAX - 36);
        assert!(reads <= 20, "{reads} reads");
    }

    /// Growing a buffer copies what is in it, and memory that was never used costs
    /// more than the copy.
    #[test]
    fn the_second_of_two_large_frames_is_read_into_its_place() {
        let mut inbox = inbox();
        let mut frame = vec![b'x'; 1 << 20];
        frame[..4].copy_from_slice(&((1_u32 << 20) - 4).to_be_bytes());
        let mut rooms = Vec::new();
        for _ in 0..2 {
            let mut rest = &*frame;
            rooms.clear();
            while !rest.is_empty() {
                // As much as a socket has at once.
                let some = rest.len().min(100_000);
                let count = read(&mut inbox, &rest[..some]);
                rest = &rest[count..];
                rooms.push(inbox.buffer.capacity());
            }
            inbox.next_frame().expect("it is whole").expect("it is whole");
            inbox.release();
        }
        assert!(rooms.iter().all(|room| *room == rooms[0]), "it grew: {rooms:?}");
    }

    #[test]
    fn an_empty_buffer_is_given_back() {
        let mut inbox = inbox();
        let (mut nothing, _other_end) = tokio::io::duplex(1);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(inbox.poll_read(&mut nothing, &mut cx).is_pending());
        assert_eq!(inbox.buffer.capacity(), 0, "nothing is held while nothing comes");
        read(&mut inbox, b"\x00\x00");
        inbox.release();
        assert_eq!(&*inbox.buffer, b"\x00\x00", "a frame has begun");
        assert!(!inbox.is_empty());
    }

    /// 64 small requests, say, answered and followed by the next 64.
    #[test]
    fn bursts_of_one_size_are_soon_read_in_one_piece() {
        for size in [5_000, 11_000, 40_000] {
            let mut inbox = inbox();
            let reads = (0..20).map(|_| {
                let (burst, mut came, mut reads) = (vec![0; size], 0, 0);
                while came < size {
                    came += read(&mut inbox, &burst[came..]);
                    reads += 1;
                }
                inbox.buffer.clear();
                inbox.release();
                reads
            });
            let reads: Vec<u32> = reads.collect();
            assert!(reads[4..].iter().all(|reads| *reads == 1), "{size}: {reads:?}");
        }
    }

    #[test]
    fn chunks_grow_with_the_traffic_and_shrink_again() {
        let mut inbox = inbox();
        let flood = vec![0; 4 << 20];
        for _ in 0..20 {
            read(&mut inbox, &flood);
            inbox.buffer.clear();
        }
        assert_eq!(inbox.chunk, LARGEST_CHUNK);
        for _ in 0..20 {
            read(&mut inbox, b"x");
            inbox.buffer.clear();
        }
        assert_eq!(inbox.chunk, SMALLEST_CHUNK);
    }
}

//! Frames that an end mark ends.

use bytes::{Buf, Bytes, BytesMut};

/// Cuts frames out of what comes: no socket and no clock.
#[derive(Debug)]
pub(super) struct Frames {
    end: Bytes,
    most: usize,
    came: BytesMut,
    /// Of what came, where no end mark begins.
    searched: usize,
}

/// A frame that is longer than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Frames {
    /// Frames of at most `most` bytes, each ended by `end`.
    pub(super) fn new(end: Bytes, most: usize) -> Self {
        Self { end, most, came: BytesMut::new(), searched: 0 }
    }

    /// What came and is no whole frame yet, to add to.
    pub(super) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.came
    }

    /// Bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.came.len()
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.came.is_empty()
    }

    /// The next whole frame, without its end mark.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, TooLong> {
        let unseen = self.came.get(self.searched..).unwrap_or_default();
        let Some(place) = unseen.windows(self.end.len()).position(|bytes| bytes == self.end) else {
            self.searched = self.came.len().saturating_sub(self.end.len().saturating_sub(1));
            return if self.searched > self.most { Err(TooLong) } else { Ok(None) };
        };
        let length = self.searched.saturating_add(place);
        if length > self.most {
            return Err(TooLong);
        }
        let frame = self.came.split_to(length).freeze();
        self.came.advance(self.end.len());
        self.searched = 0;
        if self.came.is_empty() {
            // A connection that rests holds no room.
            self.came = BytesMut::new();
        }
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(most: usize) -> Frames {
        Frames::new(Bytes::from_static(b"\r\n\r\n"), most)
    }

    #[test]
    fn frames_are_cut_however_they_come() {
        let came = b"one\r\n\r\n\r\n\r\ntwo\r\nthree\r\n\r\nfo";
        for step in 1..came.len() {
            let (mut frames, mut cut) = (frames(100), Vec::new());
            for piece in came.chunks(step) {
                frames.buffer().extend_from_slice(piece);
                while let Some(frame) = frames.next().expect("short") {
                    cut.push(frame);
                }
            }
            assert_eq!(cut, [&b"one"[..], b"", b"two\r\nthree"], "in steps of {step}");
            assert_eq!(&frames.buffer()[..], b"fo");
        }
    }

    #[test]
    fn a_frame_is_as_long_as_it_may_be_and_no_longer() {
        for (came, cut) in [
            (&b"12345\r\n\r\n"[..], Ok(true)),
            (b"123456\r\n\r\n", Err(TooLong)),
            (b"12345\r\n\r", Ok(false)),
        ] {
            let mut frames = frames(5);
            frames.buffer().extend_from_slice(came);
            assert_eq!(frames.next().map(|frame| frame.is_some()), cut, "{}", came.escape_ascii());
        }
        let mut endless = frames(5);
        endless.buffer().extend_from_slice(b"123456789");
        assert_eq!(endless.next(), Err(TooLong));
    }
}

//! Frames that wait to be written.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use tokio::time::Instant;

use crate::guid::Guid;
use crate::wire::header::Layout;

use super::table::Fate;

/// Frames behind one another, in pieces of a size that is written at once.
#[derive(Debug, Default)]
pub(super) struct Queue {
    full: VecDeque<Piece>,
    /// What is appended to.
    last: Piece,
    bytes: usize,
}

/// Whole frames, perhaps behind the rest of one whose beginning was written.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub(super) bytes: Vec<u8>,
    /// Bytes at the start that belong to a frame whose beginning was written.
    begun: usize,
    /// When the first of them was queued, or all were looked through last.
    since: Option<Instant>,
    /// One of them may be a request that was given up.
    given_up: bool,
}

/// Callers append to a piece until it has this many bytes.
const PIECE: usize = 256 << 10;

/// Frames that waited longer claim a timeout that is not true any more.
const STALE: Duration = Duration::from_millis(10);

impl Queue {
    /// Bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Appends a frame of which `written` bytes were written already: only the
    /// first one has any. `frame` is left empty, or with bytes of no meaning.
    pub(super) fn push(&mut self, frame: &mut Vec<u8>, written: usize, now: Instant) {
        self.bytes += frame.len() - written;
        if self.last.bytes.len() >= PIECE {
            self.full.push_back(std::mem::take(&mut self.last));
        }
        let last = &mut self.last;
        last.since.get_or_insert(now);
        if !last.bytes.is_empty() {
            last.bytes.extend_from_slice(&frame[written..]);
        } else if written == 0 {
            std::mem::swap(&mut last.bytes, frame);
        } else {
            last.bytes.extend_from_slice(&frame[written..]);
            last.begun = last.bytes.len();
        }
    }

    /// Takes the first piece; `spare` is an empty buffer to go on with.
    pub(super) fn take(&mut self, spare: Vec<u8>) -> Piece {
        let piece = match self.full.pop_front() {
            Some(piece) => piece,
            None => std::mem::replace(&mut self.last, Piece { bytes: spare, ..Piece::default() }),
        };
        self.bytes -= piece.bytes.len();
        piece
    }

    /// Takes everything out.
    pub(super) fn clear(&mut self) -> Self {
        std::mem::take(self)
    }

    /// The guids of the frames of which nothing was written.
    pub(super) fn guids(&self, layout: Layout) -> impl Iterator<Item = Guid> {
        let pieces = self.full.iter().chain([&self.last]);
        pieces.flat_map(move |piece| piece.guids(0, layout))
    }
}

impl Piece {
    /// Where the first frame begins of which nothing was written, when the first
    /// `written` bytes were.
    fn unwritten(&self, written: usize) -> usize {
        let mut from = self.begun;
        while from < written {
            from = next(&self.bytes, from).map_or(self.bytes.len(), |frame| frame.end);
        }
        from
    }

    /// The guids of the frames of which nothing was written, when the first
    /// `written` bytes were.
    pub(super) fn guids(&self, written: usize, layout: Layout) -> impl Iterator<Item = Guid> {
        self.frames(self.unwritten(written)).filter_map(move |frame| layout.guid(&self.bytes[frame]))
    }

    fn frames(&self, mut from: usize) -> impl Iterator<Item = Range<usize>> {
        std::iter::from_fn(move || {
            let frame = next(&self.bytes, from)?;
            from = frame.end;
            Some(frame)
        })
    }

    /// Has its frames looked through before more of them is written.
    pub(super) fn look_through(&mut self) {
        self.given_up = true;
    }

    /// Whether its frames should be looked through.
    pub(super) fn needs_sifting(&self, now: Instant) -> bool {
        self.given_up || self.is_stale(now)
    }

    /// Whether its frames claim timeouts that are not true any more.
    fn is_stale(&self, now: Instant) -> bool {
        self.since.is_some_and(|since| now.saturating_duration_since(since) >= STALE)
    }

    /// Drops the frames that nobody waits for any more, and has `restate` write
    /// those anew whose timeout is not true any more, into a buffer; it answers
    /// whether it did. The first `written` bytes stay as they are.
    pub(super) fn sift(
        &mut self,
        written: usize,
        layout: Layout,
        now: Instant,
        fate: impl FnOnce(&mut [(Guid, Fate)]),
        mut restate: impl FnMut(&[u8], Instant, &mut Vec<u8>) -> bool,
    ) {
        let from = self.unwritten(written);
        let stale = self.is_stale(now);
        self.since = Some(now);
        self.given_up = false;
        let found = self.frames(from).map(|frame| layout.guid(&self.bytes[frame]));
        // Without guids there is one call at a time, and clearing the queue drops it.
        let Some(mut fates) = found.map(|guid| Some((guid?, Fate::GivenUp))).collect::<Option<Vec<_>>>()
        else {
            return;
        };
        fate(&mut fates);
        let as_it_is = |fate: &Fate| matches!(fate, Fate::Awaited { claims } if !stale || claims.is_none());
        if fates.iter().all(|(_, fate)| as_it_is(fate)) {
            return;
        }
        let rest = self.bytes.split_off(from);
        let mut start = 0;
        for (_, fate) in fates {
            let Some(frame) = next(&rest, start) else { break };
            start = frame.end;
            let written_anew = match fate {
                Fate::GivenUp => true,
                Fate::Awaited { claims: Some(until) } if stale => {
                    restate(&rest[frame.clone()], until, &mut self.bytes)
                }
                Fate::Awaited { .. } => false,
            };
            if !written_anew {
                self.bytes.extend_from_slice(&rest[frame]);
            }
        }
    }
}

/// The frame that begins at `from`.
fn next(bytes: &[u8], from: usize) -> Option<Range<usize>> {
    let len = Layout::whole(bytes.get(from..)?)?;
    let end = from.checked_add(len)?;
    (end <= bytes.len()).then_some(from..end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generation::Generation;
    use crate::wire::encoder::Encoder;

    const LAYOUT: Layout = Layout { signed: false, generation: Generation::Guid };

    fn frame(number: u128, body: &[u8]) -> Vec<u8> {
        let encoder = Encoder::new(4 << 20, None);
        let mut out = Vec::new();
        let frame = encoder.begin(Generation::Guid, &Guid::from_u128(number), &mut out);
        out.extend_from_slice(body);
        encoder.finish(&frame, &mut out).expect("small");
        out
    }

    fn queue(frames: impl IntoIterator<Item = u128>, now: Instant) -> Queue {
        let mut queue = Queue::default();
        frames.into_iter().for_each(|number| queue.push(&mut frame(number, b"body"), 0, now));
        queue
    }

    fn numbers(guids: impl Iterator<Item = Guid>) -> Vec<u128> {
        guids.map(|guid| guid.to_u128().expect("hex")).collect()
    }

    #[test]
    fn what_goes_in_comes_out_in_order_and_in_pieces() {
        let now = Instant::now();
        let mut queue = Queue::default();
        let mut sent = Vec::new();
        for number in 0..100 {
            let frame = frame(number, &vec![number as u8; 10_000]);
            sent.extend_from_slice(&frame);
            queue.push(&mut frame.clone(), 0, now);
        }
        assert_eq!(queue.len(), sent.len());
        let mut came = Vec::new();
        while !queue.is_empty() {
            let piece = queue.take(Vec::new());
            assert!(piece.bytes.len() < PIECE + 20_000);
            came.extend(piece.bytes);
        }
        assert!(came == sent);
    }

    #[test]
    fn the_unwritten_frames_are_known_by_their_guids() {
        let now = Instant::now();
        let mut queue = Queue::default();
        queue.push(&mut frame(1, b"body"), 7, now);
        (2..=4).for_each(|number| queue.push(&mut frame(number, b"body"), 0, now));
        assert_eq!(numbers(queue.guids(LAYOUT)), [2, 3, 4], "the first one was begun");
        let piece = queue.take(Vec::new());
        assert_eq!(numbers(piece.guids(33, LAYOUT)), [2, 3, 4]);
        assert_eq!(numbers(piece.guids(34, LAYOUT)), [3, 4], "one byte of the second has left");
        assert_eq!(numbers(piece.guids(33 + 40, LAYOUT)), [3, 4]);
        assert_eq!(numbers(piece.guids(33 + 3 * 40, LAYOUT)), []);
    }

    #[test]
    fn given_up_requests_are_taken_out_and_the_others_stay_as_they_are() {
        let now = Instant::now();
        let mut queue = queue(1..=5, now);
        let mut piece = queue.take(Vec::new());
        let give_up = |fates: &mut [(Guid, Fate)]| {
            for (guid, fate) in fates {
                if guid.to_u128().is_some_and(|number| number % 2 == 1) {
                    *fate = Fate::Awaited { claims: Some(now) };
                }
            }
        };
        piece.sift(1, LAYOUT, now, give_up, |_, _, _| panic!("nothing is stale"));
        let expected = [frame(1, b"body"), frame(3, b"body"), frame(5, b"body")].concat();
        assert_eq!(piece.bytes, expected, "what was begun stays whatever becomes of it");
    }

    #[test]
    fn a_stale_timeout_is_stated_anew() {
        let now = Instant::now();
        let mut piece = queue(1..=3, now).take(Vec::new());
        let later = now + STALE;
        assert!(!piece.is_stale(now) && piece.is_stale(later));
        let until = later + Duration::from_secs(1);
        let fate = |fates: &mut [(Guid, Fate)]| {
            fates.iter_mut().for_each(|(_, fate)| *fate = Fate::Awaited { claims: Some(until) });
        };
        piece.sift(0, LAYOUT, later, fate, |old, claims, out| {
            assert_eq!(claims, until);
            let keep = old != frame(2, b"body");
            if !keep {
                out.extend(frame(2, b"anew"));
            }
            !keep
        });
        assert_eq!(piece.bytes, [frame(1, b"body"), frame(2, b"anew"), frame(3, b"body")].concat());
        assert!(!piece.is_stale(later), "looked through once");
    }
}

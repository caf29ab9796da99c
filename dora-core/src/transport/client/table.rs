//! The calls in flight on one connection, without the connection.
//!
//! A call's place in the table and how often that place was used stand in the
//! digits of its guid, so an answer is found without hashing; the whole guid is
//! compared before anything is handed over.

use std::task::{Poll, Waker};

use bytes::Bytes;
use tokio::time::Instant;

use crate::call::status::Status;
use crate::guid::Guid;

use super::wheel::Wheel;

/// The table of one connection.
#[derive(Debug, Default)]
pub(super) struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// While the table shrinks: places from here on are not used again.
    shrinking: Option<Shrinking>,
    wheel: Wheel,
    /// Answers that are still to come.
    awaited: usize,
    /// Calls that were closed before their answers came.
    cancelled: usize,
    /// The generation of a place that is made anew: over that of all places that
    /// were given back to the system.
    generation: u32,
    /// Answers to calls that nobody waits for any more.
    pub(super) late: u64,
    /// Answers to nothing that was asked.
    pub(super) unknown: u64,
}

#[derive(Debug)]
struct Shrinking {
    len: usize,
    /// Places beyond `len` that are still in use.
    beyond: usize,
}

/// The right to the answers of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) lane: u32,
    index: u32,
    pub(super) guid: Guid,
}

/// What is known of a call when its place is opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    /// The answers: one, or two where a result comes behind the acknowledgement.
    pub(super) answers: u8,
    /// When the table gives the call up, unless somebody else does.
    pub(super) deadline: Option<Instant>,
    /// The moment until which the frame says that somebody waits.
    pub(super) claims: Option<Instant>,
    pub(super) now: Instant,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    guid: Guid,
    progress: Progress,
    answers: Answers,
    waker: Option<Waker>,
    claims: Option<Instant>,
}

/// What has come and was not collected yet.
pub(super) type Answers = [Option<Answer>; 2];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Free,
    /// The first answer is awaited; with `more`, another one behind it.
    First {
        more: bool,
    },
    /// Acknowledged: the result is awaited.
    Second,
    /// Nothing is awaited; what came was not collected yet.
    Ended,
}

/// The body of an answer, or why there is none.
pub(super) type Answer = Result<Bytes, Status>;

/// What a place held when it was given back, to be dropped where nobody waits.
pub(super) type Leftover = (Option<Waker>, Answers);

/// What becomes of a request that waits to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nobody waits for it any more.
    GivenUp,
    Awaited {
        claims: Option<Instant>,
    },
}

/// A table of fewer places is not worth shrinking.
const SMALL: usize = 256;

impl Table {
    /// Opens a place for a call.
    pub(super) fn open(&mut self, lane: u32, expected: &Expected, waker: Option<Waker>) -> Ticket {
        let index = self.place();
        let slot = &mut self.slots[index as usize];
        slot.guid = compose(index, slot.generation);
        slot.progress = Progress::First { more: expected.answers > 1 };
        slot.claims = expected.claims;
        slot.waker = waker;
        self.awaited += usize::from(expected.answers);
        if let Some(deadline) = expected.deadline {
            self.wheel.set(index, deadline, expected.now);
        }
        Ticket { lane, index, guid: slot.guid }
    }

    fn place(&mut self) -> u32 {
        if let Some(index) = self.free.pop() {
            return index;
        }
        if let Some(Shrinking { len, .. }) = self.shrinking.take() {
            // It is needed after all.
            let free = |&index: &usize| self.slots[index].progress == Progress::Free;
            self.free.extend((len..self.slots.len()).filter(free).map(|index| index as u32));
            if let Some(index) = self.free.pop() {
                return index;
            }
        }
        self.slots.push(Slot::unused(self.generation));
        u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
    }

    /// Answers that are still to come.
    pub(super) fn awaited(&self) -> usize {
        self.awaited
    }

    /// Whether no call has a place.
    pub(super) fn is_unused(&self) -> bool {
        match &self.shrinking {
            None => self.free.len() == self.slots.len(),
            Some(shrinking) => shrinking.beyond == 0 && self.free.len() == shrinking.len,
        }
    }

    /// Calls that the peer may still be working on for nobody.
    pub(super) fn cancelled(&self) -> usize {
        self.cancelled
    }

    /// Whether somebody waits for an answer with this guid.
    pub(super) fn is_awaited(&self, guid: &Guid) -> bool {
        matches!(self.fate(guid), Fate::Awaited { .. })
    }

    /// What becomes of the request with this guid.
    pub(super) fn fate(&self, guid: &Guid) -> Fate {
        let slot = self.slots.get(index_of(guid));
        match slot.filter(|slot| slot.guid == *guid && slot.progress.answers() > 0) {
            Some(slot) => Fate::Awaited { claims: slot.claims },
            None => Fate::GivenUp,
        }
    }

    /// The moment to call [`expire`](Self::expire).
    pub(super) fn earliest(&self) -> Option<Instant> {
        self.wheel.next()
    }

    /// Notes who waits for the answer of a call whose place is open already.
    pub(super) fn submitted(&mut self, ticket: &Ticket, waker: Waker) -> Option<Waker> {
        self.slot(ticket).and_then(|slot| slot.waker.replace(waker))
    }

    /// Hands the answer to its call; the task to wake, if one waits.
    pub(super) fn deliver(&mut self, guid: &Guid, answer: Answer) -> Option<Waker> {
        let index = index_of(guid);
        let generation = match self.slots.get_mut(index) {
            Some(slot) if slot.guid == *guid && slot.progress != Progress::Free => {
                if slot.progress.answers() > 0 {
                    self.awaited -= 1;
                    // A result that is still to come has none: its caller is acknowledged.
                    self.wheel.clear(index as u32);
                    return slot.settle(answer);
                }
                // Its caller has yet to hear that it is too late.
                self.late += 1;
                self.cancelled = self.cancelled.saturating_sub(1);
                return None;
            }
            Some(slot) => slot.generation,
            None => self.generation,
        };
        // A place that was used before, and a guid made here, was a call once.
        match made_here(guid, generation) {
            true => {
                self.late += 1;
                self.cancelled = self.cancelled.saturating_sub(1);
            }
            false => self.unknown += 1,
        }
        None
    }

    /// Hands an answer without a guid to the only call that waits for its first.
    pub(super) fn deliver_only(&mut self, answer: Answer) -> Option<Waker> {
        match self.only() {
            Some(guid) => self.deliver(&guid, answer),
            None => {
                self.unknown += 1;
                None
            }
        }
    }

    /// The only call that waits for its first answer, if it is one alone.
    pub(super) fn only(&self) -> Option<Guid> {
        let mut waiting = self.slots.iter().filter(|slot| matches!(slot.progress, Progress::First { .. }));
        match (waiting.next(), waiting.next()) {
            (Some(slot), None) => Some(slot.guid),
            _ => None,
        }
    }

    /// The next answer of a call, and whether it was the last: its place is given
    /// back with it.
    pub(super) fn poll(&mut self, ticket: &Ticket) -> Poll<(Answer, bool)> {
        let Some(slot) = self.slot(ticket) else {
            let status = Status::internal("a call was asked for more answers than it has");
            return Poll::Ready((Err(status), true));
        };
        let [first, second] = &mut slot.answers;
        let Some(answer) = first.take().or_else(|| second.take()) else {
            return Poll::Pending;
        };
        let last = slot.progress == Progress::Ended && slot.answers[1].is_none();
        if last {
            // Collected to the last: nothing is left in it, and its deadline is off.
            self.vacate(ticket.index);
        }
        Poll::Ready((answer, last))
    }

    /// Whether this task is the one that is woken by the call's answer.
    pub(super) fn wakes(&mut self, ticket: &Ticket, waker: &Waker) -> bool {
        let known = self.slot(ticket).and_then(|slot| slot.waker.as_ref());
        known.is_some_and(|known| known.will_wake(waker))
    }

    /// Gives the place back; whether an answer may still come for it.
    pub(super) fn close(&mut self, ticket: &Ticket) -> (bool, Leftover) {
        let Some(slot) = self.slot(ticket) else { return (false, Leftover::default()) };
        let awaited = slot.progress.answers();
        self.awaited -= awaited;
        self.cancelled += usize::from(awaited > 0);
        (awaited > 0, self.give_back(ticket.index))
    }

    /// Ends up to `most` calls whose deadline has passed; how many. Fewer than
    /// `most`: these were all.
    pub(super) fn expire(
        &mut self,
        now: Instant,
        most: usize,
        status: &Status,
        wakers: &mut Vec<Waker>,
    ) -> usize {
        let mut due = Vec::new();
        self.wheel.due(now, most, &mut due);
        for &index in &due {
            self.cancelled += 1;
            self.end(index, Err(status.clone()), wakers);
        }
        due.len()
    }

    /// Ends all calls. Those in `unsent` surely never reached the peer.
    pub(super) fn fail(&mut self, status: &Status, unsent: &[Guid], wakers: &mut Vec<Waker>) {
        let never = status.clone().unsent();
        for guid in unsent {
            let index = index_of(guid);
            if self.slots.get(index).is_some_and(|slot| slot.guid == *guid) {
                self.end(index as u32, Err(never.clone()), wakers);
            }
        }
        for index in 0..self.slots.len() {
            let status = if self.slots[index].is_being_packed() { &never } else { status };
            self.end(index as u32, Err(status.clone()), wakers);
        }
        self.cancelled = 0;
    }

    /// Ends all calls but the one with the guid `but`.
    pub(super) fn fail_but(&mut self, but: Option<Guid>, status: &Status, wakers: &mut Vec<Waker>) {
        for index in 0..self.slots.len() {
            if Some(self.slots[index].guid) != but {
                self.end(index as u32, Err(status.clone()), wakers);
            }
        }
        self.cancelled = 0;
    }

    /// Those who wait.
    pub(super) fn wakers(&self) -> impl Iterator<Item = Waker> {
        self.slots.iter().filter_map(|slot| slot.waker.clone())
    }

    fn end(&mut self, index: u32, answer: Answer, wakers: &mut Vec<Waker>) {
        let Some(slot) = self.slots.get_mut(index as usize) else { return };
        let awaited = slot.progress.answers();
        if awaited > 0 {
            self.awaited -= awaited;
            self.wheel.clear(index);
            wakers.extend(slot.settle(answer));
            slot.progress = Progress::Ended;
        }
    }

    fn slot(&mut self, ticket: &Ticket) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(ticket.index as usize);
        slot.filter(|slot| slot.guid == ticket.guid && slot.progress != Progress::Free)
    }

    fn give_back(&mut self, index: u32) -> Leftover {
        self.wheel.clear(index);
        let slot = &mut self.slots[index as usize];
        let leftover = (slot.waker.take(), std::mem::take(&mut slot.answers));
        self.vacate(index);
        leftover
    }

    /// Lets others have a place that holds nothing.
    fn vacate(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        debug_assert!(slot.waker.is_none());
        slot.generation = slot.generation.wrapping_add(1);
        slot.progress = Progress::Free;
        match &mut self.shrinking {
            Some(shrinking) if index as usize >= shrinking.len => {
                shrinking.beyond -= 1;
                self.shrink();
            }
            Some(_) => self.free.push(index),
            None => {
                self.free.push(index);
                self.begin_shrinking();
            }
        }
    }

    /// Where most places are free, the upper half is not used any more, and given
    /// back once it is empty.
    fn begin_shrinking(&mut self) {
        if self.slots.len() <= SMALL || self.free.len() <= self.slots.len() / 4 * 3 {
            return;
        }
        let len = self.slots.len() / 2;
        let unused = self.free.len();
        self.free.retain(|&index| (index as usize) < len);
        let beyond = self.slots.len() - len - (unused - self.free.len());
        self.shrinking = Some(Shrinking { len, beyond });
        self.shrink();
    }

    fn shrink(&mut self) {
        let Some(Shrinking { len, beyond: 0 }) = self.shrinking else { return };
        self.shrinking = None;
        let newest = self.slots[len..].iter().map(|slot| slot.generation).max();
        self.generation = self.generation.max(newest.unwrap_or(0));
        self.slots.truncate(len);
        self.slots.shrink_to(len);
        self.free.shrink_to(len);
        self.wheel.truncate(len);
        self.begin_shrinking();
    }
}

impl Progress {
    /// Answers that are still to come.
    fn answers(self) -> usize {
        match self {
            Self::Free | Self::Ended => 0,
            Self::First { more: false } | Self::Second => 1,
            Self::First { more: true } => 2,
        }
    }
}

impl Slot {
    fn unused(generation: u32) -> Self {
        Self {
            generation,
            guid: Guid::ZERO,
            progress: Progress::Free,
            answers: [None, None],
            waker: None,
            claims: None,
        }
    }

    /// Whether its request is still on the way from its caller: only then nobody
    /// waits for a first answer.
    fn is_being_packed(&self) -> bool {
        matches!(self.progress, Progress::First { .. }) && self.waker.is_none()
    }

    fn settle(&mut self, answer: Answer) -> Option<Waker> {
        self.progress = match self.progress {
            Progress::First { more: true } => Progress::Second,
            _ => Progress::Ended,
        };
        let [first, second] = &mut self.answers;
        *(if first.is_none() { first } else { second }) = Some(answer);
        self.waker.take()
    }
}

/// 64 random bits, then the generation and the index of the place.
fn compose(index: u32, generation: u32) -> Guid {
    let place = u128::from(generation) << 32 | u128::from(index);
    Guid::from_u128(u128::from(fastrand::u64(..)) << 64 | place)
}

/// The place that a guid names, if it is one of this table: whoever looks there compares
/// the whole guid.
#[inline]
fn index_of(guid: &Guid) -> usize {
    let Some(digits) = guid.as_bytes().last_chunk::<8>() else { return usize::MAX };
    // All eight at once: of a letter the low half is the value less nine.
    let digits = u64::from_be_bytes(*digits);
    let letters = digits >> 6 & 0x0101_0101_0101_0101;
    let halves = (digits & 0x0f0f_0f0f_0f0f_0f0f) + letters * 9;
    let bytes = (halves | halves >> 4) & 0x00ff_00ff_00ff_00ff;
    let pairs = (bytes | bytes >> 8) & 0x0000_ffff_0000_ffff;
    (pairs | pairs >> 16) as u32 as usize
}

/// Whether a guid names an earlier use of a place that is now in `generation`.
fn made_here(guid: &Guid, generation: u32) -> bool {
    let Some(value) = guid.to_u128() else { return false };
    let age = generation.wrapping_sub((value >> 32) as u32);
    (1..1 << 16).contains(&age)
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;

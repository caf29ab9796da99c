//! The calls in flight on one connection, without the connection.
//!
//! A call's place in the table and how often that place was used stand in the
//! digits of its guid, so an answer is found without hashing; the whole guid is
//! compared before anything is handed over.

use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::call::status::Status;
use crate::guid::Guid;

/// The table of one connection.
#[derive(Debug, Default)]
pub(super) struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Answers that are still to come.
    awaited: usize,
    /// Calls that were closed before their answers came.
    cancelled: usize,
    /// No deadline in the table is before this moment.
    earliest: Option<Instant>,
    /// Answers to calls that nobody waits for any more.
    pub(super) late: u64,
    /// Answers to nothing that was asked.
    pub(super) unknown: u64,
}

/// The right to the answers of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    index: u32,
    pub(super) guid: Guid,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    guid: Guid,
    open: bool,
    /// Answers still to come: one, or with the later result two.
    awaited: u8,
    /// The first answer has come.
    answered: bool,
    answers: [Option<Answer>; 2],
    deadline: Option<Instant>,
    waker: Option<Waker>,
    /// Where in the stream of all bytes the request begins.
    offset: u64,
}

/// The body of an answer, or why there is none.
pub(super) type Answer = Result<Bytes, Status>;

/// How far apart deadlines are looked after; one may be this much late.
const SCAN_INTERVAL: Duration = Duration::from_millis(5);

impl Table {
    /// Opens a place for a call with `awaited` answers.
    pub(super) fn open(&mut self, deadline: Option<Instant>, awaited: u8) -> Ticket {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::unused());
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let slot = &mut self.slots[index as usize];
        slot.guid = compose(index, slot.generation);
        slot.open = true;
        slot.awaited = awaited;
        slot.deadline = deadline;
        slot.offset = u64::MAX;
        self.awaited += usize::from(awaited);
        if let Some(deadline) = deadline {
            self.earliest = Some(self.earliest.map_or(deadline, |earliest| earliest.min(deadline)));
        }
        Ticket { index, guid: slot.guid }
    }

    /// Notes where in the stream the request begins, and who waits for its answer.
    pub(super) fn submitted(&mut self, ticket: &Ticket, offset: u64, waker: &Waker) {
        if let Some(slot) = self.slot(ticket) {
            slot.offset = offset;
            slot.waker = Some(waker.clone());
        }
    }

    /// Answers that are still to come.
    pub(super) fn awaited(&self) -> usize {
        self.awaited
    }

    /// Calls that the peer may still be working on for nobody.
    pub(super) fn cancelled(&self) -> usize {
        self.cancelled
    }

    /// Whether somebody waits for an answer with this guid.
    pub(super) fn is_awaited(&self, guid: &Guid) -> bool {
        let slot = index_of(guid).and_then(|index| self.slots.get(index));
        slot.is_some_and(|slot| slot.open && slot.guid == *guid && slot.awaited > 0)
    }

    /// The moment to call [`expire`](Self::expire).
    pub(super) fn earliest(&self) -> Option<Instant> {
        self.earliest
    }

    /// Hands the answer to its call; the task to wake, if one waits.
    pub(super) fn deliver(&mut self, guid: &Guid, answer: Answer) -> Option<Waker> {
        let place = index_of(guid).and_then(|index| self.slots.get_mut(index));
        let Some(slot) = place else {
            self.unknown += 1;
            return None;
        };
        if slot.open && slot.guid == *guid && slot.awaited == 0 {
            // Its caller has yet to hear that it is too late.
            self.late += 1;
            self.cancelled = self.cancelled.saturating_sub(1);
            return None;
        }
        if !slot.open || slot.guid != *guid {
            // A place that was used before, and a guid made here, was a call once.
            match made_here(guid, slot.generation) {
                true => {
                    self.late += 1;
                    self.cancelled = self.cancelled.saturating_sub(1);
                }
                false => self.unknown += 1,
            }
            return None;
        }
        self.awaited -= 1;
        slot.settle(answer)
    }

    /// Hands an answer without a guid to the only call that waits for its first.
    pub(super) fn deliver_only(&mut self, answer: Answer) -> Option<Waker> {
        let mut waiting = self.slots.iter().filter(|slot| slot.open && slot.awaited > 0 && !slot.answered);
        match (waiting.next().map(|slot| slot.guid), waiting.next()) {
            (Some(guid), None) => self.deliver(&guid, answer),
            _ => {
                self.unknown += 1;
                None
            }
        }
    }

    /// The next answer of a call, and whether it was the last: its place is given
    /// back with it.
    pub(super) fn poll(&mut self, ticket: &Ticket, waker: &Waker) -> Poll<(Answer, bool)> {
        let Some(slot) = self.slot(ticket) else {
            let status = Status::internal("a call was asked for more answers than it has");
            return Poll::Ready((Err(status), true));
        };
        let [first, second] = &mut slot.answers;
        if let Some(answer) = first.take().or_else(|| second.take()) {
            let last = slot.awaited == 0 && slot.answers[1].is_none();
            if last {
                slot.reset();
                self.free.push(ticket.index);
            }
            return Poll::Ready((answer, last));
        }
        match &mut slot.waker {
            Some(known) => known.clone_from(waker),
            None => slot.waker = Some(waker.clone()),
        }
        Poll::Pending
    }

    /// Gives the place back; whether an answer may still come for it.
    pub(super) fn close(&mut self, ticket: &Ticket) -> bool {
        let Some(slot) = self.slot(ticket) else { return false };
        let awaited = slot.awaited;
        slot.reset();
        self.awaited -= usize::from(awaited);
        self.cancelled += usize::from(awaited > 0);
        self.free.push(ticket.index);
        awaited > 0
    }

    /// Ends the calls whose deadline has passed; whether there were any.
    pub(super) fn expire(&mut self, now: Instant, status: &Status, wakers: &mut Vec<Waker>) -> bool {
        self.earliest = None;
        let awaited = self.awaited;
        for slot in &mut self.slots {
            let Some(deadline) = slot.deadline.filter(|_| slot.open && slot.awaited > 0) else { continue };
            if deadline <= now {
                self.awaited -= usize::from(slot.awaited);
                slot.awaited = 1;
                wakers.extend(slot.settle(Err(status.clone())));
                self.cancelled += 1;
            } else {
                self.earliest = Some(self.earliest.map_or(deadline, |earliest| earliest.min(deadline)));
            }
        }
        // Every scan looks at all places: not more often than this.
        self.earliest = self.earliest.map(|earliest| earliest.max(now + SCAN_INTERVAL));
        self.awaited < awaited
    }

    /// Ends all calls. Those whose request begins at or after `written` surely
    /// never reached the peer.
    pub(super) fn fail(&mut self, status: &Status, written: u64, wakers: &mut Vec<Waker>) {
        self.fail_sent(status, written, wakers);
        self.fail_sent(&status.clone().unsent(), u64::MAX, wakers);
        self.earliest = None;
    }

    /// Nothing was sent that a cancelled call asked for.
    pub(super) fn forget_cancelled(&mut self) {
        self.cancelled = 0;
    }

    /// Ends the calls whose request begins before `written`.
    pub(super) fn fail_sent(&mut self, status: &Status, written: u64, wakers: &mut Vec<Waker>) {
        let awaited = self.slots.iter_mut().filter(|slot| slot.open && slot.awaited > 0);
        for slot in awaited.filter(|slot| slot.offset < written || written == u64::MAX) {
            self.awaited -= usize::from(slot.awaited);
            slot.awaited = 1;
            wakers.extend(slot.settle(Err(status.clone())));
        }
        self.cancelled = 0;
    }

    fn slot(&mut self, ticket: &Ticket) -> Option<&mut Slot> {
        self.slots.get_mut(ticket.index as usize).filter(|slot| slot.open && slot.guid == ticket.guid)
    }
}

impl Slot {
    fn unused() -> Self {
        Self {
            generation: 0,
            guid: Guid::ZERO,
            open: false,
            awaited: 0,
            answered: false,
            answers: [None, None],
            deadline: None,
            waker: None,
            offset: 0,
        }
    }

    fn settle(&mut self, answer: Answer) -> Option<Waker> {
        self.awaited -= 1;
        self.answered = true;
        // A result that is still to come has none: its caller is acknowledged.
        self.deadline = None;
        let [first, second] = &mut self.answers;
        *(if first.is_none() { first } else { second }) = Some(answer);
        self.waker.take()
    }

    fn reset(&mut self) {
        *self = Self { generation: self.generation.wrapping_add(1), ..Self::unused() };
    }
}

/// 64 random bits, then the generation and the index of the place.
fn compose(index: u32, generation: u32) -> Guid {
    let place = u128::from(generation) << 32 | u128::from(index);
    Guid::from_u128(u128::from(fastrand::u64(..)) << 64 | place)
}

/// The place that a guid of this table names.
fn index_of(guid: &Guid) -> Option<usize> {
    let digits = guid.as_bytes().last_chunk::<8>()?;
    let digits = std::str::from_utf8(digits).ok()?;
    usize::try_from(u32::from_str_radix(digits, 16).ok()?).ok()
}

/// Whether a guid names an earlier use of a place that is now in `generation`.
fn made_here(guid: &Guid, generation: u32) -> bool {
    let Some(value) = guid.to_u128() else { return false };
    let age = generation.wrapping_sub((value >> 32) as u32);
    (1..1 << 16).contains(&age)
}

#[cfg(test)]
#[path = "multiplex_tests.rs"]
mod tests;

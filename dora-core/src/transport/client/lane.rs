//! The calls of one connection, and what is known of its peer: all but the
//! connection itself.

use std::task::Waker;

use tokio::time::Instant;

use crate::call::capabilities::Capabilities;
use crate::call::packer::Packer;
use crate::guid::Guid;

use super::queue::Queue;
use crate::wire::notice::Notice;

use super::table::{Fate, Table};

/// What belongs to one connection, or will belong to the next one.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) id: u32,
    pub(super) table: Table,
    /// Frames that wait to be written.
    pub(super) queue: Queue,
    /// A call was given up whose request may be among those that wait.
    pub(super) given_up: bool,
    /// The connection's task, when it waits.
    pub(super) task: Option<Waker>,
    /// When that task wakes of itself.
    pub(super) alarm: Option<Instant>,
    /// What the peer can, once it has said so.
    pub(super) can: Option<Capabilities>,
    /// The last read brought several answers: more callers are about to send.
    pub(super) burst: bool,
    /// When bytes were written first after the last that came.
    pub(super) owed: Option<Instant>,
    /// When bytes were written last.
    pub(super) wrote: Option<Instant>,
    /// The peer owes answers, and does not even say that it is there.
    pub(super) doubted: bool,
    /// The bytes of the largest request that a peer was sent of which is not known
    /// that it says what is too large.
    pub(super) largest: usize,
    /// The request that keeps a PHP server from closing.
    pub(super) keeper: Option<Guid>,
}

impl Lane {
    pub(super) fn new(id: u32) -> Self {
        Self {
            id,
            table: Table::default(),
            queue: Queue::default(),
            given_up: false,
            task: None,
            alarm: None,
            can: None,
            burst: false,
            owed: None,
            wrote: None,
            doubted: false,
            largest: 0,
            keeper: None,
        }
    }

    /// How requests are packed where nobody has set it: as every server can, until
    /// this one says that it can more.
    pub(super) fn packer(&self) -> Packer {
        match self.can {
            Some(can) if can.contains(Capabilities::PROTOBUF) => Packer::Protobuf,
            _ => Packer::Php,
        }
    }

    /// Whether a caller may write past the connection's task: nobody else is at it,
    /// so there is nothing to share a write with.
    pub(super) fn may_write_past(&self) -> bool {
        self.queue.is_empty() && !self.burst && self.table.awaited() == 1
    }

    /// Notes that bytes were written.
    pub(super) fn wrote(&mut self, now: Instant) {
        self.owed.get_or_insert(now);
        self.wrote = Some(now);
    }

    /// Notes that a request of so many bytes is sent.
    pub(super) fn sends(&mut self, bytes: usize) {
        if !self.can.is_some_and(|can| can.contains(Capabilities::NOTICES)) {
            self.largest = self.largest.max(bytes);
        }
    }

    /// The task to wake, if it would wake of itself only after `due`.
    pub(super) fn rouse_by(&mut self, due: Instant) -> Option<Waker> {
        match self.alarm {
            Some(alarm) if alarm <= due => None,
            _ => self.task.take(),
        }
    }

    /// What becomes of a request that waits to be written.
    pub(super) fn fate(&self, guid: &Guid) -> Fate {
        match self.keeper == Some(*guid) || Notice::of(guid).is_some() {
            true => Fate::Awaited { claims: None },
            false => self.table.fate(guid),
        }
    }

    /// Counts an answer that nobody waits for any more.
    pub(super) fn dropped_late(&mut self) -> Option<Waker> {
        self.table.late += 1;
        None
    }

    /// Counts an answer to nothing that was asked.
    pub(super) fn dropped_unknown(&mut self) -> Option<Waker> {
        self.table.unknown += 1;
        None
    }

    /// The connection is gone; what is known of its peer is not true of the next.
    pub(super) fn disconnected(&mut self) {
        self.can = None;
        self.burst = false;
        self.owed = None;
        self.wrote = None;
        self.doubted = false;
        self.largest = 0;
        self.keeper = None;
    }
}

//! What the callers of a channel and the task of its connection share.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

use crate::call::dora_code;
use crate::call::status::{Origin, Status};
use crate::wire::encoder::Encoder;

use super::endpoint::Endpoint;
use super::multiplex::{Answer, Table, Ticket};

/// One endpoint's connection, whether it stands or not.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) endpoint: Endpoint,
    pub(super) encoder: Encoder,
    /// `host:port`, for statuses.
    pub(super) peer: Arc<str>,
    core: Mutex<Core>,
    /// How the last connection attempt ended.
    attempts: watch::Sender<Option<Status>>,
}

/// All that is changed by callers and by the connection's task. Locked for
/// copies and table look-ups, never while packing, and for one write at most.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) table: Table,
    /// Frames that wait to be written.
    pub(super) out: Vec<u8>,
    /// Bytes ever put into `out` or written past it.
    pub(super) queued: u64,
    /// There while the connection stands and its task is not writing.
    pub(super) writer: Option<OwnedWriteHalf>,
    pub(super) state: State,
    /// Somebody waits for a connection without having sent anything.
    pub(super) wanted: bool,
    /// The connection stands.
    pub(super) connected: bool,
    /// The connection's task, when it waits.
    pub(super) driver: Option<Waker>,
    /// A caller was cancelled or timed out where answers cannot be told apart:
    /// the connection is to be made anew.
    pub(super) spoiled: bool,
    /// The turn of the call that spoiled the connection: the next call waits
    /// until the connection is gone.
    turn: Option<OwnedSemaphorePermit>,
    /// No channel is left.
    pub(super) abandoned: bool,
}

#[derive(Clone, Debug)]
pub(super) enum State {
    /// There may be no connection; one is made when something is to be sent.
    Open,
    /// A connection attempt failed a moment ago: calls fail at once until the
    /// next attempt.
    Down(Status),
}

impl Core {
    /// After a call that ended without its answer, where answers cannot be told
    /// apart.
    fn spoil(&mut self) {
        if self.connected {
            self.spoiled = true;
        } else {
            // Its request is all that waits, and need not be sent any more.
            self.out.clear();
        }
    }
}

impl Link {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        let peer = endpoint.authority().into();
        let core = Core {
            table: Table::default(),
            out: Vec::new(),
            queued: 0,
            writer: None,
            state: State::Open,
            wanted: false,
            connected: false,
            driver: None,
            spoiled: false,
            turn: None,
            abandoned: false,
        };
        let attempts = watch::Sender::new(None);
        Self { encoder: endpoint.encoder(), endpoint, peer, core: Mutex::new(core), attempts }
    }

    /// Asks for a connection and waits until it stands, or the attempt failed.
    pub(super) async fn connected(&self) -> Result<(), Status> {
        let mut attempts = self.attempts.subscribe();
        loop {
            let driver = {
                let mut core = self.core.lock();
                if core.connected {
                    return Ok(());
                }
                core.wanted = true;
                core.driver.take()
            };
            driver.into_iter().for_each(Waker::wake);
            if attempts.changed().await.is_err() {
                return Err(self.status(Status::unavailable("the channel is closed")));
            }
            if let Some(status) = attempts.borrow_and_update().clone() {
                return Err(status);
            }
        }
    }

    /// Tells whoever waits how a connection attempt ended.
    pub(super) fn attempted(&self, failure: Option<Status>) {
        let mut core = self.core.lock();
        core.wanted = false;
        core.connected = failure.is_none();
        drop(core);
        self.attempts.send_replace(failure);
    }

    /// Opens a place for a call.
    pub(super) fn open(&self, deadline: Option<Instant>, answers: u8) -> Result<Ticket, Status> {
        let mut core = self.core.lock();
        if let State::Down(status) = &core.state {
            return Err(status.clone().unsent());
        }
        let earliest = core.table.earliest();
        let ticket = core.table.open(deadline, answers);
        // The task's timer may be set too late for this call.
        let wake = match (deadline, earliest) {
            (Some(deadline), Some(earliest)) if deadline >= earliest => None,
            (Some(_), _) => core.driver.take(),
            (None, _) => None,
        };
        drop(core);
        wake.into_iter().for_each(Waker::wake);
        Ok(ticket)
    }

    /// Sends a request frame: at once when nothing else is going on, else with
    /// the frames of other callers, by the connection's task.
    ///
    /// # Errors
    /// Too many bytes wait already for a peer that does not read.
    pub(super) fn submit(&self, ticket: &Ticket, frame: &mut Vec<u8>) -> Result<(), Status> {
        let mut core = self.core.lock();
        if core.out.len() + frame.len() > self.endpoint.max_buffered.max(frame.len()) {
            let waiting = core.out.len();
            drop(core);
            let status = Status::resource_exhausted(format!("{waiting} bytes wait to be sent already"));
            return Err(self.status(status).unsent());
        }
        let offset = core.queued;
        core.table.set_offset(ticket, offset);
        core.queued += frame.len() as u64;
        let mut written = 0;
        if core.out.is_empty() && core.table.awaited() == 1 {
            // An error here is seen by the task as well, which ends the connection.
            written = core.writer.as_ref().and_then(|writer| writer.try_write(frame).ok()).unwrap_or(0);
        }
        if written == frame.len() {
            return Ok(());
        }
        if core.out.is_empty() && written == 0 {
            std::mem::swap(&mut core.out, frame);
        } else {
            core.out.extend_from_slice(&frame[written..]);
        }
        let driver = core.driver.take();
        drop(core);
        driver.into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// The next answer of a call.
    pub(super) fn poll_answer(&self, ticket: &Ticket, cx: &Context<'_>) -> Poll<Answer> {
        self.core.lock().table.poll(ticket, cx)
    }

    /// Gives a call's place back. `spoils`: an answer that still comes could not
    /// be told from another call's.
    pub(super) fn close(&self, ticket: &Ticket, spoils: bool) {
        let mut core = self.core.lock();
        if core.table.close(ticket) && spoils {
            core.spoil();
            let driver = core.driver.take();
            drop(core);
            driver.into_iter().for_each(Waker::wake);
        }
    }

    /// Ends the turn of a call that is over. Where it spoiled the connection, the
    /// next turn begins when that is gone.
    pub(super) fn end_turn(&self, turn: Option<OwnedSemaphorePermit>) {
        let Some(turn) = turn else { return };
        let mut core = self.core.lock();
        if core.spoiled {
            core.turn = Some(turn);
        }
    }

    /// Ends the calls whose deadline has passed; whether that leaves the
    /// connection spoiled.
    pub(super) fn expire(&self, now: Instant) -> bool {
        let message = format!("{}: no answer before the deadline", dora_code::TIMEOUT_MESSAGE);
        let status = self.status(Status::raw(dora_code::TIMEOUT, message));
        let mut wakers = Vec::new();
        let mut core = self.core.lock();
        let expired = core.table.expire(now, &status, &mut wakers);
        // An answer without a guid would go to the next call.
        if expired && self.endpoint.is_serial() {
            core.spoil();
        }
        let spoiled = core.spoiled;
        drop(core);
        wakers.into_iter().for_each(Waker::wake);
        spoiled
    }

    /// Tells the task that no channel is left.
    pub(super) fn abandon(&self) {
        let mut core = self.core.lock();
        core.abandoned = true;
        let driver = core.driver.take();
        drop(core);
        driver.into_iter().for_each(Waker::wake);
    }

    /// Answers to calls nobody waited for any more, and to no call at all.
    pub(super) fn dropped_answers(&self) -> (u64, u64) {
        let core = self.core.lock();
        (core.table.late, core.table.unknown)
    }

    /// Locks the core; for the connection's task.
    pub(super) fn core(&self) -> parking_lot::MutexGuard<'_, Core> {
        self.core.lock()
    }

    /// Ends all calls with `status`.
    pub(super) fn fail(&self, status: &Status, written: u64) {
        let mut wakers = Vec::new();
        let mut core = self.core.lock();
        core.writer = None;
        core.connected = false;
        core.table.fail(status, written, &mut wakers);
        core.out.clear();
        core.spoiled = false;
        let turn = core.turn.take();
        drop(core);
        wakers.into_iter().for_each(Waker::wake);
        drop(turn);
    }

    /// A status about the connection to this peer.
    pub(super) fn status(&self, status: Status) -> Status {
        status.with_origin(Origin::Connection).with_peer(Arc::clone(&self.peer))
    }
}

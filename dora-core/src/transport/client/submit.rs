//! How a call gets onto its connection.

use std::task::Waker;

use tokio::time::Instant;

use crate::call::status::Status;

use super::lane::Lane;
use super::link::{Core, Link};
use super::speech::Speech;
use super::table::{Expected, Ticket};

/// What became of a request whose frame was packed before its place was opened.
#[derive(Debug)]
pub(super) enum Sent {
    Sent(Ticket),
    /// The connection changed, and with it how its peer packs.
    PackAnew,
}

impl Link {
    /// Opens a place for a call, and says how to pack it.
    pub(super) fn open(&self, expected: &Expected) -> Result<(Ticket, Speech), Status> {
        let mut core = self.core.lock();
        if let Some(status) = core.state.refusal(|| expected.now) {
            return Err(status);
        }
        let lane = &mut core.current;
        let ticket = lane.table.open(lane.id, expected, None);
        let speech = self.speech_of(lane);
        let roused = self.rouse(&mut core, expected);
        drop(core);
        roused.into_iter().flatten().for_each(Waker::wake);
        Ok((ticket, speech))
    }

    /// The tasks to wake so that they look after this call in time.
    fn rouse(&self, core: &mut Core, expected: &Expected) -> [Option<Waker>; 2] {
        let look = expected.now + self.look_within;
        let watch = match (expected.deadline, core.watched) {
            (None, _) => None,
            (Some(deadline), Some(watched)) if watched <= deadline => None,
            (Some(_), _) => core.watch.take(),
        };
        [watch, core.current.rouse_by(look)]
    }

    /// Opens a place for the call whose frame was packed as `speech` says, and
    /// sends it: at once when nothing else is going on, else with the frames of
    /// other callers, by the connection's task. `waker` is woken by its answer.
    ///
    /// # Errors
    /// There is no connection yet, or too many bytes wait already for a peer
    /// that does not read.
    pub(super) fn send(
        &self,
        expected: &Expected,
        speech: Speech,
        frame: &mut Vec<u8>,
        waker: Waker,
    ) -> Result<Sent, Status> {
        let mut core = self.core.lock();
        if let Some(status) = core.state.refusal(|| expected.now) {
            return Err(status);
        }
        let lane = &mut core.current;
        if self.speech_of(lane).packer != speech.packer {
            return Ok(Sent::PackAnew);
        }
        self.check_room(lane, frame)?;
        let ticket = lane.table.open(lane.id, expected, Some(waker));
        self.layout.set_guid(frame, &ticket.guid);
        let roused = self.rouse(&mut core, expected);
        let task = Self::put(&mut core, ticket.lane, frame, expected.now);
        drop(core);
        roused.into_iter().chain([task]).flatten().for_each(Waker::wake);
        Ok(Sent::Sent(ticket))
    }

    /// Sends the frame of a call whose place is open.
    ///
    /// # Errors
    /// Too many bytes wait already for a peer that does not read.
    pub(super) fn submit(
        &self,
        ticket: &Ticket,
        frame: &mut Vec<u8>,
        waker: Waker,
        now: Instant,
    ) -> Result<(), Status> {
        let mut core = self.core.lock();
        let lane = core.lane(ticket.lane).filter(|lane| lane.table.is_awaited(&ticket.guid));
        let Some(lane) = lane else {
            // The connection was lost, or the deadline passed, while the request
            // was packed: its caller is told so, and it is not sent.
            drop(core);
            waker.wake();
            return Ok(());
        };
        self.check_room(lane, frame)?;
        lane.sends(frame.len());
        let other = lane.table.submitted(ticket, waker);
        let task = Self::put(&mut core, ticket.lane, frame, now);
        drop(core);
        drop(other);
        task.into_iter().for_each(Waker::wake);
        Ok(())
    }

    fn check_room(&self, lane: &Lane, frame: &[u8]) -> Result<(), Status> {
        let waiting = lane.queue.len();
        if waiting + frame.len() > self.endpoint.max_buffered.max(frame.len()) {
            let status = Status::resource_exhausted(format!("{waiting} bytes wait to be sent already"));
            return Err(self.status(status).unsent());
        }
        Ok(())
    }

    /// Writes or queues a frame; the task to wake for it.
    fn put(core: &mut Core, id: u32, frame: &mut Vec<u8>, now: Instant) -> Option<Waker> {
        let Core { state, current, writer, .. } = core;
        let mut written = 0;
        if current.id == id && state.is_connected() && current.may_write_past() {
            // An error here is seen by the task as well, which ends the connection.
            written = writer.as_ref().and_then(|writer| writer.try_write(frame).ok()).unwrap_or(0);
            if written > 0 {
                current.wrote(now);
            }
            if written == frame.len() {
                return None;
            }
        }
        let wanted = current.id == id && state.want();
        let lane = core.lane(id)?;
        lane.queue.push(frame, written, now);
        debug_assert!(!wanted || written == 0);
        lane.task.take()
    }
}

//! What the callers of a channel and the task of its connection share.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::runtime::{Handle, Id};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::call::dora_code;
use crate::call::doubt;
use crate::call::kept::Kept;
use crate::call::packer::Packer;
use crate::call::status::{Origin, Status};
use crate::guid::Guid;
use crate::sync::{AtomicBool, AtomicU8, Mutex, MutexGuard};
use crate::transport::io::stream::Writer;
use crate::wire::encoder::Encoder;
use crate::wire::header::Layout;

use super::endpoint::Endpoint;
use super::health::SOON;
use super::lane::Lane;
use super::link_state::LinkState;
use super::observed::Observed;
use super::queue::Queue;
use super::readiness::Readiness;
use super::speech::Speech;
use super::state::ChannelState;
use super::table::{Answer, Leftover, Ticket};

/// One endpoint's connection, whether it stands or not.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) endpoint: Endpoint,
    pub(super) encoder: Encoder,
    pub(super) layout: Layout,
    /// The server's address, for statuses.
    pub(super) peer: Arc<str>,
    pub(super) core: Mutex<Core>,
    /// How soon after a call its connection's task must look whether the peer is there.
    pub(super) look_within: Duration,
    /// Where its tasks run.
    runtime: Option<Id>,
    /// [`Speech`] of the current lane, to be read without the lock.
    speech: AtomicU8,
    /// Calls need not wait for what becomes of others: to be read without the lock.
    pub(super) proven: AtomicBool,
    pub(super) observed: Observed,
    /// How the last connection attempt ended.
    attempts: watch::Sender<Option<Status>>,
}

/// All that is changed by callers and by the connection's task. Locked for
/// copies and table look-ups, never while packing, and for one write at most.
/// Nobody's waker is woken or dropped meanwhile.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) state: LinkState,
    /// The connection that calls go to, or the next one.
    pub(super) current: Lane,
    /// Connections that were told to take no more calls, until those that they
    /// have are answered.
    pub(super) former: Vec<Lane>,
    /// There while the connection stands and its task is not writing.
    pub(super) writer: Option<Writer>,
    /// Who may call before the endpoint has shown that it is of use.
    pub(super) readiness: Readiness,
    /// The task that looks after the deadlines, when it waits.
    pub(super) watch: Option<Waker>,
    /// When that task wakes of itself.
    pub(super) watched: Option<Instant>,
}

/// Connections that may end beside the current one; more, and the oldest one's
/// calls fail.
const FORMER: usize = 8;

/// Calls that are given up under one lock.
const BATCH: usize = 256;

/// What must not be dropped, or woken, under the lock.
#[derive(Default)]
struct Outside {
    wakers: Vec<Waker>,
    leftover: Leftover,
    writer: Option<Writer>,
    queue: Queue,
    lane: Option<Lane>,
}

impl Outside {
    fn settle(self) {
        self.wakers.into_iter().for_each(Waker::wake);
    }
}

impl Core {
    /// The lane of this id, while it is there.
    pub(super) fn lane(&mut self, id: u32) -> Option<&mut Lane> {
        match self.current.id == id {
            true => Some(&mut self.current),
            false => self.former.iter_mut().find(|lane| lane.id == id),
        }
    }

    /// Gives the connection up, if it stands: its next answer could not be told
    /// from another call's. One call is made at a time then, so that what is
    /// queued is the given-up call's.
    fn spoil(&mut self, outside: &mut Outside) {
        outside.queue = self.current.queue.clear();
        outside.writer = self.writer.take();
        self.state.spoil();
        outside.wakers.extend(self.current.task.take());
    }

    /// The moment to look for deadlines that have passed.
    pub(super) fn earliest(&self) -> Option<Instant> {
        let lanes = self.former.iter().chain([&self.current]);
        lanes.filter_map(|lane| lane.table.earliest()).min()
    }

    /// A former lane ends with its last call, and its connection when nothing is
    /// awaited on it.
    fn tidy(&mut self, id: u32, outside: &mut Outside) {
        let Some(place) = self.former.iter().position(|lane| lane.id == id) else { return };
        let lane = &mut self.former[place];
        if lane.table.awaited() == 0 {
            outside.wakers.extend(lane.task.take());
        }
        if lane.table.is_unused() {
            let lane = self.former.swap_remove(place);
            self.current.table.late += lane.table.late;
            self.current.table.unknown += lane.table.unknown;
            outside.lane = Some(lane);
        }
    }
}

impl Link {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        let peer = endpoint.address().to_string().into();
        let core = Core {
            state: LinkState::default(),
            current: Lane::new(0),
            former: Vec::new(),
            writer: None,
            readiness: Readiness::default(),
            watch: None,
            watched: None,
        };
        let link = Self {
            encoder: endpoint.encoder(),
            layout: endpoint.layout(),
            observed: Observed::new(endpoint.address(), endpoint.observer.0.clone()),
            look_within: SOON.min(endpoint.silence_timeout / 2),
            endpoint,
            peer,
            core: Mutex::new(core),
            runtime: Handle::try_current().ok().map(|handle| handle.id()),
            speech: AtomicU8::new(0),
            proven: AtomicBool::new(false),
            attempts: watch::Sender::new(None),
        };
        link.note_speech(&link.core.lock());
        link
    }

    /// Asks for a connection and waits until it stands, or the attempt failed.
    pub(super) async fn connected(&self) -> Result<(), Status> {
        let mut attempts = self.attempts.subscribe();
        loop {
            let task = {
                let mut core = self.core.lock();
                match &core.state {
                    LinkState::Connected => return Ok(()),
                    LinkState::Ended(status) => return Err(status.clone()),
                    _ => {}
                }
                core.state.want().then(|| core.current.task.take()).flatten()
            };
            task.into_iter().for_each(Waker::wake);
            if attempts.changed().await.is_err() {
                return Err(self.status(Status::unavailable("the channel is closed")));
            }
            if let Some(status) = attempts.borrow_and_update().clone() {
                return Err(status);
            }
        }
    }

    /// How the deadlines of calls that are made here are kept by the link's own
    /// task: another runtime may go on while that one stands still.
    pub(super) fn keeps_deadlines(&self) -> Kept {
        match Handle::try_current() {
            Ok(handle) if Some(handle.id()) == self.runtime => Kept::Here,
            _ => Kept::Elsewhere(self.endpoint.timeout),
        }
    }

    /// How the connection is at this moment.
    pub(super) fn state(&self) -> ChannelState {
        self.core.lock().state.shown()
    }

    /// Answers that are waited for.
    pub(super) fn in_flight(&self) -> usize {
        let core = self.core.lock();
        core.former.iter().chain([&core.current]).map(|lane| lane.table.awaited()).sum()
    }

    /// Whether somebody waits for a connection without having sent anything.
    pub(super) fn is_waited_for(&self, core: &Core) -> bool {
        self.attempts.receiver_count() > 0 || core.readiness.is_waited_for()
    }

    /// Tells whoever waits how a connection attempt ended.
    pub(super) fn attempted(&self, failure: Option<Status>) {
        self.attempts.send_replace(failure);
    }

    /// How to pack a request now.
    pub(super) fn speech(&self) -> Speech {
        Speech::from_bits(self.speech.load(Ordering::Relaxed))
    }

    /// To be called under the lock whenever what the current peer can has changed.
    pub(super) fn note_speech(&self, core: &Core) {
        self.speech.store(self.speech_of(&core.current).bits(), Ordering::Relaxed);
    }

    /// How requests of this lane are packed.
    pub(super) fn speech_of(&self, lane: &Lane) -> Speech {
        let packer = self.endpoint.packer.unwrap_or_else(|| lane.packer());
        // A server of the old generation knows nothing of it.
        Speech { packer, heard: lane.can.is_some() || self.endpoint.is_serial() }
    }

    /// Whether a request can be packed before its place is open: its guid stands
    /// in the header alone, and nothing that was made of it anywhere.
    pub(super) fn packs_first(&self, speech: Speech) -> bool {
        speech.packer == Packer::Protobuf && !self.layout.signed && !self.endpoint.is_serial()
    }

    /// The next answer of a call, and whether it was the last.
    pub(super) fn poll_answer(&self, ticket: &Ticket, waker: &Waker) -> Poll<(Answer, bool)> {
        match self.try_answer(ticket, waker) {
            Ok(poll) => poll,
            // Another task waits than did: its waker is made outside the lock.
            Err(()) => {
                let mine = waker.clone();
                let mut core = self.core.lock();
                let table = core.lane(ticket.lane).map(|lane| &mut lane.table);
                let Some(table) = table else { return Poll::Ready((Err(closed()), true)) };
                let answer = table.poll(ticket);
                let other = if answer.is_pending() { table.submitted(ticket, mine) } else { Some(mine) };
                drop(core);
                drop(other);
                if matches!(answer, Poll::Ready((_, true))) {
                    self.tidy(ticket.lane);
                }
                answer
            }
        }
    }

    fn try_answer(&self, ticket: &Ticket, waker: &Waker) -> Result<Poll<(Answer, bool)>, ()> {
        let mut core = self.core.lock();
        let current = core.current.id == ticket.lane;
        let Some(lane) = core.lane(ticket.lane) else {
            return Ok(Poll::Ready((Err(closed()), true)));
        };
        let answer = lane.table.poll(ticket);
        if answer.is_pending() {
            if lane.doubted {
                doubt::say();
            }
            if !lane.table.wakes(ticket, waker) {
                return Err(());
            }
        }
        drop(core);
        if !current && matches!(answer, Poll::Ready((_, true))) {
            self.tidy(ticket.lane);
        }
        Ok(answer)
    }

    /// Whether the peer of this lane gives no sign of life: those who wait are polled, and
    /// hear of it ([`doubt`]).
    pub(super) fn doubt(&self, id: u32, doubted: bool) {
        let mut wakers = Vec::new();
        if let Some(lane) = self.core.lock().lane(id) {
            lane.doubted = doubted;
            wakers.extend(lane.table.wakers().filter(|_| doubted));
        }
        wakers.into_iter().for_each(Waker::wake);
    }

    fn tidy(&self, id: u32) {
        let mut outside = Outside::default();
        self.core.lock().tidy(id, &mut outside);
        outside.settle();
    }

    /// Gives a call's place back. `spoils`: an answer that still comes could not
    /// be told from another call's.
    pub(super) fn close(&self, ticket: &Ticket, spoils: bool) {
        let mut outside = Outside::default();
        let mut core = self.core.lock();
        let Some(lane) = core.lane(ticket.lane) else { return };
        let (awaited, leftover) = lane.table.close(ticket);
        outside.leftover = leftover;
        lane.given_up |= awaited;
        if awaited && spoils {
            core.spoil(&mut outside);
        }
        core.tidy(ticket.lane, &mut outside);
        drop(core);
        outside.settle();
    }

    /// Lets go of a connection that nobody uses; whether it is so.
    pub(super) fn let_go(&self, id: u32) -> bool {
        let mut core = self.core.lock();
        if core.current.id != id || core.current.table.awaited() > 0 || !core.current.queue.is_empty() {
            return false;
        }
        let writer = core.writer.take();
        core.state.gone(false);
        core.current.disconnected();
        self.note_speech(&core);
        drop(core);
        drop(writer);
        true
    }

    /// Takes no more calls on the lane's connection: the next ones make another.
    /// The connection goes on with what it has; its writer, where the link has it.
    /// `None`: it is to end at once in any case.
    pub(super) fn drain(&self, id: u32) -> Option<Option<Writer>> {
        let mut outside = Outside::default();
        let mut core = self.core.lock();
        if core.current.id != id || !core.state.is_connected() {
            return None;
        }
        let wanted = self.is_waited_for(&core);
        core.state.gone(wanted);
        let writer = core.writer.take();
        let next = Lane::new(id.wrapping_add(1));
        let lane = std::mem::replace(&mut core.current, next);
        core.former.push(lane);
        self.note_speech(&core);
        let mut waited = core.former.iter_mut().filter(|lane| lane.table.awaited() > 0);
        if let (Some(oldest), true) = (waited.next(), waited.count() >= FORMER) {
            let status = self.status(Status::unavailable("the server drains one connection after the other"));
            oldest.table.fail(&status, &[], &mut outside.wakers);
            let oldest = oldest.id;
            core.tidy(oldest, &mut outside);
        }
        core.tidy(id, &mut outside);
        drop(core);
        outside.settle();
        Some(writer)
    }

    /// Ends the calls whose deadline has passed.
    pub(super) fn expire(&self, now: Instant) {
        let core = self.core.lock();
        let lanes: Vec<u32> = core.former.iter().chain([&core.current]).map(|lane| lane.id).collect();
        drop(core);
        lanes.into_iter().for_each(|id| self.expire_lane(id, now));
    }

    fn expire_lane(&self, id: u32, now: Instant) {
        let status = self.status(Status::raw(dora_code::TIMEOUT, "no answer before the deadline"));
        let unsent = status.clone().with_message("the deadline passed before a connection stood").unsent();
        loop {
            let mut outside = Outside::default();
            let mut core = self.core.lock();
            // What expired is not written when there is one.
            let status = if core.current.id == id && core.state.is_connecting() { &unsent } else { &status };
            let Some(lane) = core.lane(id) else { return };
            let count = lane.table.expire(now, BATCH, status, &mut outside.wakers);
            lane.given_up |= count > 0;
            if count > 0 && self.endpoint.is_serial() {
                core.spoil(&mut outside);
            }
            core.tidy(id, &mut outside);
            drop(core);
            outside.settle();
            if count > 0 {
                self.observed.expired(count);
            }
            if count < BATCH {
                return;
            }
        }
    }

    /// Ends all calls, those that are yet to be made too.
    pub(super) fn end(&self, status: &Status) {
        let mut core = self.core.lock();
        core.state.end(status.clone());
        let id = core.current.id;
        let waiting = core.readiness.take_all();
        let watch = core.watch.take();
        drop(core);
        waiting.into_iter().chain(watch).for_each(Waker::wake);
        self.fail(id, status, &[]);
        self.attempted(Some(status.clone()));
    }

    /// Tells the task that no channel is left.
    pub(super) fn abandon(&self) {
        let mut core = self.core.lock();
        core.state.leave();
        let (task, watch) = (core.current.task.take(), core.watch.take());
        drop(core);
        task.into_iter().chain(watch).for_each(Waker::wake);
    }

    /// Answers to calls nobody waited for any more, and to no call at all.
    pub(super) fn dropped_answers(&self) -> (u64, u64) {
        let core = self.core.lock();
        let lanes = || core.former.iter().chain([&core.current]);
        (lanes().map(|lane| lane.table.late).sum(), lanes().map(|lane| lane.table.unknown).sum())
    }

    /// Locks the core; for the connection's task.
    pub(super) fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock()
    }

    /// Ends the calls of a lane with `status`; those in `unsent`, and those that
    /// are queued, surely never reached the peer.
    pub(super) fn fail(&self, id: u32, status: &Status, unsent: &[Guid]) {
        let mut outside = Outside::default();
        let mut core = self.core.lock();
        let current = core.current.id == id;
        let spoiled = current && matches!(core.state, LinkState::Spoiled);
        let Some(lane) = core.lane(id) else { return };
        if spoiled {
            // What was queued since is whole, and the next connection's.
            let next = if lane.queue.is_empty() { None } else { lane.table.only() };
            lane.table.fail_but(next, status, &mut outside.wakers);
        } else {
            let mut unsent = unsent.to_vec();
            unsent.extend(lane.queue.guids(self.layout));
            // Without guids one call is made at a time.
            unsent.extend(lane.table.only().filter(|_| self.endpoint.is_serial() && !lane.queue.is_empty()));
            lane.table.fail(status, &unsent, &mut outside.wakers);
            outside.queue = lane.queue.clear();
        }
        lane.disconnected();
        let wanted = !lane.queue.is_empty();
        if current {
            outside.writer = core.writer.take();
            let wanted = wanted || self.is_waited_for(&core);
            core.state.gone(wanted);
            self.note_speech(&core);
        }
        core.tidy(id, &mut outside);
        drop(core);
        outside.settle();
    }

    /// A status about a request that was never sent to this peer.
    pub(super) fn unsent(&self, status: Status) -> Status {
        status.with_peer(Arc::clone(&self.peer)).inward().unsent()
    }

    /// A status about the connection to this peer.
    pub(super) fn status(&self, status: Status) -> Status {
        status.with_origin(Origin::Connection).with_peer(Arc::clone(&self.peer)).inward()
    }
}

fn closed() -> Status {
    Status::internal("a call was asked for more answers than it has")
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;

//! What the callers of a channel and the task of its connection share.

use std::sync::Arc;
use std::task::{Poll, Waker};

use bytes::BytesMut;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::call::dora_code;
use crate::call::status::{Origin, Status};
use crate::transport::io::stream::Writer;
use crate::wire::encoder::Encoder;

use super::endpoint::Endpoint;
use super::multiplex::{Answer, Table, Ticket};
use super::state::ChannelState;

/// One endpoint's connection, whether it stands or not.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) endpoint: Endpoint,
    pub(super) encoder: Encoder,
    /// The server's address, for statuses.
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
    pub(super) writer: Option<Writer>,
    pub(super) state: State,
    /// Somebody waits for a connection without having sent anything.
    pub(super) wanted: bool,
    /// The connection stands.
    connected: bool,
    /// A connection is being made.
    connecting: bool,
    /// Who waits until the next attempt to connect may be made.
    unready: Vec<Waker>,
    /// The connection's task, when it waits.
    pub(super) driver: Option<Waker>,
    /// A caller was cancelled or timed out where answers cannot be told apart:
    /// the connection is to be made anew.
    pub(super) spoiled: bool,
    /// No channel is left.
    pub(super) abandoned: bool,
    /// The connection's task has ended: there will be no other connection.
    ended: bool,
}

impl Core {
    /// Gives the connection up, if it stands: its next answer could not be told
    /// from another call's. One call is made at a time then, so that what is
    /// queued is the given-up call's.
    fn spoil(&mut self) {
        self.out.clear();
        self.spoiled = self.connected;
        self.writer = None;
    }
}

#[derive(Clone, Debug)]
pub(super) enum State {
    /// There may be no connection; one is made when something is to be sent.
    Open,
    /// A connection attempt failed; the next may be made at that moment. Calls
    /// that are made all the same fail at once.
    Down(Status, Instant),
}

impl Link {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        let peer = endpoint.address().to_string().into();
        let core = Core {
            table: Table::default(),
            out: Vec::new(),
            queued: 0,
            writer: None,
            state: State::Open,
            wanted: false,
            connected: false,
            connecting: false,
            unready: Vec::new(),
            driver: None,
            spoiled: false,
            abandoned: false,
            ended: false,
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
                if let (true, State::Down(status, _)) = (core.ended, &core.state) {
                    return Err(status.clone());
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

    /// How the connection is at this moment.
    pub(super) fn state(&self) -> ChannelState {
        let core = self.core.lock();
        match &core.state {
            _ if core.ended => ChannelState::Closed,
            State::Down(_, until) => ChannelState::Down(*until),
            State::Open if core.connected => ChannelState::Ready,
            State::Open if core.connecting => ChannelState::Connecting,
            State::Open => ChannelState::Idle,
        }
    }

    /// Answers that are waited for.
    pub(super) fn in_flight(&self) -> usize {
        self.core.lock().table.awaited()
    }

    /// Ready unless an attempt to connect failed and the next is not due yet.
    pub(super) fn poll_ready(&self, waker: &Waker) -> Poll<()> {
        let mut core = self.core.lock();
        if core.ended || matches!(core.state, State::Open) {
            return Poll::Ready(());
        }
        if !core.unready.iter().any(|known| known.will_wake(waker)) {
            core.unready.push(waker.clone());
        }
        Poll::Pending
    }

    /// Says that a connection is being made.
    pub(super) fn attempting(&self) {
        self.core.lock().connecting = true;
    }

    /// An attempt failed: no other is made before `until`.
    pub(super) fn down(&self, status: Status, until: Instant) {
        self.core.lock().state = State::Down(status, until);
    }

    /// The next attempt may be made.
    pub(super) fn up(&self) {
        let mut core = self.core.lock();
        core.state = State::Open;
        let unready = std::mem::take(&mut core.unready);
        drop(core);
        unready.into_iter().for_each(Waker::wake);
    }

    /// Tells whoever waits how a connection attempt ended.
    pub(super) fn attempted(&self, failure: Option<Status>) {
        let mut core = self.core.lock();
        core.wanted = false;
        core.connecting = false;
        core.connected = failure.is_none();
        drop(core);
        self.attempts.send_replace(failure);
    }

    /// Opens a place for a call.
    pub(super) fn open(&self, deadline: Option<Instant>, answers: u8) -> Result<Ticket, Status> {
        let mut core = self.core.lock();
        if let State::Down(status, _) = &core.state {
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
    /// the frames of other callers, by the connection's task. `waker` is woken by
    /// its answer.
    ///
    /// # Errors
    /// Too many bytes wait already for a peer that does not read.
    pub(super) fn submit(&self, ticket: &Ticket, frame: &mut Vec<u8>, waker: &Waker) -> Result<(), Status> {
        let mut core = self.core.lock();
        if !core.table.is_awaited(&ticket.guid) {
            // The connection was lost, or the deadline passed, while the request
            // was packed: its caller is told so, and it is not sent.
            drop(core);
            waker.wake_by_ref();
            return Ok(());
        }
        if core.out.len() + frame.len() > self.endpoint.max_buffered.max(frame.len()) {
            let waiting = core.out.len();
            drop(core);
            let status = Status::resource_exhausted(format!("{waiting} bytes wait to be sent already"));
            return Err(self.status(status).unsent());
        }
        let offset = core.queued;
        core.table.submitted(ticket, offset, waker);
        core.queued += frame.len() as u64;
        let mut written = 0;
        if core.out.is_empty() && !core.spoiled && core.table.awaited() == 1 {
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

    /// The next answer of a call, and whether it was the last.
    pub(super) fn poll_answer(&self, ticket: &Ticket, waker: &Waker) -> Poll<(Answer, bool)> {
        self.core.lock().table.poll(ticket, waker)
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

    /// Lets go of a connection that nobody uses; whether it is so.
    pub(super) fn let_go(&self) -> bool {
        let mut core = self.core.lock();
        if core.table.awaited() > 0 || !core.out.is_empty() {
            return false;
        }
        core.writer = None;
        core.connected = false;
        core.spoiled = false;
        true
    }

    /// Ends the calls whose deadline has passed.
    pub(super) fn expire(&self, now: Instant) {
        let status = self.status(Status::raw(dora_code::TIMEOUT, "no answer before the deadline"));
        let mut wakers = Vec::new();
        let mut core = self.core.lock();
        let expired = core.table.expire(now, &status, &mut wakers);
        if expired && self.endpoint.is_serial() {
            core.spoil();
        }
        drop(core);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Ends all calls, those that are yet to be made too.
    pub(super) fn end(&self, status: &Status) {
        let mut core = self.core.lock();
        core.ended = true;
        core.spoiled = false;
        core.state = State::Down(status.clone(), Instant::now());
        let unready = std::mem::take(&mut core.unready);
        drop(core);
        unready.into_iter().for_each(Waker::wake);
        self.fail(status, u64::MAX);
        self.attempted(Some(status.clone()));
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
        if std::mem::take(&mut core.spoiled) {
            // What was queued since is whole, and the next connection's.
            core.table.fail_sent(status, written, &mut wakers);
        } else {
            core.table.fail(status, written, &mut wakers);
            core.out.clear();
        }
        drop(core);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Takes the requests out of the queue that nobody waits for any more: work
    /// that has expired never starts. Only while no connection stands, when the
    /// queue holds whole frames.
    pub(super) fn drop_expired(&self) {
        let core = &mut *self.core.lock();
        if core.table.cancelled() == 0 {
            return;
        }
        let queued = std::mem::take(&mut core.out);
        let mut rest = BytesMut::from(&queued[..]);
        let decoder = self.endpoint.decoder();
        let mut start = 0;
        while let Ok(Some(frame)) = decoder.decode(&mut rest) {
            let end = queued.len() - rest.len();
            if frame.guid.is_none_or(|guid| core.table.is_awaited(&guid)) {
                core.out.extend_from_slice(&queued[start..end]);
            }
            start = end;
        }
        core.table.forget_cancelled();
    }

    /// A status about a request that was never sent to this peer.
    pub(super) fn unsent(&self, status: Status) -> Status {
        status.with_peer(Arc::clone(&self.peer)).unsent()
    }

    /// A status about the connection to this peer.
    pub(super) fn status(&self, status: Status) -> Status {
        status.with_origin(Origin::Connection).with_peer(Arc::clone(&self.peer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::code::Code;
    use crate::generation::Generation;

    fn link(change: impl FnOnce(Endpoint) -> Endpoint) -> Link {
        Link::new(change(Endpoint::new("127.0.0.1:1").expect("host:port").php()))
    }

    fn frame(link: &Link, ticket: &Ticket) -> Vec<u8> {
        let mut out = Vec::new();
        let frame = link.encoder.begin(link.endpoint.generation, &ticket.guid, &mut out);
        out.extend_from_slice(b"a:1:{s:4:\"type\";s:20:\"01234567890123456789\";}");
        link.encoder.finish(&frame, &mut out).expect("small");
        out
    }

    fn send(link: &Link) -> (Ticket, Vec<u8>) {
        let ticket = link.open(None, 1).expect("open");
        let frame = frame(link, &ticket);
        link.submit(&ticket, &mut frame.clone(), Waker::noop()).expect("queued");
        (ticket, frame)
    }

    fn answer(link: &Link, ticket: &Ticket) -> Poll<Answer> {
        link.poll_answer(ticket, Waker::noop()).map(|(answer, _)| answer)
    }

    #[test]
    fn what_was_called_unsent_is_never_sent() {
        let link = link(|endpoint| endpoint);
        let ticket = link.open(None, 1).expect("open");
        // While the request is being packed the connection is lost.
        link.fail(&Status::unavailable("lost"), 0);
        link.submit(&ticket, &mut frame(&link, &ticket), Waker::noop()).expect("ignored");
        assert!(link.core().out.is_empty());
        let Poll::Ready(Err(status)) = answer(&link, &ticket) else { panic!("it has ended") };
        assert!(status.is_unsent() && status.code() == Code::Unavailable);
    }

    #[test]
    fn requests_that_were_given_up_leave_the_queue() {
        let link = link(|endpoint| endpoint.signed());
        let (first, first_frame) = send(&link);
        let (second, _) = send(&link);
        let (third, third_frame) = send(&link);
        link.drop_expired();
        assert_eq!(link.core().out.len(), 3 * first_frame.len(), "all are awaited");
        link.close(&second, false);
        link.drop_expired();
        assert_eq!(link.core().out, [first_frame, third_frame].concat());
        assert!(answer(&link, &first).is_pending() && answer(&link, &third).is_pending());
    }

    #[test]
    fn a_given_up_call_without_a_guid_takes_its_connection_and_not_the_next_call() {
        let link = link(|endpoint| endpoint.generation(Generation::Plain));
        let (first, _) = send(&link);
        link.attempted(None);
        link.core().out.clear();
        link.close(&first, true);
        let (second, second_frame) = send(&link);
        let written = link.core().queued - second_frame.len() as u64;
        link.fail(&Status::unavailable("no longer needed"), written);
        assert!(answer(&link, &second).is_pending());
        assert_eq!(link.core().out, second_frame, "the next connection's");
        assert!(!link.core().spoiled);
    }

    #[test]
    fn a_connection_in_use_is_not_let_go() {
        let link = link(|endpoint| endpoint);
        link.attempted(None);
        let (ticket, _) = send(&link);
        assert!(!link.let_go());
        link.core().out.clear();
        assert!(!link.let_go(), "an answer is awaited");
        link.close(&ticket, false);
        assert!(link.let_go());
    }
}

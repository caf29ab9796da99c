//! One connection of a server.
//!
//! A single task reads, runs the handlers and writes: every frame of a read is
//! parsed, each handler is polled once where it stands, only those that wait are
//! parked, and what all of them answered goes out in one write. Each turn has a
//! budget; when it is spent, what there is to send is sent and the others of the
//! worker are next.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use tower::Service;

use crate::call::observe::Closed;
use crate::call::origin::Connection;
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::BoxError;
use crate::transport::io::alarm::Alarm;
use crate::transport::io::diagnose::failure;
use crate::transport::io::inbox::Inbox;
use crate::transport::io::stream::Stream;
use crate::wire::notice::Notice;

use super::dispatch::Dispatch;
use super::incoming::Incoming;
use super::session::{Leave, Next, Session};
use super::shared::Shared;
use super::shutdown::{Phase, Watcher};
use super::turn::{Budget, Turn};

/// A connection that is to be served, and what with.
pub(super) struct Accepted<S> {
    pub(super) incoming: Incoming,
    pub(super) service: S,
    pub(super) shared: Arc<Shared>,
    pub(super) watcher: Watcher,
}

/// A connection and all that runs on it.
struct Serving<S: Service<Request>> {
    stream: Stream,
    session: Session,
    dispatch: Dispatch<S>,
    alarm: Alarm,
    probe: Alarm,
    probe_at: Option<Instant>,
}

/// What follows a turn.
enum After {
    /// Others of the worker, then another turn.
    Yield,
    End(Leave, Closed),
    Lost(io::Error),
}

/// How long, after its last word, a server waits for the peer to close, so that
/// the last word is not lost to a reset.
const FAREWELL: Duration = Duration::from_millis(500);

/// Bytes that are read ahead of what there is time for: enough that it does not
/// wait for the next read, too little to be worth an attack.
const READ_AHEAD: usize = 64 << 10;

/// How often a connection that is not read, and would so not be seen to break,
/// is looked after while calls run for it.
const PROBE: Duration = Duration::from_secs(1);

/// Serves a connection until it ends, of itself or by the server's shutdown.
pub(super) async fn serve<S>(accepted: Box<Accepted<S>>)
where
    S: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static,
{
    // Nothing of this size may be moved into a future of its own: it would be
    // there twice.
    let watcher = accepted.watcher.clone();
    let mut connection = {
        // So that the box is given back now, and not with the connection.
        let accepted = accepted;
        Serving::new(*accepted)
    };
    let mut changed = pin!(watcher.changed());
    let mut told: Option<Waker> = None;
    let mut phase = Phase::Serving;
    let next = loop {
        let next = poll_fn(|cx| {
            if watcher.phase() != phase {
                phase = watcher.phase();
                told = None;
                changed.set(watcher.changed());
                if phase == Phase::Draining {
                    connection.drain();
                }
            }
            if !told.as_ref().is_some_and(|told| told.will_wake(cx.waker())) {
                told = Some(cx.waker().clone());
                // Had it changed again meanwhile, the next turn is now.
                if changed.as_mut().poll(cx).is_ready() {
                    changed.set(watcher.changed());
                    told = None;
                    cx.waker().wake_by_ref();
                }
            }
            if phase >= Phase::Closing {
                return Poll::Ready(After::End(connection.session.cut(), phase.why()));
            }
            connection.poll_turn(cx)
        });
        match next.await {
            // Waking oneself would not do: sockets and timers are looked after
            // only when no task of the worker is awake.
            After::Yield => tokio::task::yield_now().await,
            next => break next,
        }
    };
    let (leave, why) = match next {
        After::End(leave, why) => (leave, why),
        After::Lost(error) => (Leave::AtOnce, Closed::Lost(failure(&error))),
        After::Yield => (Leave::AtOnce, Closed::Drained),
    };
    // What waits for the peer to hear the end holds no memory but the stream.
    let Serving { stream, dispatch, .. } = connection;
    dispatch.close(why);
    if leave != Leave::AtOnce {
        Box::pin(farewell(stream, leave)).await;
    }
}

/// Says that nothing more is sent, and waits until a peer has heard its last word.
async fn farewell(mut stream: Stream, leave: Leave) {
    let heard = async {
        stream.shutdown().await?;
        let mut junk = [0; 1024];
        while leave == Leave::AfterLastWord && stream.read(&mut junk).await? > 0 {}
        io::Result::Ok(())
    };
    // Whatever comes of it, the connection is over.
    let _ = tokio::time::timeout(FAREWELL, heard).await;
}

impl<S> Serving<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static,
{
    fn new(accepted: Accepted<S>) -> Self {
        let Accepted { incoming, service, shared, watcher } = accepted;
        let (stream, first, over) = incoming.into_parts(Connection::DORA);
        shared.observers.tell(|observer| observer.connection_accepted(&over));
        let mut inbox = Inbox::new(shared.config.decoder());
        inbox.put(&first);
        Self {
            stream,
            session: Session::new(inbox, Instant::now()),
            dispatch: Dispatch::new(service, shared, over, watcher),
            alarm: Alarm::default(),
            probe: Alarm::default(),
            probe_at: None,
        }
    }

    fn drain(&mut self) {
        self.session.drain(&self.dispatch.shared.config, Instant::now());
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<After> {
        let mut turn = Turn::new(Budget::TURN, Instant::now());
        match self.work(&mut turn, cx) {
            Ok(()) => self.rest(&turn, cx),
            Err(error) => Poll::Ready(After::Lost(error)),
        }
    }

    /// Reads, runs and writes as long as the turn lasts and something moves.
    fn work(&mut self, turn: &mut Turn, cx: &mut Context<'_>) -> io::Result<()> {
        loop {
            let mut moved = self.dispatch.poll_work(turn, cx);
            moved |= self.may_answer() && self.dispatch.begin_held(turn.now(), cx);
            moved |= self.poll_read(turn, cx)?;
            moved |= self.take_frames(turn, cx);
            if self.dispatch.wants_notices() && self.session.tell(turn.now()) {
                self.dispatch.notice(Notice::Drain);
            }
            let stalled = !self.may_answer();
            self.poll_flush(turn, cx)?;
            // What was held back for the peer's sake goes on.
            moved |= stalled && self.may_answer();
            if moved {
                self.session.moved(turn.now());
            }
            if !moved || turn.is_spent() {
                return Ok(());
            }
        }
    }

    /// What is due, and when to come back.
    fn rest(&mut self, turn: &Turn, cx: &mut Context<'_>) -> Poll<After> {
        let load = self.dispatch.load();
        self.dispatch.tell_stats();
        self.session.end_turn(load, &self.dispatch.shared.config, turn.now());
        if self.dispatch.hold(self.session.inbox.len(), cx.waker()) {
            return Poll::Ready(After::End(Leave::AtOnce, Closed::OverBudget));
        }
        // Frames may be here that there was no time for.
        if !turn.is_spent()
            && let Some(leave) = self.session.over(load, turn.now())
        {
            return Poll::Ready(After::End(leave, self.session.why()));
        }
        let due = self.session.due(load, &self.dispatch.shared.config);
        if let Some((moment, due)) = due {
            // A busy connection looks at the clock; only one that rests sets it.
            let passed =
                if turn.is_spent() { moment <= turn.now() } else { self.alarm.poll(moment, cx).is_ready() };
            if passed {
                return Poll::Ready(After::End(self.session.cut(), due.into()));
            }
        }
        if turn.is_spent() {
            return Poll::Ready(After::Yield);
        }
        if load.waiting == 0 && self.session.inbox.is_empty() {
            self.session.inbox.release();
            self.dispatch.release();
        }
        match self.poll_probe(turn.now(), cx) {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(After::Lost(error)),
        }
    }

    fn may_answer(&self) -> bool {
        Session::may_answer(self.dispatch.load(), &self.dispatch.shared.config)
    }

    fn may_read(&self, now: Instant) -> bool {
        self.session.may_read(self.dispatch.load(), &self.dispatch.shared.config, now)
    }

    fn take_frames(&mut self, turn: &mut Turn, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        while !turn.is_spent() {
            let config = &self.dispatch.shared.config;
            let Some(next) = self.session.next_frame(self.dispatch.load(), config) else { break };
            moved = true;
            match next {
                Next::Frame(frame, received_at) => {
                    let bytes = frame.body.len();
                    self.dispatch.on_frame(frame, received_at, turn.now(), cx);
                    turn.count(bytes, Instant::now);
                }
                Next::Refused(error) => {
                    if self.dispatch.refuse_frame(&error, self.session.inbox.peek()) {
                        self.session.last_word();
                    }
                    turn.count(0, Instant::now);
                }
            }
        }
        moved
    }

    /// Reads what is there, up to [`READ_AHEAD`]; whether something came.
    fn poll_read(&mut self, turn: &mut Turn, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut moved = false;
        while self.session.inbox.len() < READ_AHEAD || !moved && !self.session.inbox.has_frame() {
            if !self.may_read(turn.now()) {
                break;
            }
            let Poll::Ready(ready) = self.stream.poll_read_ready(cx) else { break };
            ready?;
            let Poll::Ready(count) = self.session.inbox.poll_read(&mut self.stream, cx)? else { break };
            moved = true;
            if count == 0 {
                self.session.end_of_stream();
                break;
            }
            turn.look(Instant::now());
            self.session.received(count, turn.now());
            self.dispatch.received(count);
        }
        Ok(moved)
    }

    fn poll_flush(&mut self, turn: &Turn, cx: &mut Context<'_>) -> io::Result<()> {
        if self.dispatch.poll_flush(&mut self.stream, cx)? {
            self.session.taken(turn.now());
        }
        Ok(())
    }

    /// Notices that a connection broke which is not read, so that its calls end, or
    /// that a peer has gone whose end of sending might have been no more than that.
    fn poll_probe(&mut self, now: Instant, cx: &mut Context<'_>) -> io::Result<()> {
        if self.may_read(now) || self.dispatch.load().running == 0 {
            self.probe_at = None;
            return Ok(());
        }
        // A peer that has just ended its side may have gone at once.
        let mut looks = self.probe_at.is_none();
        let mut due = *self.probe_at.get_or_insert_with(|| now + PROBE);
        loop {
            if looks {
                if let Some(error) = self.stream.take_error()? {
                    return Err(error);
                }
                if self.stream.has_left(cx) {
                    return Err(io::Error::new(io::ErrorKind::ConnectionReset, "the peer has gone"));
                }
            }
            if self.probe.poll(due, cx).is_pending() {
                return Ok(());
            }
            due = Instant::now() + PROBE;
            (self.probe_at, looks) = (Some(due), true);
        }
    }
}

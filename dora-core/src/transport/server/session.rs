//! One connection of a server.
//!
//! A single task reads, runs the handlers and writes: every frame of a read is
//! parsed, each handler is polled once where it stands, only those that wait are
//! parked, and what all of them answered goes out in one write.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use tower::Service;

use crate::call::origin::{Connection, Peer};
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::BoxError;
use crate::wire::encoder::Encoder;

use super::config::SessionConfig;
use super::control::Control;
use super::dispatch::Arrived;
use super::packet::Run;
use super::running::Work;
use super::shutdown::{Phase, Watcher};
use super::stats::{Stats, Tally};
use crate::transport::io::alarm::{Alarm, after};
use crate::transport::io::inbox::Inbox;
use crate::transport::io::outbox::Outbox;
use crate::transport::io::stream::Stream;

/// What all connections of a listener share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: SessionConfig,
    pub(super) encoder: Encoder,
    pub(super) control: Control,
    pub(super) stats: Arc<Stats>,
    /// Calls that may be parked or running in the background in the whole server.
    pub(super) max_running: usize,
}

/// A connection and all that runs on it.
pub(super) struct Session<S: Service<Request>> {
    pub(super) service: S,
    pub(super) shared: Arc<Shared>,
    pub(super) connection: Arc<Connection>,
    pub(super) outbox: Outbox,
    pub(super) work: Work<S>,
    pub(super) tally: Tally,
    pub(super) watcher: Watcher,
    inbox: Inbox,
    stream: Stream,
    alarm: Alarm,
    probe: Alarm,
    probe_at: Option<Instant>,
    /// A packet that waits for a place among the running calls.
    pub(super) held: Option<Box<Arrived>>,
    /// Room for the next run.
    pub(super) spare: Option<Pin<Box<Run<S>>>>,
    /// When bytes last came; no request that is here came later.
    pub(super) received_at: Instant,
    /// The present, as good as of this pass: one look at the clock for all calls
    /// of a read.
    pub(super) now: Instant,
    /// When bytes last moved.
    active: Instant,
    /// Since when the peer takes none of its answers.
    stalled_since: Option<Instant>,
    /// Since when the frame that is being received is awaited.
    frame_since: Option<Instant>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// The peer sends no more; what it asked for is still answered.
    Ended,
    /// The server drains: not read, and closed when idle, from this moment on.
    Draining(Instant),
    /// Out of step: what is to be sent is sent, then both sides close.
    Closing,
}

/// How long, after its last word, a server waits for the peer to close, so that
/// the last word is not lost to a reset.
const FAREWELL: Duration = Duration::from_millis(500);

/// How often a connection that is not read, and would so not be seen to break,
/// is looked after while calls run for it.
const PROBE: Duration = Duration::from_secs(1);

impl<S> Session<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static,
{
    pub(super) fn new(stream: Stream, peer: Peer, service: S, shared: Arc<Shared>, watcher: Watcher) -> Self {
        shared.stats.connection_accepted();
        Self {
            inbox: Inbox::new(shared.config.decoder()),
            work: Work::new(Arc::clone(&shared.stats)),
            service,
            shared,
            connection: Arc::new(Connection::new(Connection::DORA, peer)),
            outbox: Outbox::default(),
            tally: Tally::default(),
            watcher,
            stream,
            alarm: Alarm::default(),
            probe: Alarm::default(),
            probe_at: None,
            held: None,
            spare: None,
            received_at: Instant::now(),
            now: Instant::now(),
            active: Instant::now(),
            stalled_since: None,
            frame_since: None,
            state: State::Open,
        }
    }

    /// Serves the connection until it ends, of itself or by the server's shutdown.
    pub(super) async fn run(mut self) {
        let mut watcher = self.watcher.clone();
        let ended = tokio::select! {
            biased;
            ended = poll_fn(|cx| self.poll(cx)) => ended,
            () = watcher.reached(Phase::Draining) => {
                if self.state == State::Open {
                    self.state = State::Draining(after(Instant::now(), self.shared.config.drain_linger));
                }
                tokio::select! {
                    biased;
                    ended = poll_fn(|cx| self.poll(cx)) => ended,
                    () = watcher.reached(Phase::Closing) => Ok(()),
                }
            }
        };
        match ended {
            // Requests may be on their way that nobody will read.
            Ok(()) if matches!(self.state, State::Closing | State::Draining(_)) => self.farewell().await,
            Ok(()) => {}
            Err(error) => tracing::debug!(peer = %self.connection.peer(), %error, "connection lost"),
        }
    }

    /// Says that nothing more is sent and waits until the peer has heard it.
    async fn farewell(&mut self) {
        let heard = async {
            self.stream.shutdown().await?;
            let mut junk = [0; 1024];
            while self.stream.read(&mut junk).await? > 0 {}
            io::Result::Ok(())
        };
        // Whatever comes of it, the connection is over.
        drop(tokio::time::timeout(FAREWELL, heard).await);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = loop {
            let mut moved = self.may_answer() && self.poll_work(cx);
            moved |= self.may_answer() && self.begin_held(cx);
            if !self.inbox.is_empty() {
                // Before a read makes them look younger than they are.
                self.now = Instant::now();
                moved |= self.take_frames(cx);
            }
            let read = self.poll_read(cx)?;
            moved |= read;
            if read {
                self.take_frames(cx);
            }
            let stalled = !self.may_answer();
            let flushed = self.poll_flush(cx)?;
            // What was held back for the peer's sake goes on.
            moved |= stalled && self.may_answer();
            if !moved {
                break flushed;
            }
            self.active = Instant::now();
        };
        self.shared.stats.add(&std::mem::take(&mut self.tally));
        self.stalled_since = (!flushed).then(|| self.stalled_since.unwrap_or_else(Instant::now));
        self.frame_since = (!self.inbox.is_empty() && self.may_begin())
            .then(|| self.frame_since.unwrap_or_else(Instant::now));
        if flushed && self.work.is_idle() && self.is_over() {
            return Poll::Ready(Ok(()));
        }
        if flushed && self.inbox.is_empty() {
            self.inbox.release();
            self.outbox.release();
            self.spare = None;
        }
        self.poll_probe(cx)?;
        self.poll_alarm(cx)
    }

    /// Whether the peer takes its answers, so that more may be made for it.
    fn may_answer(&self) -> bool {
        self.outbox.waiting() < self.shared.config.max_buffered
    }

    fn may_begin(&self) -> bool {
        self.may_answer() && self.held.is_none() && self.work.calls() < self.shared.config.max_calls
    }

    fn may_read(&self) -> bool {
        let open = match self.state {
            State::Open => true,
            // Else a busy peer would keep the server from ending.
            State::Draining(linger) => Instant::now() < linger,
            State::Ended | State::Closing => false,
        };
        open && self.may_begin()
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        if !self.may_read() || self.stream.poll_read_ready(cx)?.is_pending() {
            return Ok(false);
        }
        match self.inbox.poll_read(&mut self.stream, cx)? {
            Poll::Pending => Ok(false),
            Poll::Ready(0) => {
                self.state = State::Ended;
                Ok(true)
            }
            Poll::Ready(count) => {
                self.tally.received += count as u64;
                self.now = Instant::now();
                self.received_at = self.now;
                Ok(true)
            }
        }
    }

    fn take_frames(&mut self, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        while self.state != State::Closing && self.may_begin() {
            match self.inbox.next_frame() {
                Ok(None) => break,
                Ok(Some(frame)) => self.on_frame(frame, cx),
                Err(error) => {
                    self.tally.refused_frames += 1;
                    tracing::debug!(peer = %self.connection.peer(), %error, "frame refused");
                    if error.is_fatal() {
                        self.state = State::Closing;
                    }
                    self.refuse_frame(&error);
                }
            }
            self.frame_since = None;
            moved = true;
        }
        moved
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let sent = self.tally.sent;
        let flushed = self.outbox.poll_flush(&mut self.stream, cx, &mut self.tally.sent)?.is_ready();
        if self.tally.sent > sent {
            self.active = Instant::now();
            self.stalled_since = None;
        }
        Ok(flushed)
    }

    /// Whether the connection ends, once all is answered and sent.
    fn is_over(&self) -> bool {
        match self.state {
            State::Open => false,
            State::Ended | State::Closing => true,
            State::Draining(linger) => linger <= Instant::now(),
        }
    }

    /// Notices that a connection broke which is not read, so that its calls end.
    fn poll_probe(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.may_read() || self.work.is_idle() {
            self.probe_at = None;
            return Ok(());
        }
        let mut due = *self.probe_at.get_or_insert_with(|| Instant::now() + PROBE);
        while self.probe.poll(due, cx).is_ready() {
            if let Some(error) = self.stream.take_error()? {
                return Err(error);
            }
            due = Instant::now() + PROBE;
            self.probe_at = Some(due);
        }
        Ok(())
    }

    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let config = &self.shared.config;
        let mut due = None;
        let mut earlier = |moment: Instant, why: &'static str| {
            if due.is_none_or(|(other, _)| moment < other) {
                due = Some((moment, why));
            }
        };
        if let Some(since) = self.stalled_since {
            earlier(after(since, config.stall_timeout), "the peer does not take its answers");
        } else if self.work.is_idle() {
            earlier(after(self.active, config.idle_timeout), "idle");
            if let State::Draining(linger) = self.state {
                earlier(linger, "drained");
            }
        }
        // Frames that wait for running calls are not late.
        if let Some(since) = self.frame_since {
            earlier(after(since, config.frame_timeout), "a frame that began did not end");
        }
        let Some((moment, why)) = due else { return Poll::Pending };
        if self.alarm.poll(moment, cx).is_pending() {
            return Poll::Pending;
        }
        tracing::debug!(peer = %self.connection.peer(), why, "connection closed");
        Poll::Ready(Ok(()))
    }
}

impl<S: Service<Request>> Drop for Session<S> {
    fn drop(&mut self) {
        self.shared.stats.add(&std::mem::take(&mut self.tally));
        self.shared.stats.connection_closed();
    }
}

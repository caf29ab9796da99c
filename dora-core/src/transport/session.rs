//! One connection of a server.
//!
//! A single task reads, runs the handlers and writes: every frame of a read is
//! parsed, each handler is polled once where it stands, only those that wait are
//! parked, and what all of them answered goes out in one write.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tower::Service;

use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::BoxError;
use crate::wire::encoder::Encoder;

use super::alarm::Alarm;
use super::config::SessionConfig;
use super::control::Control;
use super::inbox::Inbox;
use super::outbox::Outbox;
use super::running::Work;
use super::shutdown::{Phase, Watcher};
use super::stats::{Stats, Tally};

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
    pub(super) peer: SocketAddr,
    pub(super) outbox: Outbox,
    pub(super) work: Work<S>,
    pub(super) tally: Tally,
    pub(super) watcher: Watcher,
    inbox: Inbox,
    stream: TcpStream,
    alarm: Alarm,
    /// When bytes last moved.
    pub(super) active: Instant,
    /// When the frame that is being received began.
    frame_since: Option<Instant>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// The peer sends no more; what it asked for is still answered.
    Ended,
    /// The server drains: closed when idle, from this moment on.
    Draining(Instant),
    /// Out of step: what is to be sent is sent, then both sides close.
    Closing,
}

/// How long, after its last word, a server waits for the peer to close, so that
/// the last word is not lost to a reset.
const FAREWELL: Duration = Duration::from_millis(500);

impl<S> Session<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static,
{
    pub(super) fn new(
        stream: TcpStream,
        peer: SocketAddr,
        service: S,
        shared: Arc<Shared>,
        watcher: Watcher,
    ) -> Self {
        shared.stats.connection_accepted();
        Self {
            inbox: Inbox::new(shared.config.decoder()),
            work: Work::new(Arc::clone(&shared.stats)),
            service,
            shared,
            peer,
            outbox: Outbox::default(),
            tally: Tally::default(),
            watcher,
            stream,
            alarm: Alarm::default(),
            active: Instant::now(),
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
                    self.state = State::Draining(Instant::now() + self.shared.config.drain_linger);
                }
                tokio::select! {
                    biased;
                    ended = poll_fn(|cx| self.poll(cx)) => ended,
                    () = watcher.reached(Phase::Closing) => Ok(()),
                }
            }
        };
        match ended {
            Ok(()) if self.state == State::Closing => self.farewell().await,
            Ok(()) => {}
            Err(error) => tracing::debug!(peer = %self.peer, %error, "connection lost"),
        }
    }

    /// Says that nothing more is sent and waits until the peer has heard it.
    async fn farewell(&mut self) {
        let heard = async {
            self.stream.shutdown().await?;
            loop {
                self.stream.readable().await?;
                let mut junk = [0; 1024];
                match self.stream.try_read(&mut junk) {
                    Ok(0) => return io::Result::Ok(()),
                    Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                    _ => {}
                }
            }
        };
        // Whatever comes of it, the connection is over.
        drop(tokio::time::timeout(FAREWELL, heard).await);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = loop {
            let mut moved = self.may_answer() && self.poll_work(cx);
            moved |= self.poll_read(cx)?;
            moved |= self.take_frames(cx);
            let flushed = self.poll_flush(cx)?;
            if !moved {
                break flushed;
            }
        };
        self.shared.stats.add(&std::mem::take(&mut self.tally));
        if flushed && self.work.is_idle() && self.is_over() {
            return Poll::Ready(Ok(()));
        }
        if flushed && self.inbox.is_empty() {
            self.inbox.release();
            self.outbox.release();
        }
        self.poll_alarm(flushed, cx)
    }

    /// Whether the peer takes its answers, so that more may be made for it.
    fn may_answer(&self) -> bool {
        self.outbox.waiting() < self.shared.config.max_buffered
    }

    fn may_begin(&self) -> bool {
        self.may_answer() && self.work.calls() < self.shared.config.max_calls
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let open = matches!(self.state, State::Open | State::Draining(_));
        if !open || !self.may_begin() || self.stream.poll_read_ready(cx)?.is_pending() {
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
                Ok(true)
            }
        }
    }

    fn take_frames(&mut self, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        if !self.inbox.is_empty() {
            // One look at the clock for all calls of a read.
            self.active = Instant::now();
        }
        while self.state != State::Closing && self.may_begin() {
            match self.inbox.next_frame() {
                Ok(None) => break,
                Ok(Some(frame)) => self.on_frame(frame, cx),
                Err(error) => {
                    self.tally.refused_frames += 1;
                    tracing::debug!(peer = %self.peer, %error, "frame refused");
                    if error.is_fatal() {
                        self.state = State::Closing;
                    }
                    self.refuse_frame(&error);
                }
            }
            self.frame_since = None;
            moved = true;
        }
        if self.inbox.is_empty() || moved {
            self.frame_since = None;
        }
        if !self.inbox.is_empty() && self.frame_since.is_none() {
            self.frame_since = Some(Instant::now());
        }
        moved
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let sent = self.tally.sent;
        let flushed = self.outbox.poll_flush(&mut self.stream, cx, &mut self.tally.sent)?.is_ready();
        if self.tally.sent > sent {
            self.active = Instant::now();
        }
        Ok(flushed)
    }

    /// Whether the connection ends, once all is answered and sent.
    fn is_over(&self) -> bool {
        match self.state {
            State::Open => false,
            State::Ended | State::Closing => true,
            State::Draining(linger) => self.inbox.is_empty() && linger <= Instant::now(),
        }
    }

    fn poll_alarm(&mut self, flushed: bool, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let config = &self.shared.config;
        let mut due = None;
        let mut earlier = |moment: Instant, why: &'static str| {
            if due.is_none_or(|(other, _)| moment < other) {
                due = Some((moment, why));
            }
        };
        if !flushed {
            earlier(self.active + config.stall_timeout, "the peer does not take its answers");
        } else if self.work.is_idle() {
            earlier(self.active + config.idle_timeout, "idle");
        }
        // Frames that wait for running calls are not late.
        if let Some(since) = self.frame_since.filter(|_| self.work.calls() < config.max_calls) {
            earlier(since + config.frame_timeout, "a frame that began did not end");
        }
        if let (State::Draining(linger), true) = (self.state, self.work.is_idle()) {
            earlier(linger, "drained");
        }
        let Some((moment, why)) = due else { return Poll::Pending };
        if self.alarm.poll(moment, cx).is_pending() {
            return Poll::Pending;
        }
        tracing::debug!(peer = %self.peer, why, "connection closed");
        Poll::Ready(Ok(()))
    }
}

impl<S: Service<Request>> Drop for Session<S> {
    fn drop(&mut self) {
        self.shared.stats.add(&std::mem::take(&mut self.tally));
        self.shared.stats.connection_closed();
    }
}

//! A standing connection: what is read goes to the calls, what they queued is
//! written.

use std::future::{Future, poll_fn};
use std::io;
use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout};

use crate::call::dora_code;
use crate::call::status::Status;
use crate::guid::Guid;
use crate::transport::io::alarm::{Alarm, after};
use crate::transport::io::diagnose::failure;
use crate::transport::io::inbox::Inbox;
use crate::transport::io::outbox::poll_write_all;
use crate::transport::io::stream::{Reader, Stream, Writer};
use crate::wire::notice::Notice;

use super::arrival::{Acquaintance, Arrivals};
use super::diagnose;
use super::end::{End, Intake, Turned};
use super::health::{Health, Kind, Seen, Step};
use super::link::Link;
use super::outgoing::{keeper, restate};
use super::queue::Piece;

/// A standing connection.
pub(super) struct Connection {
    pub(super) link: Arc<Link>,
    /// The lane whose calls it has.
    pub(super) id: u32,
    reader: Reader,
    /// The link has it unless a write is under way, or no more calls are taken.
    writer: Option<Writer>,
    pub(super) inbox: Inbox,
    /// What is being written.
    piece: Piece,
    written: usize,
    alarm: Alarm,
    health: Health,
    /// The present, as good as of this turn's last read.
    now: Instant,
    /// When bytes last moved.
    active: Instant,
    /// Since when answers have been awaited, as of the last turn.
    awaited: Option<Instant>,
    /// Bytes were written in this turn.
    wrote: bool,
    /// Whether it stood back once, so that callers that are about to send
    /// share one write.
    yielded: bool,
    /// What the server is to be told when nothing stands before it. Told once,
    /// however often it asked meanwhile: one that asks without reading must not
    /// have its answers pile up here.
    say: Option<Notice>,
    intake: Intake,
    pub(super) arrivals: Arrivals,
}

/// What one turn may take, before others on the same worker, the deadlines and
/// the writes have theirs.
struct Budget {
    frames: usize,
    bytes: usize,
    until: Instant,
}

impl Budget {
    const FRAMES: usize = 1024;
    const BYTES: usize = 1 << 20;
    const TIME: Duration = Duration::from_millis(1);

    fn new(now: Instant) -> Self {
        Self { frames: Self::FRAMES, bytes: Self::BYTES, until: now + Self::TIME }
    }

    fn is_spent(&self, now: Instant) -> bool {
        self.frames == 0 || self.bytes == 0 || self.until <= now
    }
}

/// A buffer larger than this is not kept for the next frames.
const KEPT: usize = 64 << 10;

/// How long a peer may take to hear that the connection ends.
const FAREWELL: Duration = Duration::from_millis(500);

impl Connection {
    /// The connection of the link's current lane.
    pub(super) fn new(link: Arc<Link>, stream: Stream) -> Self {
        let (reader, writer) = stream.split();
        let now = Instant::now();
        let mut core = link.core();
        core.writer = Some(writer);
        core.state.connected();
        let id = core.current.id;
        drop(core);
        Self {
            inbox: Inbox::new(link.endpoint.decoder()),
            id,
            reader,
            writer: None,
            piece: Piece::default(),
            written: 0,
            alarm: Alarm::default(),
            health: Health::new(link.endpoint.silence_timeout, now),
            now,
            active: now,
            awaited: None,
            wrote: false,
            yielded: false,
            say: None,
            intake: Intake::Open,
            arrivals: Arrivals::default(),
            link,
        }
    }

    pub(super) fn lane(&self) -> u32 {
        self.id
    }

    /// Whether the server has answered anything.
    pub(super) fn is_answered(&self) -> bool {
        self.arrivals.acquaintance != Acquaintance::Stranger
    }

    /// Runs until the connection ends, or takes no more calls.
    pub(super) async fn run(&mut self) -> End {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// Ends the calls that were on it, and closes; why it was lost.
    pub(super) async fn close(mut self, end: End) -> Option<Status> {
        let (writer, left) = self.part();
        if left {
            // Nobody will read the answers: the server stops working on them.
            self.reader.reset(writer);
            return None;
        }
        match end {
            End::Lost(status) | End::Spoiled(status) => {
                let unsent: Vec<Guid> = self.piece.guids(self.written, self.link.layout).collect();
                self.link.fail(self.id, &status, &unsent);
                Some(status)
            }
            End::LetGo | End::Turned(_) => {
                if let Some(mut writer) = writer {
                    // Whatever comes of it, the connection is over.
                    drop(timeout(FAREWELL, writer.shutdown()).await);
                }
                None
            }
        }
    }

    /// What it leaves with: the writer, from here on nobody writes what is not
    /// known here; and whether nobody will read the answers.
    fn part(&mut self) -> (Option<Writer>, bool) {
        if self.is_former() {
            return (self.writer.take(), false);
        }
        let mut core = self.link.core();
        let left = core.state.is_leaving() && core.current.table.cancelled() > 0;
        (self.writer.take().or_else(|| core.writer.take()), left)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        self.now = Instant::now();
        let mut budget = Budget::new(self.now);
        let spent = match self.read(&mut budget, cx) {
            Ok(spent) => spent,
            Err(status) => return Poll::Ready(End::Lost(status)),
        };
        if let Err(error) = self.write(&mut budget, cx) {
            return Poll::Ready(End::Lost(self.broken(error)));
        }
        if let Intake::Shut(why) = self.intake {
            self.intake = Intake::Former;
            return Poll::Ready(End::Turned(why));
        }
        if let Poll::Ready(end) = self.poll_timers(cx) {
            return Poll::Ready(end);
        }
        if spent || budget.is_spent(self.now) {
            // Comes back behind all others, and behind what the system has to
            // say: waking oneself would come back before that.
            let again = pin!(tokio::task::yield_now());
            let _ = again.poll(cx);
        }
        Poll::Pending
    }

    /// Takes no more calls, from here on; whether it did until now.
    fn turn_away(&mut self, why: Turned) -> bool {
        let open = self.intake == Intake::Open;
        let Some(writer) = open.then(|| self.link.drain(self.id)).flatten() else { return false };
        self.intake = Intake::Shut(why);
        self.writer = self.writer.take().or(writer);
        true
    }

    fn is_former(&self) -> bool {
        self.intake != Intake::Open
    }

    /// Reads what there is, and hands it over; whether the budget ended it.
    fn read(&mut self, budget: &mut Budget, cx: &mut Context<'_>) -> Result<bool, Status> {
        loop {
            self.deliver(&mut budget.frames)?;
            if budget.is_spent(self.now) {
                return Ok(true);
            }
            let ready = self.reader.poll_read_ready(cx);
            if ready.map_err(|error| self.broken(error))?.is_pending() {
                self.inbox.release();
                return Ok(false);
            }
            match self.inbox.poll_read(&mut self.reader, cx) {
                Poll::Pending => return Ok(false),
                Poll::Ready(Err(error)) => return Err(self.broken(error)),
                Poll::Ready(Ok(0)) => return Err(self.ended()),
                Poll::Ready(Ok(count)) => {
                    self.now = Instant::now();
                    self.active = self.now;
                    if self.health.heard(self.now) {
                        self.link.doubt(self.id, false);
                    }
                    budget.bytes = budget.bytes.saturating_sub(count);
                }
            }
        }
    }

    /// Writes what the callers have queued.
    fn write(&mut self, budget: &mut Budget, cx: &mut Context<'_>) -> io::Result<()> {
        loop {
            if self.piece.bytes.is_empty()
                && let Some(notice) = self.say.take()
            {
                self.queue(self.notice(notice), self.now);
            }
            if !self.load() {
                return Ok(());
            }
            self.sift();
            let Some(mut writer) = self.writer.take() else { return Ok(()) };
            let before = self.written;
            let flushed = poll_write_all(&mut writer, &self.piece.bytes, &mut self.written, cx);
            self.writer = Some(writer);
            let count = self.written - before;
            if count > 0 {
                self.active = self.now;
                self.wrote = true;
            }
            if flushed?.is_pending() {
                return Ok(());
            }
            self.written = 0;
            self.piece.bytes.clear();
            if self.piece.bytes.capacity() > KEPT {
                self.piece.bytes = Vec::new();
            }
            budget.bytes = budget.bytes.saturating_sub(count);
            if budget.bytes == 0 {
                return Ok(());
            }
        }
    }

    /// Takes the next piece of the queue, if nothing is being written; whether
    /// there is anything to write.
    fn load(&mut self) -> bool {
        let mut core = self.link.core();
        let usable = self.is_former() || core.state.is_connected() || core.state.is_leaving();
        let Some(lane) = core.lane(self.id).filter(|_| usable) else { return false };
        if self.piece.bytes.is_empty() {
            if lane.queue.is_empty() || !std::mem::replace(&mut self.yielded, true) {
                return false;
            }
            self.yielded = false;
            self.piece = lane.queue.take(std::mem::take(&mut self.piece.bytes));
        }
        if lane.given_up {
            self.piece.look_through();
            lane.given_up = !lane.queue.is_empty();
        }
        self.writer = self.writer.take().or_else(|| core.writer.take());
        true
    }

    /// Takes out of what is being written the requests that nobody waits for any
    /// more, and has the others say how long their callers still wait.
    fn sift(&mut self) {
        let now = self.now;
        if !self.piece.needs_sifting(now) {
            return;
        }
        let link = &*self.link;
        let id = self.id;
        self.piece.sift(
            self.written,
            link.layout,
            now,
            |fates| {
                let mut core = link.core();
                let Some(lane) = core.lane(id) else { return };
                for (guid, fate) in fates {
                    *fate = lane.fate(guid);
                }
            },
            |frame, until, out| restate(link, frame, until, now, out),
        );
    }

    /// Looks after the peer and the connection's own end.
    fn poll_timers(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            let mut mine: Option<Waker> = None;
            let mut core = self.link.core();
            let leaving = core.state.is_leaving();
            let connected = core.state.is_connected();
            if self.piece.bytes.is_empty() && !self.is_former() && (connected || leaving) {
                // Only now may callers write past this task again.
                if let Some(writer) = self.writer.take() {
                    core.writer = Some(writer);
                }
            }
            if !self.is_former() && !connected && !leaving {
                drop(core);
                return Poll::Ready(End::Spoiled(self.lost("no longer needed")));
            }
            let Some(lane) = core.lane(self.id) else { return Poll::Ready(End::LetGo) };
            if std::mem::take(&mut self.wrote) {
                lane.wrote(self.active);
            }
            let unwritten = !self.piece.bytes.is_empty() || !lane.queue.is_empty();
            let awaited = lane.table.awaited() > 0;
            self.awaited = awaited.then(|| self.awaited.unwrap_or(self.now));
            let over = (self.is_former() && !awaited) || leaving;
            if over && !unwritten {
                return Poll::Ready(End::LetGo);
            }
            let wrote = lane.wrote.unwrap_or(self.active);
            let given_up = connected && !self.is_former() && lane.table.cancelled() > 0;
            let seen = Seen { awaited: self.awaited, given_up, owed: lane.owed, wrote };
            let kind = Kind::of(self.link.endpoint.is_serial(), lane.can);
            let step = self.health.next(kind, seen);
            let idle = self.link.endpoint.idle_after(lane.can);
            let quiet = !awaited && !unwritten && self.inbox.is_empty();
            let idle = quiet.then(|| after(self.active.max(wrote), idle));
            let due = idle.into_iter().chain(step.map(Step::when)).min();
            // The timer may ring earlier, and is then looked after: callers need not rouse
            // this task for it.
            lane.alarm = due.into_iter().chain(self.alarm.rings()).min();
            if !lane.task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
                mine = lane.task.take();
                lane.task = Some(cx.waker().clone());
            }
            let waiting = self.piece.bytes.is_empty() && !lane.queue.is_empty();
            drop(core);
            drop(mine);
            if waiting {
                cx.waker().wake_by_ref();
            }
            let Some(due) = due else { return Poll::Pending };
            if self.alarm.poll(due, cx).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            if let Some(step) = step.filter(|step| step.when() <= now)
                && let Some(end) = self.take_step(step, now)
            {
                return Poll::Ready(end);
            }
            if idle.is_some_and(|idle| idle <= now) && (self.is_former() || self.link.let_go(self.id)) {
                return Poll::Ready(End::LetGo);
            }
        }
    }

    fn take_step(&mut self, step: Step, now: Instant) -> Option<End> {
        match step {
            Step::GiveUp(_) => {
                let silent = self.link.endpoint.silence_timeout;
                return Some(End::Lost(self.lost(&format!("the server has been silent for {silent:?}"))));
            }
            Step::Doubt(_) => {
                self.health.doubted(now);
                self.link.doubt(self.id, true);
            }
            Step::Ask(_) => {
                self.health.asked(now);
                self.ask(now);
            }
            Step::TurnAway(_) => {
                if self.turn_away(Turned::Unheard) {
                    self.intake = Intake::Former;
                    return Some(End::Turned(Turned::Unheard));
                }
            }
        }
        None
    }

    /// Sends what the peer will answer, or at least hear.
    fn ask(&mut self, now: Instant) {
        let mut core = self.link.core();
        let Some(lane) = core.lane(self.id) else { return };
        let (kind, speech) = (Kind::of(self.link.endpoint.is_serial(), lane.can), self.link.speech_of(lane));
        let guid = *lane.keeper.get_or_insert_with(Guid::random);
        drop(core);
        let frame = match kind {
            Kind::Pings => self.notice(Notice::Ping),
            Kind::Requests | Kind::Serial => keeper(&self.link, speech, guid),
        };
        self.queue(frame, now);
    }

    /// Has a frame of this end's own written after those that wait.
    fn queue(&self, frame: Option<Vec<u8>>, now: Instant) {
        let mut core = self.link.core();
        if let (Some(lane), Some(mut frame)) = (core.lane(self.id), frame) {
            lane.queue.push(&mut frame, 0, now);
        }
    }

    fn notice(&self, notice: Notice) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let frame = self.link.encoder.begin(self.link.layout.generation, &notice.guid(), &mut out);
        self.link.encoder.finish(&frame, &mut out).ok().map(|()| out)
    }

    /// Acts on what the server says about the connection.
    pub(super) fn heed(&mut self, notice: Notice) {
        match notice {
            // At once: callers that are answered next make their next calls elsewhere.
            Notice::Drain => {
                self.turn_away(Turned::Drained);
            }
            Notice::Ping => self.say = Some(Notice::Pong),
            Notice::Pong => {}
        }
    }

    /// The server has closed.
    fn ended(&self) -> Status {
        let stranger = self.arrivals.acquaintance == Acquaintance::Stranger;
        if let Some(said) = diagnose::stranger(self.inbox.peek()).filter(|_| stranger) {
            return self.mismatch(&said);
        }
        let wrote = self.link.core().lane(self.id).and_then(|lane| lane.wrote);
        let silent = wrote.map(|wrote| wrote.elapsed()).unwrap_or_default();
        if self.link.endpoint.is_serial() && silent > Duration::from_secs(9) {
            return self.lost(&format!(
                "closed by the server after {} s without a byte from this end: a PHP server's heartbeat ends \
                 calls that take longer than its `heartbeat_idle_time`, and the Plain generation has no way to \
                 keep it from that; raise it there, or call without waiting for the result",
                silent.as_secs()
            ));
        }
        self.lost(&format!("closed by the server{}", self.hint()))
    }

    /// The stream has failed.
    fn broken(&self, error: io::Error) -> Status {
        // A server that says why it goes did not mind the size of a request.
        let silent = matches!(error.kind(), ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof);
        let hint = if silent { self.hint() } else { String::new() };
        self.lost(&format!("{}{hint}", failure(&error))).with_source(error)
    }

    /// Why the server may have ended a connection without a word.
    fn hint(&self) -> String {
        let largest = self.link.core().lane(self.id).map_or(0, |lane| lane.largest);
        diagnose::unsaid(largest, self.arrivals.acquaintance == Acquaintance::Stranger)
    }

    pub(super) fn lost(&self, reason: &str) -> Status {
        let status = Status::unavailable(format!("the connection is lost: {reason}"));
        self.link.status(status.with_raw_code(dora_code::TIMEOUT))
    }

    /// The two ends are not set alike.
    pub(super) fn mismatch(&self, what: &str) -> Status {
        self.link.status(Status::failed_precondition(what.to_owned()))
    }
}

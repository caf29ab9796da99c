//! The task of one endpoint: makes the connection when it is needed, and reads
//! and writes it.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep_until, timeout};

use crate::call::dora_code;
use crate::call::status::Status;
use crate::guid::Guid;
use crate::pack::envelope::Shape;
use crate::pack::packet::ResponsePacket;
use crate::wire::decoder::Frame;
use crate::wire::error::FrameError;

use super::link::Link;
use super::multiplex::Answer;
use crate::carry::answer::read;
use crate::transport::io::address::Address;
use crate::transport::io::alarm::{Alarm, after};
use crate::transport::io::inbox::Inbox;
use crate::transport::io::outbox::Outbox;
use crate::transport::io::stream::{Reader, Stream, Writer};

/// Runs until no channel is left.
pub(super) async fn drive(link: Arc<Link>) {
    let _gone = Gone(&link);
    let mut failures = 0;
    while wanted(&link).await {
        link.attempting();
        match expiring(&link, connect(&link)).await {
            Ok(stream) => {
                failures = 0;
                link.drop_expired();
                link.attempted(None);
                if let Some((status, written)) = Connection::new(&link, stream).run().await {
                    link.fail(&status, written);
                }
            }
            Err(status) => {
                failures += 1;
                let next = Instant::now() + backoff(failures);
                link.down(status.clone(), next);
                link.attempted(Some(status.clone()));
                link.fail(&status.unsent(), u64::MAX);
                sleep_until(next).await;
                link.up();
            }
        }
    }
}

/// Ends all calls when the task ends, of itself or with its runtime: nobody else
/// would.
struct Gone<'a>(&'a Link);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        self.0.end(&self.0.status(Status::unavailable("the task of the channel's connection has ended")));
    }
}

/// Waits until there is something to send; false when no channel is left.
async fn wanted(link: &Link) -> bool {
    poll_fn(|cx| {
        let mut core = link.core();
        if core.abandoned {
            return Poll::Ready(false);
        }
        if core.wanted || !core.out.is_empty() {
            return Poll::Ready(true);
        }
        core.driver = Some(cx.waker().clone());
        Poll::Pending
    })
    .await
}

/// Full jitter: the clients of a restarted server do not come back as one.
fn backoff(failures: u32) -> Duration {
    const FIRST: Duration = Duration::from_millis(50);
    const MOST: Duration = Duration::from_secs(2);
    let ceiling = FIRST.saturating_mul(1 << failures.min(10)).min(MOST);
    ceiling.mul_f64(fastrand::f64())
}

async fn connect(link: &Link) -> Result<Stream, Status> {
    let endpoint = &link.endpoint;
    let failed = |message| link.status(Status::raw(dora_code::NO_SERVER, message));
    match timeout(endpoint.connect_timeout, endpoint.connector.connect(endpoint.address())).await {
        Ok(stream) => stream.map_err(|error| failed(unconnected(endpoint.address(), &error))),
        Err(_) => Err(failed(format!(
            "no connection to {} within {:?}: is the host up, and does a firewall let this port through?",
            endpoint.address(),
            endpoint.connect_timeout
        ))),
    }
}

/// Why there is no connection, for whoever has to look after it.
fn unconnected(address: &Address, error: &io::Error) -> String {
    match error.kind() {
        // For a Unix socket: there is no such file, or nobody has it open.
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => {
            format!("nothing listens at {address} ({error}): is the server running, and is this its address?")
        }
        _ => format!("cannot connect to {address}: {error}"),
    }
}

/// Runs `future`, and ends calls whose deadline passes meanwhile.
async fn expiring<T>(link: &Link, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut alarm = Alarm::default();
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(output);
        }
        link.core().driver = Some(cx.waker().clone());
        let _ = poll_deadlines(link, &mut alarm, None, cx);
        Poll::Pending
    })
    .await
}

/// Ends calls whose deadline has passed; ready when `idle` has.
fn poll_deadlines(link: &Link, alarm: &mut Alarm, idle: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
    loop {
        let earliest = link.core().table.earliest();
        let Some(due) = earliest.into_iter().chain(idle).min() else { return Poll::Pending };
        ready!(alarm.poll(due, cx));
        let now = Instant::now();
        link.expire(now);
        if idle.is_none() {
            // The connection may be idle from now on.
            cx.waker().wake_by_ref();
        }
        if idle.is_some_and(|idle| idle <= now) {
            return Poll::Ready(());
        }
    }
}

/// Whom an answer is for.
enum Addressee {
    /// The call of this guid.
    Guid(Guid),
    /// The only call that waits: an answer without a guid.
    Only,
    /// Nobody that could be told.
    Unknown,
}

/// A standing connection.
struct Connection<'a> {
    link: &'a Link,
    reader: Reader,
    /// The link has it unless a write is under way.
    writer: Option<Writer>,
    inbox: Inbox,
    outbox: Outbox,
    alarm: Alarm,
    /// When bytes last moved.
    active: Instant,
    /// Whether the task stood back once, so that callers that are about to send
    /// share one write.
    yielded: bool,
    /// Kept between polls for their memory.
    answers: Vec<(Addressee, Answer)>,
    wakers: Vec<Waker>,
}

impl<'a> Connection<'a> {
    fn new(link: &'a Link, stream: Stream) -> Self {
        let (reader, writer) = stream.split();
        link.core().writer = Some(writer);
        Self {
            inbox: Inbox::new(link.endpoint.decoder()),
            link,
            reader,
            writer: None,
            outbox: Outbox::default(),
            alarm: Alarm::default(),
            active: Instant::now(),
            yielded: false,
            answers: Vec::new(),
            wakers: Vec::new(),
        }
    }

    /// Runs until the connection ends: why, for the calls that were on it, and
    /// how many bytes were written; `None` when there were none and it was let go.
    async fn run(mut self) -> Option<(Status, u64)> {
        let end = poll_fn(|cx| self.poll(cx)).await?;
        let mut core = self.link.core();
        // From here on nobody writes what `written` does not know.
        let writer = core.writer.take().or_else(|| self.writer.take());
        let written = core.queued - core.out.len() as u64 - self.outbox.waiting() as u64;
        let left = core.abandoned && core.table.cancelled() > 0;
        drop(core);
        if left {
            // Nobody will read the answers: the server stops working on them.
            self.reader.reset(writer);
        }
        let reason = match end {
            Ok(()) => "closed by the server".to_owned(),
            Err(error) => error.to_string(),
        };
        let status = Status::unavailable(format!("the connection is lost: {reason}"));
        Some((self.link.status(status.with_raw_code(dora_code::TIMEOUT)), written))
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<()>>> {
        if let Some(end) = self.poll_io(cx).transpose() {
            return Poll::Ready(Some(end));
        }
        let quiet =
            self.inbox.is_empty() && self.outbox.waiting() == 0 && self.link.core().table.awaited() == 0;
        let idle = quiet.then(|| after(self.active, self.link.endpoint.idle_timeout));
        ready!(poll_deadlines(self.link, &mut self.alarm, idle, cx));
        if self.link.let_go() {
            return Poll::Ready(None);
        }
        // Somebody calls at this very moment.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads and writes what can be; something when the connection has ended.
    fn poll_io(&mut self, cx: &mut Context<'_>) -> io::Result<Option<()>> {
        loop {
            match self.poll_read(cx)? {
                Poll::Ready(0) => return Ok(Some(())),
                Poll::Ready(_) => {
                    self.active = Instant::now();
                    self.deliver()?;
                }
                Poll::Pending => {
                    let (wrote, over) = self.poll_write(cx)?;
                    if over {
                        return Err(io::Error::other("no longer needed"));
                    }
                    if !wrote {
                        return Ok(None);
                    }
                    self.active = Instant::now();
                }
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> io::Result<Poll<usize>> {
        if self.reader.poll_read_ready(cx)?.is_pending() {
            self.inbox.release();
            return Ok(Poll::Pending);
        }
        match self.inbox.poll_read(&mut self.reader, cx) {
            Poll::Ready(count) => count.map(Poll::Ready),
            Poll::Pending => Ok(Poll::Pending),
        }
    }

    /// Hands all whole frames to their callers, under one lock.
    fn deliver(&mut self) -> io::Result<()> {
        let end = loop {
            match self.inbox.next_frame() {
                Ok(None) => break Ok(()),
                Ok(Some(Frame { guid, body, .. })) => {
                    let addressee = guid.map_or_else(|| self.addressee(&body), Addressee::Guid);
                    self.answers.push((addressee, Ok(body)));
                }
                Err(FrameError::Signature { guid, .. }) => {
                    let status = Status::raw(dora_code::SIGNATURE, "the answer's signature is wrong");
                    let addressee = match guid {
                        Some(guid) => Addressee::Guid(guid),
                        None if self.link.endpoint.is_serial() => Addressee::Only,
                        None => Addressee::Unknown,
                    };
                    self.answers.push((addressee, Err(self.link.status(status))));
                }
                // What came before it is still good.
                Err(error) => break Err(io::Error::other(error)),
            }
        };
        let mut core = self.link.core();
        if core.spoiled {
            // An answer without a guid may be the given-up call's, not the next one's.
            core.table.late += self.answers.len() as u64;
            return Err(io::Error::other("no longer needed"));
        }
        for (addressee, answer) in self.answers.drain(..) {
            self.wakers.extend(match addressee {
                Addressee::Guid(guid) => core.table.deliver(&guid, answer),
                Addressee::Only => core.table.deliver_only(answer),
                Addressee::Unknown => {
                    core.table.unknown += 1;
                    None
                }
            });
        }
        drop(core);
        self.wakers.drain(..).for_each(Waker::wake);
        end
    }

    /// Whom an answer without a guid in its header is for: the body may have one.
    /// Without any it can only be told where one call is made at a time, and not
    /// if it is the later result of another one.
    fn addressee(&self, body: &Bytes) -> Addressee {
        match read(body.clone(), Shape::Value, &self.link.endpoint.limits) {
            Ok(ResponsePacket { guid: Some(guid), .. }) => Addressee::Guid(guid),
            Ok(ResponsePacket { is_result: true, .. }) => Addressee::Unknown,
            _ if self.link.endpoint.is_serial() => Addressee::Only,
            _ => Addressee::Unknown,
        }
    }

    /// Writes what the callers have queued: whether anything was, and whether
    /// the connection is over.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> io::Result<(bool, bool)> {
        let mut core = self.link.core();
        if !core.driver.as_ref().is_some_and(|driver| driver.will_wake(cx.waker())) {
            core.driver = Some(cx.waker().clone());
        }
        if core.spoiled || (core.abandoned && core.out.is_empty() && self.outbox.waiting() == 0) {
            return Ok((false, true));
        }
        if self.outbox.waiting() == 0 {
            if core.out.is_empty() {
                return Ok((false, false));
            }
            if !std::mem::replace(&mut self.yielded, true) {
                cx.waker().wake_by_ref();
                return Ok((false, false));
            }
            self.yielded = false;
            std::mem::swap(self.outbox.buffer(), &mut core.out);
        }
        let Some(mut writer) = self.writer.take().or_else(|| core.writer.take()) else {
            return Ok((false, true));
        };
        drop(core);
        let mut sent = 0;
        if self.outbox.poll_flush(&mut writer, cx, &mut sent)?.is_ready() {
            // Only now may callers write past this task again.
            self.link.core().writer = Some(writer);
        } else {
            self.writer = Some(writer);
        }
        Ok((sent > 0, false))
    }
}

//! From a frame to running calls, and from their results to an answer.

mod begin;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::runtime::Handle;
use tokio::time::Instant;
use tower::Service;

use crate::call::capabilities::Capabilities;
use crate::call::dora_code;
use crate::call::mode::{Mode, PacketKind};
use crate::call::name::MethodName;
use crate::call::observe::{Closed, Observer, Traffic};
use crate::call::origin::Connection;
use crate::call::packer::Packer;
use crate::call::request::Request;
use crate::call::response::Response;
use crate::call::status::{BoxError, Status};
use crate::carry::incoming::{Arrival, Asked, Unpacked, begin, unpack};
use crate::generation::Generation;
use crate::guid::Guid;
use crate::pack::compress;
use crate::pack::envelope::glimpse;
use crate::pack::packet::{Refused, ResponseData, ResponsePacket};
use crate::wire::decoder::Frame;
use crate::wire::error::FrameError;
use crate::wire::notice::Notice;

use super::answer::{Manner, Reply};
use super::diagnose::{self, Refusal};
use super::known::Known;
use super::ledger::Share;
use super::packet::Run;
use super::running::{Finished, Work};
use super::session::Load;
use super::shared::Shared;
use super::shutdown::Watcher;
use super::turn::Turn;
use crate::transport::io::diagnose::{Begun, is_signed};
use crate::transport::io::outbox::Outbox;
use crate::transport::io::stream::Stream;

/// All that runs for one connection, and the answers that wait for its peer.
pub(super) struct Dispatch<S: Service<Request>> {
    service: S,
    pub(super) shared: Arc<Shared>,
    pub(super) connection: Arc<Connection>,
    outbox: Outbox,
    work: Work<S>,
    /// After what runs, whose results it counts.
    share: Share,
    traffic: Traffic,
    /// Why the connection is over, once it is.
    why: Option<Closed>,
    watcher: Watcher,
    /// A packet that waits for a place among the running calls.
    held: Option<Box<Arrived>>,
    /// Room for the next run.
    spare: Option<Pin<Box<Run<S>>>>,
    /// The present, as good as of this turn.
    now: Instant,
    /// What the peer has said that it can.
    peer_can: Capabilities,
    /// Whether there are several cores to run on.
    parallel: bool,
    known: Known,
}

/// How large a body is: as it came, and inflated.
#[derive(Clone, Copy, Debug)]
struct Size {
    packed: usize,
    bytes: usize,
}

/// A packet that was read, and whom to answer.
#[derive(Debug)]
pub(super) struct Arrived {
    packet: Asked,
    size: Size,
    reply: Reply,
}

impl<S> Dispatch<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static,
{
    pub(super) fn new(service: S, shared: Arc<Shared>, connection: Connection, watcher: Watcher) -> Self {
        let now = Instant::now();
        Self {
            service,
            connection: Arc::new(connection),
            outbox: Outbox::default(),
            work: Work::new(Arc::clone(&shared)),
            share: Share::default(),
            shared,
            traffic: Traffic::default(),
            why: None,
            watcher,
            held: None,
            spare: None,
            now,
            peer_can: Capabilities::NONE,
            parallel: Handle::current().metrics().num_workers() > 1,
            known: Known::default(),
        }
    }

    /// What the connection has on its hands.
    pub(super) fn load(&self) -> Load {
        let Self { outbox, work, held, .. } = self;
        let weight = work.weight();
        Load {
            waiting: outbox.waiting(),
            running: weight.calls,
            request_bytes: weight.bytes,
            awaited: work.awaited(),
            held: held.is_some(),
        }
    }

    /// Tells the server what the connection, of the task `waker`, holds: its answers,
    /// and `inbox`. Whether it must go, because the server holds too much and it the
    /// most.
    pub(super) fn hold(&mut self, inbox: usize, waker: &Waker) -> bool {
        // Room counts: a buffer that grew by doubling holds up to twice what waits.
        let held = self.outbox.held() + inbox;
        self.share.hold(&self.shared.ledger, (held, self.work.expects()), waker)
    }

    /// Bytes came.
    pub(super) fn received(&mut self, count: usize) {
        self.traffic.received += count as u64;
    }

    /// Writes what waits; whether the peer took some of it.
    pub(super) fn poll_flush(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> io::Result<bool> {
        let sent = self.traffic.sent;
        if let Poll::Ready(flushed) = self.outbox.poll_flush(stream, cx, &mut self.traffic.sent) {
            flushed?;
        }
        Ok(self.traffic.sent > sent)
    }

    /// Says why the connection is over.
    pub(super) fn close(mut self, why: Closed) {
        self.why = Some(why);
    }

    /// Whether the peer said that it understands notices.
    pub(super) fn wants_notices(&self) -> bool {
        self.peer_can.contains(Capabilities::NOTICES)
    }

    /// Sends a notice.
    pub(super) fn notice(&mut self, notice: Notice) {
        let Self { shared, outbox, .. } = self;
        let out = outbox.buffer();
        let frame = shared.encoder.begin(Generation::Guid, &notice.guid(), out);
        // Shorter than any limit that lets a call through.
        shared.encoder.finish(&frame, out).unwrap_or(());
    }

    /// Gives back what an idle connection does not need.
    pub(super) fn release(&mut self) {
        self.outbox.release();
        self.work.release();
        self.spare = None;
        self.known.release();
    }

    /// Answers packets that ended meanwhile, as long as the turn lasts; while the
    /// peer does not take its answers its handlers rest. Whether there were any.
    pub(super) fn poll_work(&mut self, turn: &mut Turn, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        while !turn.is_spent() {
            let (waiting, most) = (self.outbox.waiting(), self.shared.config.max_buffered);
            let may_begin = waiting.saturating_add(self.share.untaken()) < most;
            match self.work.poll_finished((waiting < most, may_begin), turn, cx) {
                Poll::Ready(Finished::Here(reply, data)) => {
                    self.answer(reply, ResponsePacket::ended(reply.guid, data));
                }
                Poll::Ready(Finished::Elsewhere(framed)) => {
                    self.traffic.answers += 1;
                    self.outbox.push(framed.taken());
                }
                Poll::Pending => break,
            }
            moved = true;
        }
        moved
    }

    /// Begins the packet that waits for a place, if there is one; whether it did.
    pub(super) fn begin_held(&mut self, now: Instant, cx: &mut Context<'_>) -> bool {
        let Some(arrived) = self.held.take() else { return false };
        self.now = now;
        let Arrived { mut packet, size, reply } = *arrived;
        begin(&mut packet.request, now);
        self.begin(packet, size, reply, cx);
        self.held.is_none()
    }

    /// Takes one frame from a peer: answers it, or starts what it asks for.
    pub(super) fn on_frame(
        &mut self,
        frame: Frame,
        received_at: Instant,
        now: Instant,
        cx: &mut Context<'_>,
    ) {
        self.now = now;
        if let Some(notice) = frame.guid.as_ref().and_then(Notice::of) {
            if notice == Notice::Ping {
                self.notice(Notice::Pong);
            }
            return;
        }
        self.traffic.requests += 1;
        let zipped = compress::is_gzip(&frame.body);
        let mut manner = Manner {
            generation: frame.generation,
            packer: Packer::Php,
            gzip: zipped || self.shared.config.gzip,
            guid: frame.guid.unwrap_or(Guid::ZERO),
        };
        let config = &self.shared.config;
        // Enough to tell a signed frame by, should the packet be refused.
        let head = frame.body.first_chunk::<16>().copied();
        let packed = frame.body.len();
        let arrival =
            Arrival { connection: &self.connection, guid: frame.guid, received: received_at, begun: now };
        let read_as = (config.packers, &config.limits);
        let Unpacked { packer, bytes, packet } =
            unpack(frame.body, read_as, &arrival, |name| self.known.name(name));
        manner.packer = packer;
        match packet {
            Ok(packet) => {
                manner.generation = packet.kind.generation(frame.generation);
                if let Some(can) = packet.can.filter(|_| manner.generation == Generation::Guid) {
                    self.peer_can = can;
                }
                let reply = Reply { manner, guid: packet.guid.or(frame.guid), asks: packet.can.is_some() };
                self.begin(packet, Size { packed, bytes }, reply, cx);
            }
            Err(Refused { guid, kind, status }) => {
                let foreign = status.raw_code() == dora_code::UNKNOWN_PACKING && config.salt.is_none();
                let head = head.filter(|_| foreign);
                let status = match head.is_some_and(|head| is_signed(frame.guid.as_ref(), &head)) {
                    true => diagnose::signed(),
                    false => status,
                };
                if let Some(kind) = kind {
                    manner.generation = kind.generation(frame.generation);
                }
                self.refuse(Reply { manner, guid: guid.or(frame.guid), asks: false }, kind, status);
            }
        }
    }

    fn command(&mut self, request: &Request, reply: Reply) {
        let none = MethodName::default();
        let command = if request.is_batch() { &none } else { request.method() };
        let shared = &self.shared;
        match shared.control.run(command, shared.observers.stats(), shared.max_running) {
            Ok(value) => {
                self.answer(reply, ResponsePacket::ended(reply.guid, ResponseData::Value(value)));
            }
            Err(status) => self.refuse(reply, Some(PacketKind::Control), status),
        }
    }

    fn acknowledge(&mut self, reply: Reply) {
        self.answer(reply, ResponsePacket::accepted(reply.guid));
    }

    /// Refuses a packet as a whole.
    fn refuse(&mut self, reply: Reply, kind: Option<PacketKind>, status: Status) {
        self.shared.log.packet_refused(self.connection.peer(), &status);
        self.tell(|observer, connection| observer.packet_refused(connection, &status));
        self.answer_refusal(reply, kind, &status);
    }

    /// PHP's client notes a deferred call before it looks at what it was answered,
    /// and then waits for its result whatever that was: it gets the refusal as the
    /// result too. A client that does not wait for one drops it.
    fn answer_refusal(&mut self, reply: Reply, kind: Option<PacketKind>, status: &Status) {
        let waits = kind.is_some_and(|kind| kind.mode() == Mode::Deferred);
        self.answer(reply, ResponsePacket::refused(reply.guid, status));
        if waits && reply.manner.packer == Packer::Php {
            self.answer(reply, ResponsePacket::refused(reply.guid, status).later());
        }
    }

    /// Answers what is no frame, where an answer can be framed at all, and says
    /// whether it did; `first`: what is not read yet.
    pub(super) fn refuse_frame(&mut self, error: &FrameError, first: &[u8]) -> bool {
        let reason = Refusal::new(error, first);
        self.tell(|observer, connection| observer.frame_refused(connection, &reason));
        self.shared.log.frame_refused(self.connection.peer(), &reason);
        let config = &self.shared.config;
        let (status, kind, generation, guid) = match error {
            FrameError::TooLong { len, max } => {
                // The first bytes of HTTP or TLS end here, and PHP's clients are not
                // answered as its servers do not. A Dora client is told.
                let begun = Begun::of(first, config.salt.is_some());
                let of_ours = |begun: &Begun| {
                    begun.packer == Some(Packer::Protobuf) || self.peer_can != Capabilities::NONE
                };
                let Some(begun) = begun.filter(of_ours) else { return false };
                (diagnose::too_long(*len, *max), None, begun.generation, begun.guid)
            }
            FrameError::TooShort { .. } => {
                let status = Status::raw(dora_code::WRONG_LENGTH, dora_code::WRONG_LENGTH_MESSAGE);
                (status, None, Generation::Guid, Some(Guid::ZERO))
            }
            FrameError::Signature { generation, guid, body, .. } => {
                // A body that does not inflate tells nothing more.
                let inflated = compress::is_gzip(body).then(|| compress::inflate(body, config.limits.bytes));
                let body = inflated.and_then(Result::ok).unwrap_or_else(|| body.clone());
                let (within, kind) = glimpse(&body);
                // The first byte of the body may be the changed one: no peer writes the
                // old words behind a guid.
                let generation = match kind {
                    Some(kind) if kind.is_legacy() => Generation::Bare,
                    _ => *generation,
                };
                // A frame of the first generation that is too short for its guid.
                let guid = match generation.has_guid() {
                    true => guid.or(Some(Guid::ZERO)),
                    false => within,
                };
                let code = dora_code::signature(generation);
                (Status::raw(code, dora_code::SIGNATURE_MESSAGE), kind, generation, guid)
            }
        };
        let manner =
            Manner { generation, packer: Packer::Php, gzip: config.gzip, guid: guid.unwrap_or(Guid::ZERO) };
        if matches!(error, FrameError::TooLong { .. }) && self.wants_notices() {
            // Before the answer: what its caller calls next would be lost behind the frame.
            self.notice(Notice::Drain);
        }
        self.answer_refusal(Reply { manner, guid, asks: false }, kind, &status);
        true
    }

    fn answer(&mut self, reply: Reply, packet: ResponsePacket) {
        self.traffic.answers += 1;
        reply.encode(&self.shared, packet, self.outbox.buffer());
    }
}

impl<S: Service<Request>> Dispatch<S> {
    /// Tells the server's counters what this connection has counted.
    pub(super) fn tell_stats(&mut self) {
        let traffic = std::mem::take(&mut self.traffic);
        if traffic != Traffic::default() {
            self.tell(|observer, connection| observer.traffic(connection, &traffic));
        }
    }

    fn tell(&self, event: impl Fn(&dyn Observer, &Connection)) {
        self.shared.observers.tell(|observer| event(observer, &self.connection));
    }
}

impl<S: Service<Request>> Drop for Dispatch<S> {
    fn drop(&mut self) {
        self.tell_stats();
        let why = self.why.take();
        let why = why.unwrap_or_else(|| Closed::Lost("whoever served it has let it go".to_owned()));
        self.shared.log.closed(self.connection.peer(), &why);
        self.tell(|observer, connection| observer.connection_closed(connection, &why));
    }
}

//! Requests into frames.

use std::cell::RefCell;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::call::batch::CallKey;
use crate::call::body::{BatchCall, Body};
use crate::call::deadline::Deadline;
use crate::call::dora_code;
use crate::call::head::RequestHead;
use crate::call::method::Method;
use crate::call::mode::{Mode, PacketKind};
use crate::call::name::MethodName;
use crate::call::packed::PackError;
use crate::call::packer::Packer;
use crate::call::request::Request;
use crate::call::status::Status;
use crate::guid::Guid;
use crate::pack::compress;
use crate::pack::detect::detect;
use crate::pack::envelope::{Format, decode_request, encode_request};
use crate::pack::packet::{Call, Calls, RequestPacket};
use crate::pack::value::Value;

use super::link::Link;
use super::speech::Speech;
use super::submit::Sent;
use super::table::{Expected, Ticket};

/// A packet that is about to be sent.
pub(super) struct Outgoing {
    pub(super) packet: RequestPacket,
    /// When the first answer must be there; without one the endpoint's timeout
    /// counts from when the packet is sent.
    pub(super) deadline: Option<Deadline>,
    /// The calls whose name depends on what the peer knows.
    aliased: Vec<(usize, &'static Method)>,
}

/// Answers of a packet in `mode`: the acknowledgement counts.
const fn answers(mode: Mode) -> u8 {
    match mode {
        Mode::Wait | Mode::NoResult => 1,
        Mode::Deferred => 2,
    }
}

impl Outgoing {
    /// The packet of a request: of one call, or of the calls of a batch.
    pub(super) fn new(request: Request, link: &Link) -> Result<Self, Status> {
        let (mut head, body) = request.into_parts();
        let (mode, deadline) = (head.mode(), head.deadline());
        let metadata = std::mem::take(head.metadata_mut());
        let mut aliased = Vec::new();
        let (kind, calls) = match body {
            Body::Batch(calls) if calls.is_empty() => {
                let status = Status::invalid_argument("a batch of no calls");
                return Err(status.with_peer(Arc::clone(&link.peer)).unsent());
            }
            Body::Batch(calls) => {
                let now = Instant::now();
                aliased.extend(calls.iter().enumerate().filter_map(|(place, call)| alias(place, &call.head)));
                let calls = calls.into_iter().map(|call| keyed(call, mode, deadline, now));
                (kind(link, mode, true)?, Calls::Many(calls.collect()))
            }
            body => {
                aliased.extend(alias(0, &head));
                let call = Call::new(head.method().clone(), body);
                (kind(link, mode, false)?, Calls::One(call))
            }
        };
        let packet = RequestPacket { kind, calls, metadata, ..RequestPacket::default() };
        Ok(Self { packet, deadline, aliased })
    }

    /// A packet whose calls have no other name.
    pub(super) const fn of(packet: RequestPacket, deadline: Deadline) -> Self {
        Self { packet, deadline: Some(deadline), aliased: Vec::new() }
    }

    /// Packs the packet and hands it to the connection; the ticket for its answers,
    /// of which `waker` is told.
    pub(super) fn send(mut self, link: &Link, waker: &Waker) -> Result<Ticket, Status> {
        let now = Instant::now();
        let mode = self.packet.kind.mode();
        let deadline = self.deadline.unwrap_or_else(|| Deadline::from_instant(now, link.endpoint.timeout));
        if deadline.has_passed(now) {
            let status = Status::raw(dora_code::TIMEOUT, "the deadline passed before the call was sent");
            return Err(status.with_peer(Arc::clone(&link.peer)).unsent());
        }
        self.packet.timeout = remaining(deadline, mode, now);
        let expected = Expected {
            answers: answers(mode),
            deadline: Some(deadline.instant()),
            claims: self.packet.timeout.map(|_| deadline.instant()),
            now,
        };
        thread_local! {
            static FRAME: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        // Taken, not borrowed: packing runs code of the message.
        let mut frame = FRAME.take();
        let sent = self.put(link, &expected, &mut frame, waker);
        if frame.capacity() <= KEPT {
            frame.clear();
            FRAME.set(frame);
        }
        sent
    }

    fn put(
        &mut self,
        link: &Link,
        expected: &Expected,
        frame: &mut Vec<u8>,
        waker: &Waker,
    ) -> Result<Ticket, Status> {
        let unsent = |status: Status| status.with_peer(Arc::clone(&link.peer)).unsent();
        let dynamic = link.endpoint.packer.is_none() && self.is_dynamic();
        loop {
            let speech = link.speech();
            if dynamic || !link.packs_first(speech) {
                break;
            }
            self.name(speech.packer);
            frame.clear();
            self.packet.can = speech.can();
            encode(link, speech, &self.packet, &Guid::ZERO, frame).map_err(unsent)?;
            match link.send(expected, speech, frame, waker.clone())? {
                Sent::Sent(ticket) => return Ok(ticket),
                Sent::PackAnew => {}
            }
        }
        let (ticket, speech) = link.open(expected)?;
        let speech = if dynamic { speech.in_php() } else { speech };
        // Packing runs code of the message: whatever it does, the place is given back.
        let place = Place { link, ticket };
        self.name(speech.packer);
        self.packet.guid = Some(ticket.guid);
        self.packet.can = speech.can();
        frame.clear();
        encode(link, speech, &self.packet, &ticket.guid, frame).map_err(unsent)?;
        link.submit(&ticket, frame, waker.clone(), expected.now)?;
        std::mem::forget(place);
        Ok(ticket)
    }

    /// Whether a parameter has no schema: it means the same to every server only as
    /// PHP packs it.
    fn is_dynamic(&self) -> bool {
        let dynamic = |call: &Call| matches!(&call.param, Body::Message(message) if !message.has_schema());
        match &self.packet.calls {
            Calls::One(call) => dynamic(call),
            Calls::Many(calls) => calls.iter().any(|(_, call)| dynamic(call)),
        }
    }

    /// Calls methods by the names that the peer knows: one that packs as PHP does
    /// knows legacy names, where there are any.
    fn name(&mut self, packer: Packer) {
        let name = |method: &Method| match (packer, method.aliases().first()) {
            (Packer::Php | Packer::Json, Some(legacy)) => MethodName::from_static(legacy),
            _ => MethodName::from_static(method.path()),
        };
        for &(place, method) in &self.aliased {
            match &mut self.packet.calls {
                Calls::One(call) => call.name = name(method),
                Calls::Many(calls) => {
                    calls.get_mut(place).into_iter().for_each(|(_, call)| call.name = name(method));
                }
            }
        }
    }
}

/// A place whose request is not sent yet.
struct Place<'a> {
    link: &'a Link,
    ticket: Ticket,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.link.close(&self.ticket, false);
    }
}

/// The method of a call that has legacy names.
fn alias(place: usize, head: &RequestHead) -> Option<(usize, &'static Method)> {
    let method = head.descriptor().filter(|method| !method.aliases().is_empty())?;
    Some((place, method))
}

/// The kind of a packet for this server, where its generation has a word for it.
fn kind(link: &Link, mode: Mode, multi: bool) -> Result<PacketKind, Status> {
    let generation = link.endpoint.generation;
    PacketKind::calls_of(generation, mode, multi).ok_or_else(|| {
        let message = format!("the {generation:?} generation of Dora-RPC has no deferred results");
        Status::unimplemented(message).with_peer(Arc::clone(&link.peer)).unsent()
    })
}

/// A call of a batch, with what it says for itself.
fn keyed(call: BatchCall, mode: Mode, batch: Option<Deadline>, now: Instant) -> (CallKey, Call) {
    let BatchCall { key, mut head, body } = call;
    let own = head.deadline().filter(|own| batch.is_none_or(|batch| *own < batch));
    let call = Call {
        timeout: own.and_then(|own| remaining(own, mode, now)),
        metadata: std::mem::take(head.metadata_mut()),
        ..Call::new(head.method().clone(), body)
    };
    (key, call)
}

/// What is left of a deadline, for the wire. An asynchronous call is not held to
/// how long its caller waits for the acknowledgement.
fn remaining(deadline: Deadline, mode: Mode, now: Instant) -> Option<Duration> {
    (mode == Mode::Wait).then(|| deadline.remaining(now))
}

/// A larger buffer is not kept for the thread's next frame.
const KEPT: usize = 64 << 10;

fn encode(
    link: &Link,
    speech: Speech,
    packet: &RequestPacket,
    guid: &Guid,
    out: &mut Vec<u8>,
) -> Result<(), Status> {
    let endpoint = &link.endpoint;
    let packed = |error: PackError| Status::invalid_argument(error.to_string());
    let encoder = &link.encoder;
    let frame = encoder.begin(endpoint.generation, guid, out);
    let format = Format { packer: speech.packer, generation: endpoint.generation };
    encode_request(format, packet, out).map_err(packed)?;
    let body = out.get(frame.body()..).unwrap_or_default();
    if endpoint.gzip.is_some_and(|least| body.len() >= least) {
        let body = out.split_off(frame.body());
        compress::deflate(&body, out);
    }
    encoder
        .finish(&frame, out)
        .map_err(|error| Status::invalid_argument(format!("the request does not fit: {error}")))
}

/// The frame of a request that costs a server nothing and keeps it from closing
/// the connection under a call that takes long.
pub(super) fn keeper(link: &Link, speech: Speech, guid: Guid) -> Option<Vec<u8>> {
    let param = Body::message(Value::Array(Default::default()));
    let packet = RequestPacket {
        guid: Some(guid),
        kind: PacketKind::Control,
        calls: Calls::One(Call::new("getStat", param)),
        can: speech.can(),
        ..RequestPacket::default()
    };
    let mut out = Vec::new();
    encode(link, speech, &packet, &guid, &mut out).ok().map(|()| out)
}

/// Writes a request frame of this end anew, for a caller who waits until `until`;
/// whether it could be.
pub(super) fn restate(link: &Link, frame: &[u8], until: Instant, now: Instant, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let mut write = || {
        let guid = link.layout.guid(frame)?;
        let body = Bytes::copy_from_slice(link.layout.body(frame));
        let body = match compress::is_gzip(&body) {
            true => compress::inflate(&body, link.endpoint.max_packet).ok()?,
            false => body,
        };
        let packer = detect(&body)?;
        let mut packet = decode_request(packer, &body, &link.endpoint.limits).ok()?;
        let claimed = packet.timeout?;
        let left = until.saturating_duration_since(now);
        let waited = claimed.saturating_sub(left);
        packet.timeout = Some(left);
        if let Calls::Many(calls) = &mut packet.calls {
            for call in calls.iter_mut().map(|(_, call)| call) {
                call.timeout = call.timeout.map(|timeout| timeout.saturating_sub(waited));
                call.raw = None;
            }
        }
        let speech = Speech::of(packer);
        encode(link, speech, &packet, &guid, out).ok()
    };
    let written = write();
    if written.is_none() {
        out.truncate(start);
    }
    written.is_some()
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::call::packed::PackMessage;
    use crate::transport::client::endpoint::Endpoint;

    #[test]
    fn a_panic_while_packing_leaks_no_place() {
        for packer in [Packer::Php, Packer::Protobuf] {
            let link = Link::new(Endpoint::new("127.0.0.1:1").expect("host:port").packer(packer));
            let param = Body::message(Bomb);
            let packet =
                RequestPacket { calls: Calls::One(Call::new("/bomb", param)), ..RequestPacket::default() };
            let outgoing = Outgoing::of(packet, Deadline::after(Duration::from_secs(60)));
            let sent = catch_unwind(AssertUnwindSafe(|| outgoing.send(&link, Waker::noop())));
            assert!(sent.is_err(), "it panics");
            assert_eq!(link.in_flight(), 0);
            assert!(link.core().current.table.is_unused());
        }
    }

    #[test]
    fn a_request_that_waited_says_how_long_its_caller_still_waits() {
        let changes: [fn(Endpoint) -> Endpoint; 4] =
            [Endpoint::php, Endpoint::protobuf, Endpoint::signed, Endpoint::gzip];
        for change in changes {
            let link = Link::new(change(Endpoint::new("127.0.0.1:1").expect("host:port")));
            let now = Instant::now();
            let param = Body::message(Value::from("unchanged"));
            let packet =
                RequestPacket { calls: Calls::One(Call::new("/echo", param)), ..RequestPacket::default() };
            let deadline = Deadline::from_instant(now, Duration::from_secs(60));
            let ticket = Outgoing::of(packet, deadline).send(&link, Waker::noop()).expect("queued");
            let frame = link.core().current.queue.take(Vec::new()).bytes;
            let later = now + Duration::from_secs(20);
            let mut anew = Vec::new();
            assert!(restate(&link, &frame, deadline.instant(), later, &mut anew));

            let mut bytes = bytes::BytesMut::from(&anew[..]);
            let frame = link.endpoint.decoder().decode(&mut bytes).expect("good").expect("whole");
            assert_eq!(frame.guid, Some(ticket.guid));
            let body = match compress::is_gzip(&frame.body) {
                true => compress::inflate(&frame.body, 1 << 20).expect("gzip"),
                false => frame.body,
            };
            let packer = detect(&body).expect("packed");
            let packet = decode_request(packer, &body, &link.endpoint.limits).expect("good");
            assert_eq!(packet.timeout, Some(Duration::from_secs(40)));
            let Calls::One(Call { param: Body::Packed(param), .. }) = packet.calls else { panic!("one") };
            let text = crate::pack::message::open::<Value>(Body::Packed(param)).expect("a value");
            assert_eq!(text, Value::from("unchanged"));
        }
    }

    struct Bomb;

    impl PackMessage for Bomb {
        fn pack(&self, _: Packer, _: &mut Vec<u8>) -> Result<(), PackError> {
            panic!("packing runs code of the message")
        }

        fn packed_len(&self, _: Packer) -> usize {
            0
        }
    }
}

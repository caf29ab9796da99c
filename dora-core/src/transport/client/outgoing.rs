//! Requests into frames.

use std::cell::Cell;
use std::task::Waker;

use bytes::Bytes;
use tokio::time::Instant;

use crate::call::body::Body;
use crate::call::code::Code;
use crate::call::deadline::Deadline;
use crate::call::dora_code;
use crate::call::kept;
use crate::call::mode::{Mode, PacketKind};
use crate::call::request::Request;
use crate::call::status::Status;
use crate::call::trace::Making;
use crate::carry::outgoing::{Outgoing, Said, write};
use crate::guid::Guid;
use crate::pack::compress;
use crate::pack::detect::detect;
use crate::pack::envelope::{Format, decode_request};
use crate::pack::packet::{Call, Calls, RequestPacket};
use crate::pack::value::Value;

use super::diagnose;
use super::link::Link;
use super::speech::Speech;
use super::submit::Sent;
use super::table::{Expected, Ticket};

/// Answers of a packet in `mode`: the acknowledgement counts.
const fn answers(mode: Mode) -> u8 {
    match mode {
        Mode::Wait | Mode::NoResult => 1,
        Mode::Deferred => 2,
    }
}

/// When a call is given up that does not say so itself.
pub(super) fn default_deadline(link: &Link, now: Instant) -> Deadline {
    Deadline::from_instant(kept::made(now), link.endpoint.timeout)
}

/// The packet of a request for the server of `link`.
pub(super) fn outgoing(request: Request, link: &Link) -> Result<Outgoing, Status> {
    Outgoing::new(request, link.endpoint.generation).map_err(|status| link.unsent(status))
}

impl Outgoing {
    /// Notes on the call's span where it goes, and as what it is packed.
    #[inline]
    pub(super) fn note(&self, making: Option<Making>, link: &Link) {
        if let Some(making) = making {
            let dynamic = link.endpoint.packer.is_none() && self.is_dynamic();
            let speech = if dynamic { link.speech().in_php() } else { link.speech() };
            making.goes(&link.peer, speech.packer);
        }
    }

    /// Packs the packet and hands it to the connection; the ticket for its answers,
    /// of which `waker` is told.
    pub(super) fn send(mut self, link: &Link, waker: &Waker) -> Result<Ticket, Status> {
        let now = Instant::now();
        let mode = self.kind.mode();
        let deadline = self.deadline.unwrap_or_else(|| default_deadline(link, now));
        if deadline.has_passed(now) {
            return Err(passed(link));
        }
        self.expires(deadline, now);
        let expected = Expected {
            answers: answers(mode),
            deadline: Some(deadline.instant()),
            claims: self.timeout.map(|_| deadline.instant()),
            now,
        };
        tell_shed(link, with_frame(|frame| self.put(link, &expected, frame, waker)))
    }

    fn put(
        &mut self,
        link: &Link,
        expected: &Expected,
        frame: &mut Vec<u8>,
        waker: &Waker,
    ) -> Result<Ticket, Status> {
        let unsent = |status| link.unsent(status);
        let dynamic = link.endpoint.packer.is_none() && self.is_dynamic();
        loop {
            let speech = link.speech();
            if dynamic || !link.packs_first(speech) {
                break;
            }
            frame.clear();
            let said = Said { guid: None, can: speech.can() };
            self.encode(link, speech, said, &Guid::ZERO, frame).map_err(unsent)?;
            match link.send(expected, speech, frame, waker.clone())? {
                Sent::Sent(ticket) => return Ok(ticket),
                Sent::PackAnew => {}
            }
        }
        let (ticket, speech) = link.open(expected)?;
        let speech = if dynamic { speech.in_php() } else { speech };
        // Packing runs code of the message: whatever it does, the place is given back.
        let place = Place { link, ticket };
        frame.clear();
        let said = Said { guid: Some(ticket.guid), can: speech.can() };
        self.encode(link, speech, said, &ticket.guid, frame).map_err(unsent)?;
        link.submit(&ticket, frame, waker.clone(), expected.now)?;
        std::mem::forget(place);
        Ok(ticket)
    }

    /// Appends the request's frame to `out`.
    #[inline]
    fn encode(
        &mut self,
        link: &Link,
        speech: Speech,
        said: Said,
        guid: &Guid,
        out: &mut Vec<u8>,
    ) -> Result<(), Status> {
        framed(link, guid, out, |out| self.write(format_of(link, speech), said, link.endpoint.gzip, out))
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

/// A larger buffer is not kept for the thread's next frame.
const KEPT: usize = 64 << 10;

/// Lends the buffer in which this thread packs one frame after the other; it holds bytes
/// of no meaning.
#[inline]
pub(super) fn with_frame<T>(pack: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    thread_local! {
        static FRAME: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }
    // Taken, not borrowed: packing runs code of the message.
    let mut frame = FRAME.take();
    let packed = pack(&mut frame);
    if frame.capacity() <= KEPT {
        FRAME.with(|kept| kept.set(frame));
    }
    packed
}

/// Tells the observer of a call that was refused because too many bytes wait.
#[inline]
pub(super) fn tell_shed<T>(link: &Link, sent: Result<T, Status>) -> Result<T, Status> {
    if sent.as_ref().is_err_and(|status| status.code() == Code::ResourceExhausted) {
        link.observed.shed();
    }
    sent
}

/// The status of a call that came too late to be sent.
#[cold]
pub(super) fn passed(link: &Link) -> Status {
    link.unsent(Status::raw(dora_code::TIMEOUT, "the deadline passed before the call was sent"))
}

fn format_of(link: &Link, speech: Speech) -> Format {
    Format { packer: speech.packer, generation: link.endpoint.generation }
}

/// Appends a frame whose body is what `body` writes.
#[inline]
pub(super) fn framed(
    link: &Link,
    guid: &Guid,
    out: &mut Vec<u8>,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), Status>,
) -> Result<(), Status> {
    let Link { endpoint, encoder, .. } = link;
    let frame = encoder.begin(endpoint.generation, guid, out);
    body(out)?;
    encoder
        .finish(&frame, out)
        .map_err(|error| Status::invalid_argument(diagnose::request_too_long(&error)).with_source(error))
}

/// Appends the frame of a packet that is put together.
fn encode(
    link: &Link,
    speech: Speech,
    packet: &RequestPacket,
    guid: &Guid,
    out: &mut Vec<u8>,
) -> Result<(), Status> {
    framed(link, guid, out, |out| write(packet, format_of(link, speech), link.endpoint.gzip, out))
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
        let mut packet = decode_request(packer, body, &link.endpoint.limits).ok()?;
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
    use std::time::Duration;

    use super::*;
    use crate::call::packed::{PackError, PackMessage};
    use crate::call::packer::Packer;
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
            let packet = decode_request(packer, body, &link.endpoint.limits).expect("good");
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

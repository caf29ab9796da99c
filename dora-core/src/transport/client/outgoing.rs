//! Requests into frames.

use std::cell::RefCell;
use std::task::Waker;

use bytes::Bytes;
use tokio::time::Instant;

use crate::call::body::Body;
use crate::call::deadline::Deadline;
use crate::call::dora_code;
use crate::call::mode::{Mode, PacketKind};
use crate::call::request::Request;
use crate::call::status::Status;
use crate::carry::outgoing::{Outgoing, write};
use crate::guid::Guid;
use crate::pack::compress;
use crate::pack::detect::detect;
use crate::pack::envelope::{Format, decode_request};
use crate::pack::packet::{Call, Calls, RequestPacket};
use crate::pack::value::Value;

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

/// The packet of a request for the server of `link`.
pub(super) fn outgoing(request: Request, link: &Link) -> Result<Outgoing, Status> {
    Outgoing::new(request, link.endpoint.generation).map_err(|status| link.unsent(status))
}

impl Outgoing {
    /// Packs the packet and hands it to the connection; the ticket for its answers,
    /// of which `waker` is told.
    pub(super) fn send(mut self, link: &Link, waker: &Waker) -> Result<Ticket, Status> {
        let now = Instant::now();
        let mode = self.packet.kind.mode();
        let deadline = self.deadline.unwrap_or_else(|| Deadline::from_instant(now, link.endpoint.timeout));
        if deadline.has_passed(now) {
            let status = Status::raw(dora_code::TIMEOUT, "the deadline passed before the call was sent");
            return Err(link.unsent(status));
        }
        self.expires(deadline, now);
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
        let unsent = |status| link.unsent(status);
        loop {
            let speech = link.speech();
            if !link.packs_first(speech) {
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

fn encode(
    link: &Link,
    speech: Speech,
    packet: &RequestPacket,
    guid: &Guid,
    out: &mut Vec<u8>,
) -> Result<(), Status> {
    let Link { endpoint, encoder, .. } = link;
    let frame = encoder.begin(endpoint.generation, guid, out);
    let format = Format { packer: speech.packer, generation: endpoint.generation };
    write(packet, format, endpoint.gzip, out)?;
    encoder.finish(&frame, out).map_err(|error| {
        Status::invalid_argument(format!("the request does not fit: {error}")).with_source(error)
    })
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

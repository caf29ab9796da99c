//! Requests into frames.

use std::cell::RefCell;
use std::task::Waker;

use tokio::time::Instant;

use crate::call::deadline::Deadline;
use crate::call::dora_code;
use crate::call::mode::Mode;
use crate::call::request::Request;
use crate::call::status::Status;
use crate::carry::outgoing::{Outgoing, address, write};
use crate::guid::Guid;
use crate::pack::packet::RequestPacket;

use super::link::Link;
use super::multiplex::Ticket;

/// Answers of a packet in `mode`: the acknowledgement counts.
const fn answers(mode: Mode) -> u8 {
    match mode {
        Mode::Wait | Mode::NoResult => 1,
        Mode::Deferred => 2,
    }
}

/// The packet of a request for the server of `link`.
pub(super) fn outgoing(request: Request, link: &Link) -> Result<Outgoing, Status> {
    Outgoing::new(request, link.endpoint.format()).map_err(|status| link.unsent(status))
}

/// Packs the packet and hands it to the connection; the ticket for its answers,
/// of which `waker` is told. Without a deadline the endpoint's timeout counts
/// from now.
pub(super) fn send(outgoing: Outgoing, link: &Link, waker: &Waker) -> Result<Ticket, Status> {
    let Outgoing { mut packet, deadline } = outgoing;
    let now = Instant::now();
    let deadline = deadline.unwrap_or_else(|| Deadline::from_instant(now, link.endpoint.timeout));
    if deadline.has_passed(now) {
        let status = Status::raw(dora_code::TIMEOUT, "the deadline passed before the call was sent");
        return Err(link.unsent(status));
    }
    let ticket = link.open(Some(deadline.instant()), answers(packet.kind.mode()))?;
    address(&mut packet, link.endpoint.packer, ticket.guid, Some(deadline), now);
    thread_local! {
        static FRAME: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    // Taken, not borrowed: packing runs code of the message.
    let mut frame = FRAME.take();
    frame.clear();
    let sent = encode(link, &packet, &ticket.guid, &mut frame)
        .map_err(|status| link.unsent(status))
        .and_then(|()| link.submit(&ticket, &mut frame, waker));
    if frame.capacity() <= KEPT {
        FRAME.set(frame);
    }
    match sent {
        Ok(()) => Ok(ticket),
        Err(status) => {
            link.close(&ticket, false);
            Err(status)
        }
    }
}

/// A larger buffer is not kept for the thread's next frame.
const KEPT: usize = 64 << 10;

fn encode(link: &Link, packet: &RequestPacket, guid: &Guid, out: &mut Vec<u8>) -> Result<(), Status> {
    let Link { endpoint, encoder, .. } = link;
    let frame = encoder.begin(endpoint.generation, guid, out);
    write(packet, endpoint.format(), endpoint.gzip, out)?;
    encoder.finish(&frame, out).map_err(|error| {
        Status::invalid_argument(format!("the request does not fit: {error}")).with_source(error)
    })
}

//! Typed calls that go straight from their caller onto the connection.
//!
//! A call that passes layers is a request: it has a head in which they say things to one
//! another, and its message behind a pointer, as nobody knows yet who packs it. A call
//! of a channel alone needs neither. While the channel is in the state in which nearly
//! all calls are made, it is packed from where its caller has it, and what is kept of it
//! is its place in the table.

use std::sync::Arc;
use std::task::{Poll, Waker, ready};

use bytes::Bytes;
use tokio::time::Instant;

use crate::call::deadline::Deadline;
use crate::call::kept::Kept;
use crate::call::metadata::Metadata;
use crate::call::method::Method;
use crate::call::mode::{Mode, PacketKind};
use crate::call::name::MethodName;
use crate::call::response::{Reply, Response};
use crate::call::status::Status;
use crate::carry::answer::response;
use crate::carry::outgoing::write_single;
use crate::guid::Guid;
use crate::pack::envelope::plain_result;
use crate::pack::message::Message;
use crate::pack::packet::SingleRequest;

use super::channel::Channel;
use super::exchange::{named, open_first};
use super::link::Link;
use super::outgoing::{framed, passed, tell_shed, with_frame};
use super::submit::Sent;
use super::table::{Expected, Ticket};

/// A call that was sent, and the place where its answer arrives.
pub(crate) struct Straight {
    channel: Channel,
    ticket: Ticket,
    method: &'static Method,
    progress: Progress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Sent,
    Answered,
}

/// What became of a call that was to go straight.
pub(crate) enum Begun {
    Sent(Straight),
    /// It goes as a request does: a connection is to be made first, calls take turns, the
    /// peer's packing is not known, or somebody else keeps the deadline.
    Not(Channel),
}

/// One call that is waited for.
const KIND: PacketKind = PacketKind::calls(Mode::Wait, false);

impl Straight {
    /// Sends the call; `waker` is woken by its answer.
    ///
    /// # Errors
    /// As any call that is not sent.
    #[inline]
    pub(crate) fn begin<M: Message>(
        channel: Channel,
        method: &'static Method,
        message: &M,
        deadline: Option<Deadline>,
        waker: &Waker,
    ) -> Result<Begun, Status> {
        let sent = match channel.goes_straight(message) {
            true => send(channel.link(), method, message, deadline, waker)?,
            false => None,
        };
        Ok(match sent {
            Some(ticket) => Begun::Sent(Self { channel, ticket, method, progress: Progress::Sent }),
            None => Begun::Not(channel),
        })
    }

    /// The response. It names no peer; a status that is made of it is [about](Self::about) it.
    #[inline]
    pub(crate) fn poll(&mut self, waker: &Waker) -> Poll<Result<Response, Status>> {
        let (answer, _) = ready!(self.channel.link().poll_answer(&self.ticket, waker));
        self.progress = Progress::Answered;
        Poll::Ready(match answer.map(plain_result) {
            Ok(Ok(result)) => Ok(Response::new(Reply::Result(result))),
            Ok(Err(body)) => self.open(body),
            Err(status) => Err(named(&self.method(), status)),
        })
    }

    #[cold]
    fn open(&self, body: Bytes) -> Result<Response, Status> {
        let link = self.channel.link();
        let data = open_first(link, &self.ticket, body, KIND);
        data.and_then(|data| response(data, KIND, &link.peer)).map_err(|status| named(&self.method(), status))
    }

    pub(crate) fn method(&self) -> MethodName {
        MethodName::from_static(self.method.path())
    }

    /// The status with the peer of the call.
    #[cold]
    pub(crate) fn about(&self, status: Status) -> Status {
        status.with_peer(Arc::clone(&self.channel.link().peer))
    }
}

impl Drop for Straight {
    #[inline]
    fn drop(&mut self) {
        if self.progress == Progress::Sent {
            self.channel.link().close(&self.ticket, false);
        }
    }
}

impl Channel {
    #[inline]
    fn goes_straight<M: Message>(&self, message: &M) -> bool {
        let link = self.link();
        link.is_proven()
            && !self.takes_turns()
            && (message.has_schema() || link.endpoint.packer.is_some())
            && link.keeps_deadlines() == Kept::Here
    }
}

/// Sends a call; `None` where its place has to be opened before it is packed.
#[inline]
fn send<M: Message>(
    link: &Link,
    method: &'static Method,
    message: &M,
    deadline: Option<Deadline>,
    waker: &Waker,
) -> Result<Option<Ticket>, Status> {
    let speech = link.speech();
    if !link.packs_first(speech) {
        return Ok(None);
    }
    let now = Instant::now();
    let (deadline, left) = match deadline {
        Some(deadline) => (deadline, deadline.remaining(now)),
        None => (Deadline::from_instant(now, link.endpoint.timeout), link.endpoint.timeout),
    };
    if left.is_zero() {
        return Err(passed(link));
    }
    let until = Some(deadline.instant());
    let expected = Expected { answers: 1, deadline: until, claims: until, now };
    let request = SingleRequest {
        kind: KIND,
        name: method.path().as_bytes(),
        param: message,
        timeout: Some(left),
        metadata: &Metadata::new(),
        can: speech.can(),
    };
    with_frame(|frame| {
        frame.clear();
        framed(link, &Guid::ZERO, frame, |out| write_single(&request, link.endpoint.gzip, out))
            .map_err(|status| link.unsent(status))?;
        let sent = tell_shed(link, link.send(&expected, speech, frame, waker.clone()))?;
        Ok(match sent {
            Sent::Sent(ticket) => Some(ticket),
            Sent::PackAnew => None,
        })
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prost_types::Timestamp;

    use super::*;
    use crate::call::body::Body;
    use crate::call::method::ServiceDescriptor;
    use crate::call::packer::Packer;
    use crate::call::request::Request;
    use crate::pack::value::Value;
    use crate::transport::client::endpoint::Endpoint;
    use crate::transport::client::outgoing::outgoing;

    static CLOCKS: ServiceDescriptor = ServiceDescriptor::new("t.Clocks", &[&SET]);
    static SET: Method = Method::new(&CLOCKS, "Set", "/t.Clocks/Set");

    const MESSAGE: Timestamp = Timestamp { seconds: 1_234_567, nanos: 89 };

    /// A channel whose server has answered before; its tasks never run.
    fn channel(change: impl FnOnce(Endpoint) -> Endpoint) -> Channel {
        let channel = Channel::new(change(Endpoint::new("127.0.0.1:1").expect("host:port")));
        channel.link().prove();
        channel
    }

    fn begin(channel: &Channel, deadline: Option<Deadline>) -> Result<Begun, Status> {
        Straight::begin(channel.clone(), &SET, &MESSAGE, deadline, Waker::noop())
    }

    fn sent(begun: Result<Begun, Status>) -> Straight {
        match begun.expect("it may be sent") {
            Begun::Sent(sent) => sent,
            Begun::Not(_) => panic!("it goes straight"),
        }
    }

    fn frame(channel: &Channel) -> Vec<u8> {
        channel.link().core().current.queue.take(Vec::new()).bytes
    }

    fn without_guid(channel: &Channel) -> Vec<u8> {
        let mut frame = frame(channel);
        channel.link().layout.set_guid(&mut frame, &Guid::ZERO);
        frame
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_says_the_same_straight_and_as_a_request() {
        let endpoints: [fn(Endpoint) -> Endpoint; 3] = [
            Endpoint::protobuf,
            |endpoint| endpoint.protobuf().gzip(),
            |endpoint| endpoint.protobuf().timeout(Duration::from_millis(700)),
        ];
        for change in endpoints {
            for deadline in [None, Some(Deadline::after(Duration::from_millis(1234)))] {
                let channel = channel(change);
                let waits = sent(begin(&channel, deadline));
                let straight = without_guid(&channel);
                let mut request = Request::new(Body::message(MESSAGE));
                request.head_mut().call(&SET);
                request.head_mut().set_deadline(deadline);
                let request = outgoing(request, channel.link()).expect("one call");
                let ticket = request.send(channel.link(), Waker::noop()).expect("queued");
                assert_eq!(straight, without_guid(&channel));
                assert_eq!(channel.in_flight(), 2);
                channel.link().close(&ticket, false);
                drop(waits);
                assert_eq!(channel.in_flight(), 0, "a call that is given up gives its place back");
                assert!(channel.link().core().current.table.is_unused());
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_asked_first_does_not_go_straight() {
        let goes = |channel: &Channel| matches!(begin(channel, None), Ok(Begun::Sent(_)));
        assert!(goes(&channel(Endpoint::protobuf)));
        assert!(!goes(&channel(Endpoint::php)), "its guid stands in the body");
        assert!(!goes(&channel(|endpoint| endpoint)), "nobody knows how the peer packs");
        assert!(!goes(&channel(|endpoint| endpoint.protobuf().signed())), "the guid is signed");
        let lost = channel(Endpoint::protobuf);
        lost.link().lost();
        assert!(!goes(&lost), "it waits until a connection is there");
        let dynamic =
            Straight::begin(channel(|endpoint| endpoint), &SET, &Value::from(7), None, Waker::noop());
        assert!(matches!(dynamic, Ok(Begun::Not(_))));
    }

    #[test]
    fn another_runtime_keeps_its_deadlines_itself() {
        let runtime =
            || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (own, other) = (runtime(), runtime());
        let channel = own.block_on(async { channel(Endpoint::protobuf) });
        let begun = other.block_on(async { begin(&channel, None) });
        assert!(matches!(begun, Ok(Begun::Not(_))));
        let begun = own.block_on(async { begin(&channel, None) });
        assert!(matches!(begun, Ok(Begun::Sent(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_has_passed_is_told_and_nothing_is_sent() {
        let channel = channel(Endpoint::protobuf);
        let status = begin(&channel, Some(Deadline::after(Duration::ZERO))).err().expect("too late");
        assert!(status.is_unsent() && status.peer().is_some(), "{status:?}");
        assert_eq!((channel.in_flight(), frame(&channel).len()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn answers_are_opened_whatever_they_say() {
        let channel = channel(Endpoint::protobuf);
        let answered = |answer: &[u8]| {
            let mut call = sent(begin(&channel, None));
            assert!(call.poll(Waker::noop()).is_pending());
            let body = Bytes::copy_from_slice(answer);
            channel.link().core().current.table.deliver(&call.ticket.guid, Ok(body));
            let Poll::Ready(result) = call.poll(Waker::noop()) else { panic!("it is there") };
            drop(call);
            assert_eq!(channel.in_flight(), 0);
            result
        };
        // Code 0, one result, whose data are `x`.
        let plain = answered(b"\x08\x00\x22\x03\x22\x01x").expect("a plain result");
        let Ok(Body::Packed(packed)) = plain.into_body().into_result() else { panic!("packed") };
        assert_eq!((packed.packer, &packed.bytes[..]), (Packer::Protobuf, &b"x"[..]));
        // The same before a field that nobody knows.
        let more = answered(b"\x08\x00\x22\x03\x22\x01x\x78\x01").expect("a result");
        assert_eq!(more.peer(), Some("127.0.0.1:1"));
        let refused = answered(b"\x08\x0e").expect_err("code 7");
        assert_eq!((refused.raw_code(), refused.peer()), (7, Some("127.0.0.1:1")));
        let unreadable = answered(b"\xff").expect_err("it is none");
        assert!(unreadable.message().starts_with("/t.Clocks/Set: "), "{unreadable}");
    }
}

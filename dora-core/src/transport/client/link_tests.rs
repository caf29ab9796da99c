use std::sync::atomic::AtomicUsize;
use std::task::Wake;

use super::*;
use crate::call::capabilities::Capabilities;
use crate::call::code::Code;
use crate::generation::Generation;
use crate::transport::client::submit::Sent;
use crate::transport::client::table::{Answer, Expected};

fn link(change: impl FnOnce(Endpoint) -> Endpoint) -> Link {
    Link::new(change(Endpoint::new("127.0.0.1:1").expect("host:port").php()))
}

fn expected(answers: u8) -> Expected {
    Expected { answers, deadline: None, claims: None, now: Instant::now() }
}

fn open(link: &Link) -> Ticket {
    link.open(&expected(1)).expect("open").0
}

fn frame(link: &Link, ticket: &Ticket) -> Vec<u8> {
    let mut out = Vec::new();
    let frame = link.encoder.begin(link.endpoint.generation, &ticket.guid, &mut out);
    out.extend_from_slice(b"a:1:{s:4:\"type\";s:20:\"01234567890123456789\";}");
    link.encoder.finish(&frame, &mut out).expect("small");
    out
}

fn submit(link: &Link, ticket: &Ticket) {
    let waker = Waker::noop().clone();
    link.submit(ticket, &mut frame(link, ticket), waker, Instant::now()).expect("queued");
}

fn send(link: &Link) -> (Ticket, Vec<u8>) {
    let ticket = open(link);
    submit(link, &ticket);
    let frame = frame(link, &ticket);
    (ticket, frame)
}

fn answer(link: &Link, ticket: &Ticket) -> Poll<Answer> {
    link.poll_answer(ticket, Waker::noop()).map(|(answer, _)| answer)
}

fn connect(link: &Link) {
    link.core().state.connected();
}

fn queued(link: &Link) -> Vec<u8> {
    link.core().current.queue.take(Vec::new()).bytes
}

fn fail(link: &Link, status: Status) {
    link.fail(0, &status, &[]);
}

fn is_unsent(answer: Poll<Answer>) -> bool {
    matches!(answer, Poll::Ready(Err(status)) if status.is_unsent())
}

#[test]
fn what_was_called_unsent_is_never_sent() {
    let link = link(|endpoint| endpoint);
    let ticket = open(&link);
    // While the request is being packed the connection is lost.
    fail(&link, Status::unavailable("lost"));
    submit(&link, &ticket);
    assert!(link.core().current.queue.is_empty());
    let Poll::Ready(Err(status)) = answer(&link, &ticket) else { panic!("it has ended") };
    assert!(status.is_unsent() && status.code() == Code::Unavailable);
}

#[test]
fn a_lost_connection_fails_what_was_written_and_what_was_queued_each_in_its_way() {
    let link = link(|endpoint| endpoint.signed());
    connect(&link);
    let ((written, _), _) = (send(&link), queued(&link));
    let (begun, whole) = (send(&link), send(&link));
    let piece = link.core().current.queue.take(Vec::new());
    let (later, _) = send(&link);
    let unsent: Vec<_> = piece.guids(1, link.layout).collect();
    assert_eq!(unsent, [whole.0.guid]);
    link.fail(0, &Status::unavailable("lost"), &unsent);
    assert!(!is_unsent(answer(&link, &written)) && !is_unsent(answer(&link, &begun.0)));
    assert!(is_unsent(answer(&link, &whole.0)) && is_unsent(answer(&link, &later)));
    assert!(link.core().current.queue.is_empty() && matches!(link.core().state, LinkState::Idle));
}

#[test]
fn a_given_up_call_without_a_guid_takes_its_connection_and_not_the_next_call() {
    let link = link(|endpoint| endpoint.generation(Generation::Plain));
    let (first, _) = send(&link);
    connect(&link);
    queued(&link);
    link.close(&first, true);
    assert!(matches!(link.core().state, LinkState::Spoiled));
    let (second, second_frame) = send(&link);
    fail(&link, Status::unavailable("no longer needed"));
    assert!(answer(&link, &second).is_pending());
    assert!(matches!(link.core().state, LinkState::Connecting), "for the second one");
    assert_eq!(queued(&link), second_frame, "the next connection's");
}

#[test]
fn a_connection_in_use_is_not_let_go() {
    let link = link(|endpoint| endpoint);
    connect(&link);
    let (ticket, _) = send(&link);
    assert!(!link.let_go(0));
    queued(&link);
    assert!(!link.let_go(0), "an answer is awaited");
    link.close(&ticket, false);
    assert!(link.let_go(0));
    assert!(matches!(link.core().state, LinkState::Idle));
}

#[test]
fn a_drained_connection_keeps_its_calls_and_gets_no_more() {
    let link = link(|endpoint| endpoint);
    connect(&link);
    let (old, _) = send(&link);
    assert!(link.drain(0).is_some());
    assert!(matches!(link.core().state, LinkState::Idle));
    let (new, _) = send(&link);
    assert_eq!((old.lane, new.lane), (0, 1));
    assert!(matches!(link.core().state, LinkState::Connecting), "for the new one");
    link.core().lane(0).expect("it has a call").table.deliver(&old.guid, Ok("old".into()));
    assert!(matches!(answer(&link, &old), Poll::Ready(Ok(body)) if body == "old"));
    assert!(link.core().lane(0).is_none(), "its last call took it along");
    assert!(answer(&link, &new).is_pending());
    assert!(link.drain(0).is_none(), "once");
}

#[test]
fn a_drained_connection_that_breaks_takes_its_own_calls_only() {
    let link = link(|endpoint| endpoint);
    connect(&link);
    let ((old, _), _) = (send(&link), queued(&link));
    link.drain(0);
    let (new, _) = send(&link);
    fail(&link, Status::unavailable("lost"));
    assert!(matches!(answer(&link, &old), Poll::Ready(Err(status)) if !status.is_unsent()));
    assert!(answer(&link, &new).is_pending());
}

#[test]
fn a_server_that_drains_without_end_is_not_followed_without_end() {
    let link = link(|endpoint| endpoint);
    let mut calls = Vec::new();
    for lane in 0..100 {
        connect(&link);
        calls.push(send(&link).0);
        assert!(link.drain(lane).is_some());
    }
    let ended = calls.iter().filter(|call| answer(&link, call).is_ready()).count();
    assert_eq!(ended, 100 - FORMER);
}

#[test]
fn packing_follows_what_the_server_can_and_forgets_it_with_the_connection() {
    let link = Link::new(Endpoint::new("127.0.0.1:1").expect("host:port"));
    let said = link.speech();
    assert_eq!(said.packer, Packer::Php, "every server can");
    assert!(said.can().is_some(), "this end says what it can");
    connect(&link);
    let mut core = link.core();
    core.current.can = Some(Capabilities::PROTOBUF.with(Capabilities::NOTICES));
    link.note_speech(&core);
    drop(core);
    let said = link.speech();
    assert_eq!((said.packer, said.can()), (Packer::Protobuf, None));

    // A request that was packed for this connection does not go to the next one.
    fail(&link, Status::unavailable("lost"));
    let sent = link.send(&expected(1), said, &mut vec![0; 100], Waker::noop().clone());
    assert!(matches!(sent, Ok(Sent::PackAnew)));
    assert_eq!(link.speech().packer, Packer::Php);

    let fixed = Link::new(Endpoint::new("127.0.0.1:1").expect("host:port").protobuf());
    assert_eq!(fixed.speech().packer, Packer::Protobuf);
}

/// Locks the link whenever its waker is woken or dropped.
struct Locks {
    link: Arc<Link>,
    times: AtomicUsize,
}

impl Wake for Locks {
    fn wake(self: Arc<Self>) {
        assert!(self.link.core.try_lock().is_some(), "woken under the lock");
        self.times.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Locks {
    fn drop(&mut self) {
        assert!(self.link.core.try_lock().is_some(), "dropped under the lock");
    }
}

#[test]
fn wakers_are_woken_and_dropped_where_nobody_waits() {
    let link = Arc::new(link(|endpoint| endpoint));
    let locks = || Arc::new(Locks { link: Arc::clone(&link), times: AtomicUsize::new(0) });
    connect(&link);
    let call = |waker: Waker| {
        let ticket = open(&link);
        link.submit(&ticket, &mut frame(&link, &ticket), waker, Instant::now()).expect("queued");
        ticket
    };
    // Closed, replaced by another task's, and failed.
    link.close(&call(locks().into()), false);
    let replaced = call(locks().into());
    assert!(link.poll_answer(&replaced, &locks().into()).is_pending());
    let failed = locks();
    call(Arc::clone(&failed).into());
    fail(&link, Status::unavailable("lost"));
    assert_eq!(failed.times.load(Ordering::Relaxed), 1);
    // With a drained connection.
    connect(&link);
    let last = call(locks().into());
    link.drain(0);
    link.close(&last, false);
    // The task's own.
    link.core().current.task = Some(locks().into());
    link.abandon();
}

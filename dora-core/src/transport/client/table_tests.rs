use std::time::Duration;

use super::*;
use crate::transport::client::wheel::TICK_NANOS;

fn open(table: &mut Table, deadline: Option<Instant>, answers: u8) -> Ticket {
    let expected = Expected { answers, deadline, claims: deadline, now: Instant::now() };
    table.open(0, &expected, Some(Waker::noop().clone()))
}

fn poll(table: &mut Table, ticket: &Ticket) -> Poll<Answer> {
    table.poll(ticket).map(|(answer, _)| answer)
}

fn body(poll: Poll<Answer>) -> Bytes {
    match poll {
        Poll::Ready(Ok(body)) => body,
        other => panic!("no body: {other:?}"),
    }
}

#[test]
fn answers_find_their_calls_in_any_order() {
    let mut table = Table::default();
    let tickets: Vec<Ticket> = (0..100).map(|_| open(&mut table, None, 1)).collect();
    for (number, ticket) in tickets.iter().enumerate().rev() {
        assert!(poll(&mut table, ticket).is_pending());
        assert!(table.deliver(&ticket.guid, Ok(vec![number as u8].into())).is_some());
    }
    for (number, ticket) in tickets.iter().enumerate() {
        assert_eq!(body(poll(&mut table, ticket)), [number as u8][..]);
        assert!(!table.close(ticket).0);
    }
    assert_eq!((table.awaited(), table.late, table.unknown), (0, 0, 0));
}

#[test]
fn no_answer_goes_to_another_caller() {
    let mut table = Table::default();
    let old = open(&mut table, None, 1);
    assert!(table.close(&old).0, "its answer may still come");
    let new = open(&mut table, None, 1);
    assert_ne!(old.guid, new.guid, "the place is used again");
    table.deliver(&old.guid, Ok(Bytes::from_static(b"late")));
    assert_eq!((table.late, table.unknown), (1, 0));

    table.deliver(&Guid::random(), Ok(Bytes::from_static(b"unknown")));
    table.deliver(&Guid::from([0xff; 32]), Ok(Bytes::from_static(b"no hex")));
    let mut forged = *new.guid.as_bytes();
    forged[0] = if forged[0] == b'0' { b'1' } else { b'0' };
    table.deliver(&Guid::from(forged), Ok(Bytes::from_static(b"right place, wrong guid")));
    assert_eq!((table.late, table.unknown), (1, 3));

    assert!(poll(&mut table, &new).is_pending());
    table.deliver(&new.guid, Ok(Bytes::from_static(b"right")));
    table.deliver(&new.guid, Ok(Bytes::from_static(b"twice")));
    assert_eq!(body(poll(&mut table, &new)), "right");
    assert!(!matches!(poll(&mut table, &new), Poll::Ready(Ok(_))), "the second one was dropped");
    assert!(!matches!(poll(&mut table, &old), Poll::Ready(Ok(_))), "a closed ticket has no answers");
}

#[test]
fn a_deferred_call_has_two_answers_even_if_both_come_at_once() {
    let mut table = Table::default();
    let ticket = open(&mut table, None, 2);
    table.deliver(&ticket.guid, Ok(Bytes::from_static(b"ack")));
    table.deliver(&ticket.guid, Ok(Bytes::from_static(b"result")));
    assert_eq!(body(poll(&mut table, &ticket)), "ack");
    assert_eq!(body(poll(&mut table, &ticket)), "result");
}

#[test]
fn deadlines_end_calls_but_not_acknowledged_ones() {
    let now = Instant::now();
    let later = now + Duration::from_secs(3);
    let expired = Status::deadline_exceeded("no answer");
    let mut table = Table::default();
    let (short, long) = (open(&mut table, Some(now), 1), open(&mut table, Some(later), 1));
    let deferred = open(&mut table, Some(now), 2);
    table.deliver(&deferred.guid, Ok(Bytes::from_static(b"ack")));
    assert_eq!(body(poll(&mut table, &deferred)), "ack");
    let look = table.earliest().expect("two deadlines");
    assert!(look <= now + Duration::from_nanos(2 * TICK_NANOS));
    assert_eq!(table.expire(look, 100, &expired, &mut Vec::new()), 1);
    assert!(matches!(poll(&mut table, &short), Poll::Ready(Err(_))));
    assert!(poll(&mut table, &long).is_pending());
    assert!(poll(&mut table, &deferred).is_pending());
    assert_eq!(table.awaited(), 2);
    assert_eq!(table.fate(&long.guid), Fate::Awaited { claims: Some(later) });
    assert_eq!(table.fate(&short.guid), Fate::GivenUp);
}

#[test]
fn a_lost_connection_tells_what_was_never_sent() {
    let mut table = Table::default();
    let (sent, queued) = (open(&mut table, None, 1), open(&mut table, None, 2));
    let expected = Expected { answers: 1, deadline: None, claims: None, now: Instant::now() };
    let packing = table.open(0, &expected, None);
    table.fail(&Status::unavailable("lost"), &[queued.guid, Guid::random()], &mut Vec::new());
    let was_unsent = |answer| matches!(answer, Poll::Ready(Err(status)) if Status::is_unsent(&status));
    assert!(!was_unsent(poll(&mut table, &sent)));
    assert!(was_unsent(poll(&mut table, &queued)));
    assert!(was_unsent(poll(&mut table, &packing)), "its caller is still packing it");
    assert_eq!(table.awaited(), 0);
}

#[test]
fn the_table_shrinks_after_a_burst_and_forgets_no_call() {
    let mut table = Table::default();
    let burst: Vec<Ticket> = (0..10_000).map(|_| open(&mut table, None, 1)).collect();
    let (kept, rest) = burst.split_at(10);
    for ticket in rest {
        assert!(table.close(ticket).0);
    }
    assert!(table.slots.len() <= 2 * SMALL && table.slots.capacity() <= 4 * SMALL, "{}", table.slots.len());
    for ticket in kept {
        table.deliver(&ticket.guid, Ok(Bytes::from_static(b"kept")));
        assert_eq!(body(poll(&mut table, ticket)), "kept");
    }
    for ticket in rest {
        table.deliver(&ticket.guid, Ok(Bytes::from_static(b"late")));
    }
    assert_eq!((table.late, table.unknown), (rest.len() as u64, 0), "also those whose place is gone");
    assert!(table.is_unused());

    let again: Vec<Ticket> = (0..10_000).map(|_| open(&mut table, None, 1)).collect();
    assert!(burst.iter().all(|old| !table.is_awaited(&old.guid)), "no guid is used twice");
    // What is at the far end keeps the table long, until it is needed again.
    again[..9_990].iter().for_each(|ticket| drop(table.close(ticket)));
    assert!(table.slots.len() > 5_000);
    let more: Vec<Ticket> = (0..9_990).map(|_| open(&mut table, None, 1)).collect();
    assert!(table.slots.len() <= 10_000, "free places are used before new ones are made");
    again[9_990..].iter().chain(&more).for_each(|ticket| assert!(table.close(ticket).0));
    assert!(table.is_unused());
}

#[test]
fn an_answer_without_guid_goes_to_the_only_call_or_to_none() {
    let mut table = Table::default();
    let first = open(&mut table, None, 1);
    table.deliver_only(Ok(Bytes::from_static(b"mine")));
    assert_eq!(body(poll(&mut table, &first)), "mine");
    let deferred = open(&mut table, None, 2);
    table.deliver_only(Ok(Bytes::from_static(b"ack")));
    assert_eq!(body(poll(&mut table, &deferred)), "ack");
    table.deliver_only(Ok(Bytes::from_static(b"a result has a guid")));
    assert!(poll(&mut table, &deferred).is_pending());
    let second = open(&mut table, None, 1);
    table.deliver_only(Ok(Bytes::from_static(b"not the deferred result")));
    assert_eq!(body(poll(&mut table, &second)), "not the deferred result");
    let _ = (open(&mut table, None, 1), open(&mut table, None, 1));
    table.deliver_only(Ok(Bytes::from_static(b"whose?")));
    assert_eq!(table.unknown, 2);
}

use std::time::Duration;

use super::*;

fn poll(table: &mut Table, ticket: &Ticket) -> Poll<Answer> {
    table.poll(ticket, Waker::noop()).map(|(answer, _)| answer)
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
    let tickets: Vec<Ticket> = (0..100).map(|_| table.open(None, 1)).collect();
    for (number, ticket) in tickets.iter().enumerate().rev() {
        assert!(poll(&mut table, ticket).is_pending());
        assert!(table.deliver(&ticket.guid, Ok(vec![number as u8].into())).is_some());
    }
    for (number, ticket) in tickets.iter().enumerate() {
        assert_eq!(body(poll(&mut table, ticket)), [number as u8][..]);
        assert!(!table.close(ticket));
    }
    assert_eq!((table.awaited(), table.late, table.unknown), (0, 0, 0));
}

#[test]
fn no_answer_goes_to_another_caller() {
    let mut table = Table::default();
    let old = table.open(None, 1);
    assert!(table.close(&old), "its answer may still come");
    let new = table.open(None, 1);
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
    let ticket = table.open(None, 2);
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
    let (short, long) = (table.open(Some(now), 1), table.open(Some(later), 1));
    let deferred = table.open(Some(now), 2);
    table.deliver(&deferred.guid, Ok(Bytes::from_static(b"ack")));
    assert_eq!(body(poll(&mut table, &deferred)), "ack");
    assert_eq!(table.earliest(), Some(now));
    table.expire(now, &expired, &mut Vec::new());
    assert_eq!(table.earliest(), Some(later));
    assert!(matches!(poll(&mut table, &short), Poll::Ready(Err(_))));
    assert!(poll(&mut table, &long).is_pending());
    assert!(poll(&mut table, &deferred).is_pending());
    assert_eq!(table.awaited(), 2);
}

#[test]
fn a_lost_connection_tells_what_was_never_sent() {
    let mut table = Table::default();
    let (sent, half, unsent) = (table.open(None, 1), table.open(None, 1), table.open(None, 2));
    table.submitted(&sent, 0, Waker::noop());
    table.submitted(&half, 100, Waker::noop());
    table.submitted(&unsent, 200, Waker::noop());
    table.fail(&Status::unavailable("lost"), 150, &mut Vec::new());
    let was_unsent = |answer| matches!(answer, Poll::Ready(Err(status)) if Status::is_unsent(&status));
    assert!(!was_unsent(poll(&mut table, &sent)));
    assert!(!was_unsent(poll(&mut table, &half)));
    assert!(was_unsent(poll(&mut table, &unsent)));
    assert_eq!(table.awaited(), 0);
}

#[test]
fn an_answer_without_guid_goes_to_the_only_call_or_to_none() {
    let mut table = Table::default();
    let first = table.open(None, 1);
    table.deliver_only(Ok(Bytes::from_static(b"mine")));
    assert_eq!(body(poll(&mut table, &first)), "mine");
    let deferred = table.open(None, 2);
    table.deliver_only(Ok(Bytes::from_static(b"ack")));
    assert_eq!(body(poll(&mut table, &deferred)), "ack");
    table.deliver_only(Ok(Bytes::from_static(b"a result has a guid")));
    assert!(poll(&mut table, &deferred).is_pending());
    let second = table.open(None, 1);
    table.deliver_only(Ok(Bytes::from_static(b"not the deferred result")));
    assert_eq!(body(poll(&mut table, &second)), "not the deferred result");
    let _ = (table.open(None, 1), table.open(None, 1));
    table.deliver_only(Ok(Bytes::from_static(b"whose?")));
    assert_eq!(table.unknown, 2);
}

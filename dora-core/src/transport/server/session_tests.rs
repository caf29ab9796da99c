use std::task::{Context, Poll, Waker};

use super::*;
use crate::generation::Generation;
use crate::guid::Guid;
use crate::wire::encoder::Encoder;

const MS: Duration = Duration::from_millis(1);

fn config() -> SessionConfig {
    SessionConfig { max_packet: 1000, max_calls: 2, max_buffered: 100, ..SessionConfig::default() }
}

/// A session, and the time it began at.
fn session() -> (Session, Instant) {
    let now = Instant::now();
    (Session::new(Inbox::new(config().decoder()), now), now)
}

fn feed(session: &mut Session, mut bytes: &[u8], now: Instant) {
    let count = bytes.len();
    while !bytes.is_empty() {
        let mut cx = Context::from_waker(Waker::noop());
        assert!(matches!(session.inbox.poll_read(&mut bytes, &mut cx), Poll::Ready(Ok(1..))));
    }
    session.received(count, now);
}

fn frame() -> Vec<u8> {
    let (encoder, mut out) = (Encoder::new(1000, None), Vec::new());
    let frame = encoder.begin(Generation::Guid, &Guid::random(), &mut out);
    out.extend_from_slice(b"a:0:{}");
    encoder.finish(&frame, &mut out).expect("small");
    out
}

fn idle() -> Load {
    Load::default()
}

fn due(session: &mut Session, load: Load, now: Instant) -> Option<(Instant, Due)> {
    session.end_turn(load, &config(), now);
    session.due(load, &config())
}

#[test]
fn frames_are_as_old_as_the_last_of_their_bytes() {
    let (mut session, start) = session();
    let frame = frame();
    // One and a half, the other half and a third, and nothing is begun meanwhile.
    feed(&mut session, &[&frame[..], &frame[..20]].concat(), start + MS);
    feed(&mut session, &[&frame[20..], &frame[..]].concat(), start + 2 * MS);
    feed(&mut session, &frame, start + 3 * MS);
    let mut ages = Vec::new();
    while let Some(Next::Frame(_, came)) = session.next_frame(idle(), &config()) {
        ages.push((came - start).as_millis());
    }
    assert_eq!(ages, [1, 2, 2, 3]);
    feed(&mut session, &frame, start + 9 * MS);
    let Some(Next::Frame(_, came)) = session.next_frame(idle(), &config()) else { panic!("a frame") };
    assert_eq!(came, start + 9 * MS);
}

#[test]
fn bytes_that_come_one_by_one_are_not_noted_one_by_one() {
    let (mut session, start) = session();
    let bytes = frame().repeat(20);
    let came = |byte: usize| start + Duration::from_micros(10) * u32::try_from(byte).expect("few");
    for (place, byte) in bytes.iter().enumerate() {
        feed(&mut session, &[*byte], came(place));
    }
    assert!(session.arrivals.more.len() <= bytes.len() / 100, "{} notes", session.arrivals.more.len());
    let mut end = 0;
    while let Some(Next::Frame(_, at)) = session.next_frame(idle(), &config()) {
        end += bytes.len() / 20;
        assert!(came(end - 1).saturating_duration_since(at) < GRAIN, "the frame that ends at byte {end}");
    }
    assert_eq!(end, bytes.len());
}

#[test]
fn what_is_on_hand_stops_reading_and_beginning() {
    let (mut session, now) = session();
    feed(&mut session, &frame(), now);
    for load in [
        Load { waiting: 100, ..idle() },
        Load { running: 2, ..idle() },
        Load { held: true, running: 1, ..idle() },
    ] {
        assert!(!session.may_read(load, &config(), now), "{load:?}");
        assert!(session.next_frame(load, &config()).is_none(), "{load:?}");
        let late = due(&mut session, load, now).filter(|(_, due)| *due == Due::FrameLate);
        assert!(late.is_none(), "a frame that waits for the server is not late: {load:?}");
    }
    let some = Load { waiting: 99, running: 1, ..idle() };
    assert!(session.may_read(some, &config(), now));
    assert!(session.next_frame(some, &config()).is_some());
}

#[test]
fn a_frame_that_began_is_awaited_from_its_beginning() {
    let (mut session, start) = session();
    let frame = frame();
    feed(&mut session, &frame[..9], start);
    let late = Some((start + config().frame_timeout, Due::FrameLate));
    assert_eq!(due(&mut session, idle(), start), late);
    feed(&mut session, &frame[9..12], start + MS);
    session.moved(start + MS);
    assert_eq!(due(&mut session, idle(), start + MS), late, "a trickle does not put it off");
    feed(&mut session, &frame[12..], start + 2 * MS);
    assert!(session.next_frame(idle(), &config()).is_some());
    let idle_at = start + MS + config().idle_timeout;
    assert_eq!(due(&mut session, idle(), start + 2 * MS), Some((idle_at, Due::Idle)));
}

#[test]
fn a_peer_that_takes_nothing_is_due_and_one_that_takes_little_is_not() {
    let (mut session, start) = session();
    let load = Load { waiting: 9, running: 1, ..idle() };
    let stalled = |since: Instant| Some((since + config().stall_timeout, Due::Stalled));
    assert_eq!(due(&mut session, load, start), stalled(start));
    session.moved(start + MS);
    assert_eq!(due(&mut session, load, start + MS), stalled(start), "asking on is no sign of life");
    session.taken(start + 2 * MS);
    assert_eq!(due(&mut session, load, start + 2 * MS), stalled(start + 2 * MS));
    assert_eq!(due(&mut session, Load { running: 1, ..idle() }, start), None, "a call may take its time");
}

#[test]
fn a_draining_session_reads_on_for_a_while_and_is_over_when_idle() {
    let (mut session, start) = session();
    feed(&mut session, &frame(), start);
    assert!(matches!(session.next_frame(idle(), &config()), Some(Next::Frame(..))));
    session.drain(&config(), start);
    let linger = start + config().drain_linger;
    assert!(session.may_read(idle(), &config(), start) && session.over(idle(), start).is_none());
    assert_eq!(due(&mut session, idle(), start), Some((linger, Due::Drained)));
    assert!(!session.may_read(idle(), &config(), linger));
    for load in [Load { running: 1, ..idle() }, Load { waiting: 1, ..idle() }, Load { held: true, ..idle() }]
    {
        assert_eq!(session.over(load, linger), None);
    }
    assert_eq!(session.over(idle(), linger), Some(Leave::SayingSo));
}

/// It can be told of nothing, and a reset would lose what it is about to ask.
#[test]
fn a_client_that_has_just_connected_may_ask_while_the_server_drains() {
    let (mut session, start) = session();
    session.drain(&config(), start);
    let linger = start + config().drain_linger;
    assert!(session.may_read(idle(), &config(), linger) && session.over(idle(), linger).is_none());
    assert_eq!(due(&mut session, idle(), start), Some((start + FIRST, Due::Drained)));
    feed(&mut session, &frame(), linger);
    assert!(matches!(session.next_frame(idle(), &config()), Some(Next::Frame(..))));
    let (mut session, start) = self::session();
    session.drain(&config(), start + FIRST);
    assert_eq!(session.over(idle(), start + FIRST), None, "it lingers as all do");
    assert!(session.over(idle(), start + FIRST + config().drain_linger).is_some());
}

#[test]
fn a_peer_that_was_told_of_the_drain_goes_by_itself() {
    let (mut session, start) = session();
    assert!(!session.tell(start), "there is nothing to tell");
    session.drain(&config(), start);
    assert!(session.tell(start) && !session.tell(start), "once");
    let linger = start + config().drain_linger;
    assert!(session.may_read(idle(), &config(), linger), "what is on its way is taken");
    assert_eq!(session.over(idle(), linger), None);
    session.end_of_stream();
    assert_eq!(session.over(idle(), linger), Some(Leave::AtOnce));
    session.drain(&config(), linger);
    assert_eq!(session.cut(), Leave::AtOnce, "one that ended does not begin to drain");
}

#[test]
fn one_that_was_told_and_stays_is_left_so_that_it_loses_no_answer() {
    let (mut session, start) = session();
    session.drain(&config(), start);
    assert!(session.tell(start));
    assert_eq!(session.over(idle(), start + TOLD), Some(Leave::AfterLastWord));
}

/// Asked while a call runs whose caller waits, or while an answer waits for its
/// peer: what that peer sends later does not say that it has read all.
#[test]
fn one_that_asks_ahead_is_not_reset_while_its_answers_may_be_unread() {
    for (load, leave) in [
        (idle(), Leave::SayingSo),
        (Load { running: 1, ..idle() }, Leave::SayingSo),
        (Load { running: 1, awaited: 1, ..idle() }, Leave::AfterLastWord),
        (Load { waiting: 1, ..idle() }, Leave::AfterLastWord),
    ] {
        let (mut session, now) = session();
        feed(&mut session, &frame(), now);
        assert!(matches!(session.next_frame(load, &config()), Some(Next::Frame(..))));
        session.drain(&config(), now);
        assert_eq!(session.over(idle(), now + config().drain_linger), Some(leave), "{load:?}");
    }
    let (mut session, now) = session();
    feed(&mut session, &[&frame()[..], &2000u32.to_be_bytes()].concat(), now);
    assert!(matches!(session.next_frame(idle(), &config()), Some(Next::Frame(..))));
    let load = Load { running: 1, awaited: 1, ..idle() };
    assert!(matches!(session.next_frame(load, &config()), Some(Next::Refused(_))));
    assert_eq!(session.over(idle(), now), Some(Leave::AfterLastWord), "its first call was answered");
}

#[test]
fn a_frame_over_the_limit_ends_at_once_and_one_under_it_after_its_answer() {
    for (length, leave) in [(2000u32, Leave::AtOnce), (3, Leave::AfterLastWord)] {
        let (mut session, now) = session();
        feed(&mut session, &length.to_be_bytes(), now);
        assert!(matches!(session.next_frame(idle(), &config()), Some(Next::Refused(_))));
        assert!(!session.may_read(idle(), &config(), now));
        assert!(session.next_frame(idle(), &config()).is_none());
        assert_eq!(session.over(Load { running: 1, ..idle() }, now), None, "what runs is answered");
        assert_eq!(session.over(idle(), now), Some(leave));
    }
}

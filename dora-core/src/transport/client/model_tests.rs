//! A channel, its tasks, those who call through it and the servers at its far ends, in any
//! order: all but the server and the clock is what runs elsewhere.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use prost_types::Timestamp;
use shuttle::future::{block_on, spawn, yield_now};
use shuttle::rand::Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::runtime::{Builder, Runtime};
use tower::Service;

use super::channel::Channel;
use super::endpoint::Endpoint;
use super::link::Link;
use crate::call::body::Body;
use crate::call::capabilities::Capabilities;
use crate::call::deadline::Deadline;
use crate::call::dora_code;
use crate::call::request::Request;
use crate::call::response::{Reply, Response};
use crate::call::status::Status;
use crate::guid::Guid;
use crate::pack::detect::detect;
use crate::pack::envelope::{decode_request, encode_response};
use crate::pack::limits::Limits;
use crate::pack::message::open;
use crate::pack::packet::{Calls, ResponseData, ResponsePacket};
use crate::pack::value::Value;
use crate::sync::explore::explore;
use crate::wire::decoder::Decoder;
use crate::wire::encoder::Encoder;
use crate::wire::notice::Notice;

const MAX: usize = 1 << 16;
const CAN: Capabilities = Capabilities::PROTOBUF.with(Capabilities::NOTICES);

/// What has happened in all runs of a check: one in which nothing did would hold too.
#[derive(Default)]
struct Seen {
    answered: AtomicUsize,
    cancelled: AtomicUsize,
    lost: AtomicUsize,
    unsent: AtomicUsize,
    expired: AtomicUsize,
    drained: AtomicUsize,
}

fn count(counter: &AtomicUsize) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[track_caller]
fn each(counters: &[&AtomicUsize]) {
    if std::env::var("SCHEDULE").is_ok() {
        return;
    }
    for (place, counter) in counters.iter().enumerate() {
        assert!(counter.load(Ordering::Relaxed) > 0, "{place}: it never happened");
    }
}

/// What servers do beside answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// One of them closes a connection, or says that it drains.
    Leaving,
    /// They keep answers to themselves, and close whenever they like.
    Failing,
}

/// What the far ends know.
#[derive(Debug)]
struct Far {
    manner: Manner,
    /// The calls that came, and how often.
    came: BTreeMap<i64, usize>,
    /// Whether one has left already.
    left: bool,
}

type SharedFar = Arc<Mutex<Far>>;

fn far(far: &SharedFar) -> MutexGuard<'_, Far> {
    far.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether it happens, with these odds; as the schedule says, so that it does again.
fn happens(one_in: u32) -> bool {
    shuttle::rand::thread_rng().gen_range(0..one_in) == 0
}

/// A server's end of a connection: it reads to the end, unless it leaves.
async fn serve(mut stream: DuplexStream, known: SharedFar, seen: &'static Seen) {
    let (decoder, mut bytes) = (Decoder::new(MAX, None), BytesMut::new());
    let mut answered = false;
    while stream.read_buf(&mut bytes).await.is_ok_and(|count| count > 0) {
        while let Some(frame) = decoder.decode(&mut bytes).expect("a frame") {
            let guid = frame.guid.expect("of the newest generation");
            if Notice::of(&guid).is_some() {
                continue;
            }
            let (id, answer) = answer(guid, frame.body);
            *far(&known).came.entry(id).or_default() += 1;
            let manner = far(&known).manner;
            let silent = id == HOPELESS || manner == Manner::Failing && happens(3);
            let mut out = Vec::new();
            if !silent {
                out.extend_from_slice(&answer);
            }
            if !silent && happens(4) {
                out.extend_from_slice(&answer);
            }
            let leaves = match manner {
                // Before it was heard a client would wait a while before it tries again.
                Manner::Leaving => answered && !std::mem::replace(&mut far(&known).left, true),
                Manner::Failing => happens(6),
            };
            let drains = leaves && happens(2);
            if drains {
                count(&seen.drained);
                framed(Notice::Drain.guid(), b"", &mut out);
            }
            if happens(2) {
                yield_now().await;
            }
            answered |= stream.write_all(&out).await.is_ok();
            if leaves && !drains {
                return;
            }
        }
    }
}

/// Which call a request is, and the frame of its answer, which says the same.
fn answer(guid: Guid, body: bytes::Bytes) -> (i64, Vec<u8>) {
    let packer = detect(&body).expect("packed");
    let packet = decode_request(packer, body, &Limits::default()).expect("a request");
    let Calls::One(call) = packet.calls else { panic!("one call") };
    let typed = call.name.as_str() == TYPED;
    let (id, result) = match typed {
        true => {
            let result = open::<Timestamp>(call.param).expect("a message");
            (result.seconds, Body::message(result))
        }
        false => {
            let result = open::<i64>(call.param).expect("a number");
            (result, Body::message(Value::from(result)))
        }
    };
    let packet = ResponsePacket {
        guid: Some(guid),
        code: dora_code::OK,
        message: "OK".into(),
        is_result: false,
        data: ResponseData::One(Ok(Response::new(result))),
        can: packet.can.map(|_| CAN),
    };
    let (mut body, mut out) = (Vec::new(), Vec::new());
    encode_response(packer, &packet, &mut body);
    framed(guid, &body, &mut out);
    (id, out)
}

fn framed(guid: Guid, body: &[u8], out: &mut Vec<u8>) {
    let encoder = Encoder::new(MAX, None);
    let frame = encoder.begin(Default::default(), &guid, out);
    out.extend_from_slice(body);
    encoder.finish(&frame, out).expect("small");
}

/// Packed before its place is open, once the server is known.
const TYPED: &str = "/t/typed";
/// Packed behind its guid.
const DYNAMIC: &str = "/t/dynamic";

/// The call that no server answers, and whose caller does not wait.
const HOPELESS: i64 = 5;

fn request(id: i64, timeout: Duration) -> Request {
    let (method, body) = match id % 2 == 0 {
        true => (TYPED, Body::message(Timestamp { seconds: id, nanos: 0 })),
        false => (DYNAMIC, Body::message(Value::from(id))),
    };
    let mut request = Request::new(body);
    request.head_mut().set_method(method);
    request.head_mut().set_deadline(Some(Deadline::after(timeout)));
    request
}

/// How a call ended: once, as its future gives one result.
enum Outcome {
    Cancelled,
    Ended(Result<i64, Status>),
}

async fn call(mut channel: Channel, id: i64, timeout: Duration) -> Outcome {
    poll_fn(|cx| channel.poll_ready(cx)).await.expect("never fails");
    let mut call = Box::pin(channel.call(request(id, timeout)));
    // How often it is looked at before its caller gives it up.
    let mut patience = match id {
        HOPELESS => 1,
        _ if happens(3) => 1 + usize::from(happens(2)),
        _ => usize::MAX,
    };
    let result = poll_fn(|cx| match call.as_mut().poll(cx) {
        Poll::Pending => {
            patience = patience.saturating_sub(1);
            if patience == 0 { Poll::Ready(None) } else { Poll::Pending }
        }
        ready => ready.map(Some),
    });
    match result.await {
        None if id != HOPELESS && happens(3) => {
            // Somebody else goes on to wait for it, in a task of its own.
            let result = spawn(call).await.expect("no panic");
            Outcome::Ended(result.map(|response| id_of(response, id)))
        }
        None => {
            // Whatever comes now comes to nobody.
            if happens(2) {
                yield_now().await;
            }
            Outcome::Cancelled
        }
        Some(result) => Outcome::Ended(result.map(|response| id_of(response, id))),
    }
}

fn id_of(response: Response, id: i64) -> i64 {
    let Reply::Result(body) = response.into_body() else { panic!("a result") };
    match id % 2 == 0 {
        true => open::<Timestamp>(body).expect("a message").seconds,
        false => open::<i64>(body).expect("a number"),
    }
}

/// A channel, and what its connections lead to.
struct World {
    channel: Channel,
    link: Weak<Link>,
    far: SharedFar,
}

impl World {
    fn new(manner: Manner, seen: &'static Seen) -> Self {
        fastrand::seed(7);
        let known: SharedFar = Arc::new(Mutex::new(Far { manner, came: BTreeMap::new(), left: false }));
        let far = Arc::clone(&known);
        let endpoint = Endpoint::new("far:1").expect("an address").max_packet(MAX);
        let endpoint = endpoint.connect_with(move |_| {
            let (near, stream) = duplex(MAX);
            // Not waited for here: a run is over when all servers have ended, which they do
            // when the client's connection has.
            std::mem::forget(spawn(serve(stream, Arc::clone(&known), seen)));
            async move { Ok(near) }
        });
        let channel = Channel::new(endpoint);
        let link = Arc::downgrade(&channel.handle.link);
        Self { channel, link, far }
    }

    /// Makes calls from so many tasks, one after the other in each, and looks at how they
    /// ended when all have.
    fn calls(self, callers: i64, timeout: Duration, seen: &'static Seen) {
        let tasks: Vec<_> = (0..callers)
            .map(|caller| {
                let (channel, known) = (self.channel.clone(), Arc::clone(&self.far));
                spawn(async move {
                    for id in [2 * caller, 2 * caller + 1] {
                        let outcome = call(channel.clone(), id, timeout).await;
                        check(id, outcome, &known, seen);
                    }
                })
            })
            .collect();
        tasks.into_iter().for_each(|task| block_on(task).expect("no panic"));
        let link = &self.channel.handle.link;
        assert_eq!(link.in_flight(), 0);
        let core = link.core();
        assert!(core.current.table.is_unused(), "a place leaks");
        assert!(core.former.iter().all(|lane| lane.table.is_unused()), "a place leaks");
    }
}

fn check(id: i64, outcome: Outcome, known: &SharedFar, seen: &Seen) {
    let (came, manner, left) = {
        let far = far(known);
        (far.came.get(&id).copied().unwrap_or(0), far.manner, far.left)
    };
    match outcome {
        Outcome::Cancelled => count(&seen.cancelled),
        Outcome::Ended(Ok(answered)) => {
            assert_eq!(answered, id, "another call's answer");
            count(&seen.answered);
        }
        Outcome::Ended(Err(status)) => {
            if status.is_unsent() {
                assert_eq!(came, 0, "it came, and was called unsent: {status}");
                count(&seen.unsent);
            }
            match status.raw_code() {
                _ if status.message().contains("lost") => count(&seen.lost),
                _ if status.message().contains("deadline") => count(&seen.expired),
                _ => {}
            }
            assert!(manner == Manner::Failing || left, "nobody failed it: {status}");
        }
    }
    assert!(came <= 1, "it was sent {came} times");
}

/// Time, which stands still unless it is advanced. It is not dropped: what a check that
/// failed leaves behind would be woken.
fn clock() -> Runtime {
    let clock = Builder::new_current_thread().enable_time().start_paused(true).build();
    clock.expect("a clock needs nothing")
}

/// Nothing here waits for time to pass: what is not woken hangs, and is found.
#[test]
fn calls_end_once_each_whatever_comes_first_and_nothing_is_left_asleep() {
    static SEEN: LazyLock<Seen> = LazyLock::new(Seen::default);
    static TIME: LazyLock<Runtime> = LazyLock::new(clock);
    let _entered = TIME.enter();
    explore(2_000, || World::new(Manner::Leaving, &SEEN).calls(3, Duration::from_secs(1), &SEEN));
    each(&[&SEEN.answered, &SEEN.cancelled, &SEEN.lost, &SEEN.drained]);
}

/// Time passes as well, and servers say nothing, or leave with what they were asked.
#[test]
fn calls_end_once_each_whatever_fails_and_no_place_leaks() {
    static SEEN: LazyLock<Seen> = LazyLock::new(Seen::default);
    static TIME: LazyLock<Runtime> = LazyLock::new(clock);
    let _entered = TIME.enter();
    explore(2_000, || {
        let world = World::new(Manner::Failing, &SEEN);
        let link = world.link.clone();
        let clock = shuttle::thread::spawn(move || {
            // Until the last task of the channel has gone.
            while link.strong_count() > 0 {
                TIME.block_on(tokio::time::advance(Duration::from_millis(10)));
                shuttle::thread::yield_now();
            }
        });
        world.calls(3, Duration::from_millis(300), &SEEN);
        clock.join().expect("no panic");
    });
    each(&[&SEEN.answered, &SEEN.cancelled, &SEEN.lost, &SEEN.unsent, &SEEN.expired, &SEEN.drained]);
}

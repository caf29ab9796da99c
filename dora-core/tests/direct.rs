//! A server to which the user added no layer calls its methods directly. Whatever comes
//! is answered, byte for byte, as by one whose calls go through a layer that does nothing.

use std::future::pending;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use dora_core::call::BoxFuture;
use dora_core::call::batch::CallKey;
use dora_core::call::body::Body;
use dora_core::call::capabilities::Capabilities;
use dora_core::call::code::Code;
use dora_core::call::method::{Method, ServiceDescriptor};
use dora_core::call::mode::{Mode, PacketKind};
use dora_core::call::mount::Mount;
use dora_core::call::packed::{PackError, PackMessage, Packed};
use dora_core::call::packer::Packer;
use dora_core::call::request::Request;
use dora_core::call::response::Response;
use dora_core::call::slot::BoxSlot;
use dora_core::call::status::Status;
use dora_core::generation::Generation;
use dora_core::guid::Guid;
use dora_core::pack::envelope::{Shape, decode_response, encode_request};
use dora_core::pack::limits::Limits;
use dora_core::pack::message::Message;
use dora_core::pack::packet::{Call, Calls, RequestPacket, ResponseData};
use dora_core::server::Server;
use dora_core::stub::serve::{call_in, slot, unknown_method};
use dora_core::transport::client::endpoint::Endpoint;
use dora_core::transport::server::incoming::Incoming;
use dora_core::wire::decoder::Decoder;
use dora_core::wire::encoder::Encoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::TcpListener;
use tower::layer::layer_fn;

static WORK: ServiceDescriptor = ServiceDescriptor::new("t.Work", &[&DO, &PACK]).with_interface("App\\Work");
static DO: Method = Method::new(&WORK, "Do", "/t.Work/Do").with_aliases(&["/work/do"]).with_idempotent();
static PACK: Method = Method::new(&WORK, "Pack", "/t.Work/Pack");

/// Longer packets are not answered with.
const MAX_PACKET: usize = 4000;

/// Counts the calls that ran and what was dropped of them.
#[derive(Default)]
struct Work {
    ran: AtomicUsize,
    dropped: AtomicUsize,
    /// How a call that it made itself has failed.
    failure: OnceLock<Status>,
}

/// What a handler has while it runs.
struct Held<'a> {
    work: &'a Work,
    panics: bool,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.work.dropped.fetch_add(1, Ordering::SeqCst);
        assert!(!self.panics, "dropped");
    }
}

impl Work {
    async fn run(&self, request: Request<String>) -> Result<Response<String>, Status> {
        self.ran.fetch_add(1, Ordering::SeqCst);
        let mut held = Held { work: self, panics: false };
        match &**request.body() {
            "head" => return Ok(head(&request).into()),
            "fail" => return Err(Status::not_found("not here").with_details(vec![1, 2, 3])),
            "pass on" => return Err(Status::unavailable("nobody there").unsent()),
            "call on" => return Err(self.failure.get().expect("there was one").clone()),
            "panic" => panic!("at once"),
            "yield" => tokio::task::yield_now().await,
            "sleep" => tokio::time::sleep(Duration::from_millis(20)).await,
            "panic later" => {
                tokio::task::yield_now().await;
                panic!("later");
            }
            "compute" => std::thread::sleep(Duration::from_millis(30)),
            "hang" => pending().await,
            "hang with a bomb" => {
                held.panics = true;
                pending().await
            }
            "long" => return Ok("x".repeat(MAX_PACKET).into()),
            "metadata" => {
                let mut response = Response::new("with metadata".to_owned());
                response.metadata_mut().insert("cache", "hit");
                return Ok(response);
            }
            _ => {}
        }
        Ok(request.into_body().into())
    }
}

/// All that a handler sees of its call.
fn head(request: &Request<String>) -> String {
    let head = request.head();
    let origin = head.origin().expect("over a connection");
    let packet = origin.packet().expect("in a packet");
    let names = (head.method(), head.called_as(), head.descriptor());
    let deadline = head.deadline().expect("there always is one").remaining(tokio::time::Instant::now());
    assert!(deadline <= Duration::from_secs(60), "{deadline:?}");
    format!(
        "{names:?} {:?} {} {:?} {} {} {:?} {:?} {}",
        head.mode(),
        head.is_idempotent(),
        head.metadata(),
        head.peer(),
        origin.door(),
        packet.guid,
        packet.kind,
        head.batch().is_some(),
    )
}

/// A message that cannot be packed, in one way or another.
#[derive(Clone)]
struct Odd(String);

impl PackMessage for Odd {
    fn pack(&self, packer: Packer, out: &mut Vec<u8>) -> Result<(), PackError> {
        out.extend_from_slice(b"half of it");
        match &*self.0 {
            "panic" => panic!("while packing"),
            _ => Err(PackError::new(packer, "it is odd")),
        }
    }

    fn packed_len(&self, _: Packer) -> usize {
        match &*self.0 {
            "panic in length" => panic!("while measuring"),
            _ => 100,
        }
    }
}

impl Message for Odd {
    fn unpack(packed: Packed) -> Result<Self, Status> {
        String::unpack(packed).map(Self)
    }
}

#[derive(Clone, Default)]
struct Mounted(Arc<Work>);

impl Mount for Mounted {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        &WORK
    }

    fn call(&self, index: usize, request: Request) -> BoxFuture<Response> {
        match self.slot(index) {
            Some(slot) => call_in(slot, request),
            None => unknown_method(index, request),
        }
    }

    fn slot(&self, index: usize) -> Option<BoxSlot> {
        let work = Arc::clone(&self.0);
        match index {
            0 => Some(slot(move |request| async move { work.run(request).await })),
            1 => Some(slot(move |request: Request<Odd>| async move { Ok(request.into_body().into()) })),
            _ => None,
        }
    }
}

fn builder(work: &Mounted) -> Server {
    Server::builder().add_service(work.clone()).max_packet(MAX_PACKET).call_timeout(Duration::from_secs(60))
}

/// A connection to a server that calls directly, and one to another that does not.
struct Both([DuplexStream; 2]);

impl Both {
    fn new(work: &Mounted) -> Self {
        let (direct, far) = duplex(1 << 20);
        let server = builder(work).connections().expect("one name");
        tokio::spawn(async move { server.serve(Incoming::new(far)).await });
        let (layered, far) = duplex(1 << 20);
        let server = builder(work).layer(layer_fn(|service| service)).connections().expect("one name");
        tokio::spawn(async move { server.serve(Incoming::new(far)).await });
        Self([direct, layered])
    }

    async fn send(&mut self, bytes: &[u8]) {
        for stream in &mut self.0 {
            stream.write_all(bytes).await.expect("served");
        }
    }

    /// The next frame that both answer with.
    async fn answer(&mut self, what: &str) -> Vec<u8> {
        let [direct, layered] = &mut self.0;
        let (direct, layered) = (read(direct).await, read(layered).await);
        assert_eq!(direct.escape_ascii().to_string(), layered.escape_ascii().to_string(), "{what}");
        direct
    }

    async fn ask(&mut self, packer: Packer, packet: &RequestPacket, what: &str) -> Vec<u8> {
        self.send(&frame(packer, packet, 7)).await;
        self.answer(what).await
    }

    /// How a call of `method` with `param` ends.
    async fn call(&mut self, method: &str, param: &str) -> Result<String, Status> {
        let answer = self.ask(Packer::Protobuf, &packet(method, param), param).await;
        one(&answer)
    }
}

async fn read(stream: &mut DuplexStream) -> Vec<u8> {
    let mut frame = vec![0; 4];
    stream.read_exact(&mut frame).await.expect("answered");
    let len = u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]) as usize;
    frame.resize(4 + len, 0);
    stream.read_exact(&mut frame[4..]).await.expect("the whole of it");
    frame
}

fn frame(packer: Packer, packet: &RequestPacket, guid: u128) -> Vec<u8> {
    let (encoder, mut out) = (Encoder::new(1 << 20, None), Vec::new());
    let frame = encoder.begin(Generation::Guid, &Guid::from_u128(guid), &mut out);
    encode_request(packer, packet, &mut out).expect("packs");
    encoder.finish(&frame, &mut out).expect("small");
    out
}

fn packet(method: &str, param: &str) -> RequestPacket {
    RequestPacket {
        calls: Calls::One(Call::new(method.to_owned(), Body::message(param.to_owned()))),
        ..RequestPacket::default()
    }
}

/// How the one call of an answer ended.
fn one(answer: &[u8]) -> Result<String, Status> {
    let frame = Decoder::new(1 << 20, None).decode(&mut BytesMut::from(answer));
    let body = frame.expect("a frame").expect("a whole one").body;
    let answer = decode_response(body, Shape::One, &Limits::default()).expect("an answer");
    let ResponseData::One(result) = answer.data else { panic!("one result: {answer:?}") };
    let Body::Packed(packed) = result?.into_body() else { panic!("packed") };
    String::unpack(packed)
}

#[tokio::test]
async fn calls_end_as_through_a_layer() {
    let work = Mounted::default();
    let mut both = Both::new(&work);
    let mut count = 0;
    for param in ["echo", "", "metadata", "yield", "sleep", "head"] {
        both.call(DO.path(), param).await.unwrap_or_else(|status| panic!("{param}: {status}"));
        count += 2;
    }
    let failures = [
        ("fail", Code::NotFound, "not here"),
        ("panic", Code::Internal, "the handler panicked"),
        ("panic later", Code::Internal, "the handler panicked"),
        ("long", Code::ResourceExhausted, "the answer"),
        ("pass on", Code::Unavailable, "nobody there"),
    ];
    for (param, code, message) in failures {
        let status = both.call(DO.path(), param).await.expect_err(param);
        assert_eq!(status.code(), code, "{param}: {status}");
        assert!(status.message().contains(message), "{param}: {status}");
        assert_eq!(both.call(DO.path(), "next").await.expect("the next one is well"), "next");
        count += 4;
    }
    assert_eq!(work.0.ran.load(Ordering::SeqCst), count, "each ran once on each server");
    assert_eq!(work.0.dropped.load(Ordering::SeqCst), count);
}

#[tokio::test]
async fn callers_are_not_told_which_servers_a_server_calls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let closed = listener.local_addr().expect("bound").to_string();
    drop(listener);
    let inner = Endpoint::new(&*closed).expect("an address").connect_lazy().expect("settings");
    let failure = inner.dynamic().call("/inner", 1).await.expect_err("nobody listens");
    assert!(failure.message().contains(&closed), "{failure}");
    let work = Mounted::default();
    work.0.failure.set(failure).expect("once");
    let status = Both::new(&work).call(DO.path(), "call on").await.expect_err("the inner call fails");
    assert_eq!(status.message(), "a server that this one calls cannot be reached");
}

#[tokio::test]
async fn a_method_is_called_by_each_of_its_names() {
    let mut both = Both::new(&Mounted::default());
    // More than are kept, and some of them again.
    let others = (0..20).map(|n| format!("/t.Work/Other{n}"));
    let names = ["/t.Work/Do", "/work/do", "1.0::App\\Work::do"].map(str::to_owned);
    for name in names.iter().chain(&names).cloned().chain(others).chain(names.iter().cloned()) {
        match both.call(&name, "head").await {
            Ok(head) => assert!(head.contains(&name.replace('\\', "\\\\")), "{head}"),
            Err(status) => {
                assert_eq!(status.code(), Code::Unimplemented);
                assert!(name.contains("Other"), "{name}: {status}");
            }
        }
    }
    let long = "/".repeat(3000);
    for _ in 0..2 {
        assert_eq!(both.call(&long, "x").await.expect_err("no method").code(), Code::Unimplemented);
    }
}

#[tokio::test]
async fn messages_that_are_none_or_cannot_be_packed_are_errors_of_their_calls() {
    let mut both = Both::new(&Mounted::default());
    for param in ["panic", "panic in length", "fail"] {
        let status = both.call(PACK.path(), param).await.expect_err(param);
        assert_eq!(status.code(), Code::Internal, "{param}: {status}");
    }
    let call = Call::new(DO.path(), Body::packed(Packer::Protobuf, vec![0xff].into()));
    let no_message = RequestPacket { calls: Calls::One(call), ..RequestPacket::default() };
    let answer = both.ask(Packer::Protobuf, &no_message, "no message").await;
    assert_eq!(one(&answer).expect_err("no message").code(), Code::InvalidArgument);
}

#[tokio::test]
async fn what_is_not_plain_is_answered_too() {
    let mut both = Both::new(&Mounted::default());
    for packer in [Packer::Php, Packer::Json, Packer::Protobuf] {
        let mut said = packet(DO.path(), "head");
        both.ask(packer, &said, "plain").await;
        said.metadata.insert("tenant", "acme");
        both.ask(packer, &said, "metadata").await;
        said.can = Some(Capabilities::NONE);
        both.ask(packer, &said, "capabilities").await;
        let calls = ["head", "fail", "panic", "yield"]
            .into_iter()
            .zip(0..)
            .map(|(param, key)| (CallKey::Int(key), Call::new(DO.path(), Body::message(param.to_owned()))));
        let batch = RequestPacket {
            kind: PacketKind::calls(Mode::Wait, true),
            calls: Calls::Many(calls.collect()),
            ..RequestPacket::default()
        };
        let answer = both.ask(packer, &batch, "a batch").await;
        assert!(answer.len() > 200, "{}", answer.escape_ascii());
        for mode in [Mode::NoResult, Mode::Deferred] {
            let call = RequestPacket { kind: PacketKind::calls(mode, false), ..packet(DO.path(), "yield") };
            both.ask(packer, &call, "acknowledged").await;
            if mode == Mode::Deferred {
                both.answer("the result").await;
            }
        }
    }
}

#[tokio::test]
async fn calls_that_wait_do_not_keep_each_other() {
    let mut both = Both::new(&Mounted::default());
    let mut frames = Vec::new();
    for guid in 0..50 {
        let param = ["sleep", "yield", "echo", "hang"][guid as usize % 4];
        let mut asked = packet(DO.path(), param);
        asked.timeout = Some(Duration::from_secs(if param == "hang" { 1 } else { 30 }));
        frames.extend(frame(Packer::Protobuf, &asked, guid));
    }
    both.send(&frames).await;
    for stream in &mut both.0 {
        let mut ended = [0; 2];
        for _ in 0..50 {
            match one(&read(stream).await) {
                Ok(_) => ended[0] += 1,
                Err(status) => {
                    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
                    ended[1] += 1;
                }
            }
        }
        assert_eq!(ended, [38, 12]);
    }
}

#[tokio::test]
async fn deadlines_end_calls_that_go_on_and_keep_expired_ones_from_beginning() {
    let work = Mounted::default();
    let mut both = Both::new(&work);
    for param in ["hang", "hang with a bomb"] {
        let asked = RequestPacket { timeout: Some(Duration::from_millis(30)), ..packet(DO.path(), param) };
        let answer = both.ask(Packer::Protobuf, &asked, param).await;
        let status = one(&answer).expect_err("it hangs");
        assert_eq!(status.code(), Code::DeadlineExceeded);
        assert_eq!(status.message(), "the call did not end before its deadline");
    }
    assert_eq!(work.0.dropped.load(Ordering::SeqCst), 4, "what hung was given up");
    let mut frames = frame(Packer::Protobuf, &packet(DO.path(), "compute"), 1);
    let expired = RequestPacket { timeout: Some(Duration::from_millis(1)), ..packet(DO.path(), "echo") };
    frames.extend(frame(Packer::Protobuf, &expired, 2));
    both.send(&frames).await;
    assert_eq!(one(&both.answer("compute").await).expect("it ends"), "compute");
    let status = one(&both.answer("expired").await).expect_err("it was too late");
    assert_eq!(status.message(), "the deadline passed before the call began");
    assert_eq!(work.0.ran.load(Ordering::SeqCst), 6, "it did not begin");
    assert_eq!(both.call(DO.path(), "next").await.expect("the next one is well"), "next");
}

/// Ends when it is dropped.
struct Never(Arc<AtomicUsize>);

impl Future for Never {
    type Output = Result<Response<String>, Status>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Pending
    }
}

impl Drop for Never {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_call_that_stood_in_a_slot_is_given_up_for_the_next() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let never = Arc::clone(&dropped);
    let mut slot = slot(move |_: Request<String>| Never(never));
    let request = || Request::new(Body::message("x".to_owned()));
    let mut cx = Context::from_waker(std::task::Waker::noop());
    for round in 0..3 {
        slot.as_mut().put(request());
        assert!(slot.as_mut().poll(&mut cx).is_pending());
        assert_eq!(dropped.load(Ordering::SeqCst), round);
    }
    drop(slot);
    assert_eq!(dropped.load(Ordering::SeqCst), 3);
}

//! A server in this process, a peer made by hand, and a handler that waits.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dora_core::call::body::Body;
use dora_core::call::mode::{Mode, PacketKind};
use dora_core::call::packer::Packer;
use dora_core::call::request::Request;
use dora_core::call::status::Status;
use dora_core::generation::Generation;
use dora_core::guid::Guid;
use dora_core::middleware::route::Router;
use dora_core::middleware::serves::Serves;
use dora_core::pack::compress;
use dora_core::pack::envelope::{Shape, decode_response, encode_request};
use dora_core::pack::limits::Limits;
use dora_core::pack::packet::{Call, CallResult, Calls, RequestPacket, ResponseData, ResponsePacket};
use dora_core::pack::value::Value;
use dora_core::server::Server;
use dora_core::transport::client::channel::Channel;
use dora_core::transport::client::endpoint::Endpoint;
use dora_core::transport::server::stats::{Snapshot, Stats};
use dora_core::wire::checksum::Salt;
use dora_core::wire::encoder::Encoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;
use tower::Layer;

use crate::matrix::over;
use crate::over::{Target, listen};
use crate::wire::Wire;

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A server that is being served.
pub(crate) struct Running {
    pub(crate) target: Target,
    stats: Arc<Stats>,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
}

pub(crate) async fn serve<L, S>(server: Server<L>) -> Running
where
    L: Layer<Router, Service = S> + Send + 'static,
    S: Serves,
{
    let stats = server.stats();
    let (stop, stopped) = oneshot::channel::<()>();
    let (target, serving) = listen(over(), server, async { drop(stopped.await) }).await;
    Running { target, stats, stop: Some(stop), served: tokio::spawn(serving) }
}

impl Running {
    pub(crate) fn stats(&self) -> Snapshot {
        self.stats.snapshot()
    }

    /// The port, for tests that are about TCP.
    pub(crate) fn address(&self) -> SocketAddr {
        match &self.target {
            Target::Tcp(address) | Target::Tls(address) => *address,
            _ => panic!("this test is about TCP"),
        }
    }

    /// Begins the shutdown.
    pub(crate) fn stop(&mut self) {
        self.stop.take().expect("running").send(()).expect("served");
    }

    /// Waits for the end of the shutdown.
    pub(crate) async fn ended(self) {
        soon(self.served).await.expect("no panic");
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        self.target.endpoint().php().timeout(PATIENCE)
    }

    pub(crate) async fn channel(&self) -> Channel {
        self.endpoint().connect().await.expect("connects")
    }

    pub(crate) async fn raw(&self) -> Raw {
        Raw { stream: soon(self.target.connect()).await }
    }

    /// A call on a connection of its own is answered.
    pub(crate) async fn assert_serves(&self) {
        let mut raw = self.raw().await;
        raw.assert_usable().await;
    }
}

/// A server whose methods answer at once.
pub(crate) fn echo() -> Server {
    Server::builder().dynamic(|request: Request<Value>| async move { Ok::<_, Status>(request.into_body()) })
}

/// Ends with the future, or the test fails.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("in time")
}

/// Waits until `condition` holds.
pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let start = std::time::Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A handler that waits to be let through, and counts.
pub(crate) struct Gate {
    pub(crate) started: AtomicUsize,
    pub(crate) running: AtomicUsize,
    pub(crate) most: AtomicUsize,
    pub(crate) finished: AtomicUsize,
    open: Semaphore,
}

impl Gate {
    pub(crate) fn closed() -> Arc<Self> {
        Arc::new(Self {
            started: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            finished: AtomicUsize::new(0),
            open: Semaphore::new(0),
        })
    }

    /// Lets `calls` more calls through.
    pub(crate) fn open(&self, calls: usize) {
        self.open.add_permits(calls);
    }

    /// Lets nobody through any more.
    pub(crate) fn close(&self) {
        self.open.forget_permits(usize::MAX);
    }

    pub(crate) async fn pass(&self) {
        self.started.fetch_add(1, Ordering::SeqCst);
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        let _leaving = Leaving(self);
        self.open.acquire().await.expect("never closed").forget();
        self.finished.fetch_add(1, Ordering::SeqCst);
    }

    /// A server whose `/gate` waits, and whose other methods answer at once.
    pub(crate) fn server(self: &Arc<Self>) -> Server {
        let gate = Arc::clone(self);
        Server::builder().dynamic(move |request: Request<Value>| {
            let gate = Arc::clone(&gate);
            async move {
                if request.method().as_str() == "/gate" {
                    gate.pass().await;
                }
                Ok::<_, Status>(request.into_body())
            }
        })
    }

    pub(crate) async fn until_running(&self, calls: usize) {
        eventually("calls run", || self.running.load(Ordering::SeqCst) == calls).await;
    }

    pub(crate) async fn until_finished(&self, calls: usize) {
        eventually("calls finish", || self.finished.load(Ordering::SeqCst) == calls).await;
    }
}

/// Counts a call out, however it ended.
struct Leaving<'a>(&'a Gate);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A peer that says what it likes.
pub(crate) struct Raw {
    pub(crate) stream: Wire,
}

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self { stream: soon(Target::Tcp(address).connect()).await }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        soon(self.stream.write_all(bytes)).await.expect("sent");
        // TLS may hold some back.
        soon(self.stream.flush()).await.expect("sent");
    }

    /// The body of the next frame, and its guid.
    pub(crate) async fn frame(&mut self) -> (Guid, Bytes) {
        let len = soon(self.stream.read_u32()).await.expect("a frame") as usize;
        let mut rest = vec![0; len];
        soon(self.stream.read_exact(&mut rest)).await.expect("a whole frame");
        let body = rest.split_off(32);
        (Guid::from_bytes(&rest).expect("32 bytes"), body.into())
    }

    /// The next answer to a single call.
    pub(crate) async fn answer(&mut self) -> ResponsePacket {
        let (_, body) = self.frame().await;
        open_answer(&body, Shape::One)
    }

    /// The result of the single call that was asked last.
    pub(crate) async fn result(&mut self) -> CallResult {
        match self.answer().await {
            ResponsePacket { code: 0, data: ResponseData::One(result), .. } => result,
            other => panic!("no result: {other:?}"),
        }
    }

    /// The code and message of a packet that was refused.
    pub(crate) async fn refusal(&mut self) -> (i64, String) {
        let answer = self.answer().await;
        assert_ne!(answer.code, 0, "refused");
        (answer.code, answer.message.into_owned())
    }

    /// Waits for the end of the connection; nothing more may come before it.
    pub(crate) async fn assert_closed(&mut self) {
        let mut rest = Vec::new();
        // A reset is an end as well.
        let _ = soon(self.stream.read_to_end(&mut rest)).await;
        assert!(rest.is_empty(), "bytes came: {}", rest.escape_ascii());
    }

    /// A good call on this connection is answered.
    pub(crate) async fn assert_usable(&mut self) {
        self.assert_usable_by("/echo").await;
    }

    pub(crate) async fn assert_usable_by(&mut self, name: &str) {
        self.send(&frame(&call(name))).await;
        self.result().await.expect("answered");
    }

    /// Ends the connection so that the peer hears of it at once (RST).
    pub(crate) fn reset(self) {
        match self.stream {
            Wire::Tcp(stream) => stream.set_zero_linger().expect("a socket"),
            Wire::Other(_) => panic!("this test is about TCP"),
        }
    }
}

pub(crate) fn open_answer(body: &Bytes, shape: Shape) -> ResponsePacket {
    let body = match compress::is_gzip(body) {
        true => compress::inflate(body, 32 << 20).expect("inflates"),
        false => body.clone(),
    };
    decode_response(body, shape, &Limits::default()).expect("an answer")
}

/// A packet of one waited call.
pub(crate) fn call(name: &str) -> RequestPacket {
    packet(Mode::Wait, name)
}

pub(crate) fn packet(mode: Mode, name: &str) -> RequestPacket {
    RequestPacket {
        guid: None,
        kind: PacketKind::calls(mode, false),
        calls: Calls::One(one(name)),
        ..RequestPacket::default()
    }
}

/// A packet of `count` waited calls.
pub(crate) fn multi(mode: Mode, name: &str, count: i64) -> RequestPacket {
    let calls = (0..count).map(|key| (key.into(), one(name))).collect();
    RequestPacket {
        kind: PacketKind::calls(mode, true),
        calls: Calls::Many(calls),
        ..RequestPacket::default()
    }
}

fn one(name: &str) -> Call {
    Call::new(name.to_owned(), Body::message(Value::from("param")))
}

/// The frame of a PHP packet.
pub(crate) fn frame(packet: &RequestPacket) -> Vec<u8> {
    frame_of(&pack(packet, Packer::Php))
}

pub(crate) fn pack(packet: &RequestPacket, packer: Packer) -> Vec<u8> {
    let mut body = Vec::new();
    encode_request(packer, packet, &mut body).expect("packs");
    body
}

/// A frame around any body.
pub(crate) fn frame_of(body: &[u8]) -> Vec<u8> {
    frame_for(&Guid::random(), None, body)
}

pub(crate) fn frame_for(guid: &Guid, salt: Option<Salt>, body: &[u8]) -> Vec<u8> {
    let encoder = Encoder::new(usize::MAX, salt);
    let mut out = Vec::new();
    let frame = encoder.begin(Generation::Guid, guid, &mut out);
    out.extend_from_slice(body);
    encoder.finish(&frame, &mut out).expect("under 4 GiB");
    out
}

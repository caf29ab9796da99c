//! What a call costs each end while many are outstanding: allocations, reads and
//! writes. Each end runs alone against bytes that were made beforehand, in one
//! thread and without a socket, so that the counts are the same on every machine
//! and however busy it is.
//!
//! A count that comes over its bound is a regression, or the bound is raised in a
//! commit that says what the allocation, read or write is good for.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use dora_core::call::BoxFuture;
use dora_core::call::body::Body;
use dora_core::call::method::{Method, ServiceDescriptor};
use dora_core::call::mount::Mount;
use dora_core::call::packer::Packer;
use dora_core::call::request::Request;
use dora_core::call::response::Response;
use dora_core::call::slot::BoxSlot;
use dora_core::call::status::Status;
use dora_core::generation::Generation;
use dora_core::guid::Guid;
use dora_core::middleware::route::Router;
use dora_core::middleware::serves::Serves;
use dora_core::pack::envelope::{encode_request, encode_response};
use dora_core::pack::packet::{Call as PacketCall, Calls, RequestPacket, ResponseData, ResponsePacket};
use dora_core::server::Server;
use dora_core::stub::call::Call;
use dora_core::stub::serve::{call_in, slot};
use dora_core::transport::client::channel::Channel;
use dora_core::transport::client::endpoint::Endpoint;
use dora_core::transport::server::incoming::Incoming;
use dora_core::wire::encoder::Encoder;
use futures_util::stream;
use prost_types::Timestamp;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
use tokio::task::JoinSet;
use tower::Layer;
use tower::layer::layer_fn;

static CLOCKS: ServiceDescriptor = ServiceDescriptor::new("t.Clocks", &[&ECHO]);
static ECHO: Method = Method::new(&CLOCKS, "Echo", "/t.Clocks/Echo");

const MESSAGE: Timestamp = Timestamp { seconds: 1_234_567, nanos: 89 };

/// Calls whose costs are counted, and those before them, while buffers grow.
const ROUNDS: usize = 50;
const BEFORE: usize = 10;

/// What the calls of one end have cost, per call.
#[derive(Debug)]
struct Costs {
    allocations: f64,
    bytes: f64,
    reads: f64,
    writes: f64,
}

/// Bounds on [`Costs`].
type Bounds = Costs;

impl Costs {
    #[track_caller]
    fn assert_within(&self, bounds: &Bounds) {
        let parts = [
            ("allocations", self.allocations, bounds.allocations),
            ("bytes", self.bytes, bounds.bytes),
            ("reads", self.reads, bounds.reads),
            ("writes", self.writes, bounds.writes),
        ];
        for (what, cost, bound) in parts {
            assert!(cost <= bound, "{cost:.3} {what} per call, {bound} are allowed: {self:?}");
        }
        let measured = [self.allocations, self.bytes, self.reads, self.writes];
        assert!(measured.iter().all(|cost| *cost > 0.0), "nothing was counted: {self:?}");
    }
}

/// Reads and writes of a stream that moved bytes: on a socket each is a system call.
#[derive(Debug, Default)]
struct Moves {
    reads: AtomicUsize,
    writes: AtomicUsize,
}

struct Counted {
    stream: DuplexStream,
    moves: Arc<Moves>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.moves.reads.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write(cx, buf))?;
        self.moves.writes.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The end that is counted, and the other one.
fn pair() -> (Counted, DuplexStream, Arc<Moves>) {
    // Whatever one round sends fits in.
    let (near, far) = duplex(1 << 20);
    let moves = Arc::new(Moves::default());
    (Counted { stream: near, moves: Arc::clone(&moves) }, far, moves)
}

/// Its clock stands still: what is done after a while would be counted on slow
/// machines alone.
fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().start_paused(true).build().expect("a runtime")
}

/// Runs `round` so often that all has grown, and then counts.
fn count(
    runtime: &tokio::runtime::Runtime,
    moves: &Moves,
    calls: usize,
    round: &mut impl AsyncFnMut(),
) -> Costs {
    for _ in 0..BEFORE {
        runtime.block_on(round());
    }
    moves.reads.store(0, Ordering::Relaxed);
    moves.writes.store(0, Ordering::Relaxed);
    let allocated = allocation_counter::measure(|| {
        for _ in 0..ROUNDS {
            runtime.block_on(round());
        }
    });
    let calls = (calls * ROUNDS) as f64;
    Costs {
        allocations: allocated.count_total as f64 / calls,
        bytes: allocated.bytes_total as f64 / calls,
        reads: moves.reads.load(Ordering::Relaxed) as f64 / calls,
        writes: moves.writes.load(Ordering::Relaxed) as f64 / calls,
    }
}

fn frame(guid: Guid, body: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let (encoder, mut out) = (Encoder::new(1 << 20, None), Vec::new());
    let frame = encoder.begin(Generation::Guid, &guid, &mut out);
    body(&mut out);
    encoder.finish(&frame, &mut out).expect("small");
    out
}

struct Echo;

fn echo() -> BoxSlot {
    slot(|request: Request<Timestamp>| async { Ok(request.into_body().into()) })
}

impl Mount for Echo {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        &CLOCKS
    }

    fn call(&self, _: usize, request: Request) -> BoxFuture<Response> {
        call_in(echo(), request)
    }

    fn slot(&self, _: usize) -> Option<BoxSlot> {
        Some(echo())
    }
}

/// A server that is sent `calls` requests at once, again and again.
fn server(calls: usize) -> Costs {
    serving(calls, Server::builder())
}

/// The same, with layers or without.
fn serving<L, S>(calls: usize, server: Server<L>) -> Costs
where
    L: Layer<Router, Service = S> + 'static,
    S: Serves,
{
    let runtime = runtime();
    let (near, mut far, moves) = pair();
    let connections = runtime.block_on(async {
        let connections = server.add_service(Echo).connections().expect("one name");
        tokio::spawn(connections.serve(Incoming::new(near)));
        connections
    });
    let packet = RequestPacket {
        calls: Calls::One(PacketCall::new(ECHO.path(), Body::message(MESSAGE))),
        timeout: Some(std::time::Duration::from_secs(60)),
        ..RequestPacket::default()
    };
    let request = frame(Guid::from_u128(7), |out| {
        encode_request(Packer::Protobuf, &packet, out).expect("packs");
    });
    let requests = request.repeat(calls);
    let mut answers = vec![0; answer(Guid::from_u128(7)).len() * calls];
    let costs = count(&runtime, &moves, calls, &mut async || {
        far.write_all(&requests).await.expect("served");
        far.read_exact(&mut answers).await.expect("answered");
    });
    assert!(answers.ends_with(&answer(Guid::from_u128(7))), "it is the answer");
    runtime.block_on(connections.drain());
    costs
}

/// The answer to an echo.
fn answer(guid: Guid) -> Vec<u8> {
    let packet = ResponsePacket {
        guid: None,
        code: 0,
        message: "OK".into(),
        is_result: false,
        data: ResponseData::One(Ok(Response::new(Body::message(MESSAGE)))),
        can: None,
    };
    frame(guid, |out| encode_response(Packer::Protobuf, &packet, out))
}

/// A peer that answers every request alike: all that a read brings with one write,
/// and without taking memory.
async fn answer_all(mut stream: DuplexStream) -> io::Result<()> {
    let answer = answer(Guid::ZERO);
    let (mut input, mut output) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let mut filled = 0;
    loop {
        let count = stream.read(&mut input[filled..]).await?;
        if count == 0 {
            return Ok(());
        }
        filled += count;
        let (mut read, mut written) = (0, 0);
        while let Some(frame) = input[read..filled].first_chunk::<36>() {
            let len = u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]) as usize + 4;
            if filled - read < len {
                break;
            }
            output[written..][..answer.len()].copy_from_slice(&answer);
            output[written + 4..][..32].copy_from_slice(&frame[4..]);
            (read, written) = (read + len, written + answer.len());
        }
        input.copy_within(read..filled, 0);
        filled -= read;
        stream.write_all(&output[..written]).await?;
    }
}

/// A client of which `calls` tasks call at once, again and again.
fn client(calls: usize) -> Costs {
    let runtime = runtime();
    let (near, far, moves) = pair();
    let near = parking_lot::Mutex::new(Some(near));
    let channel = runtime.block_on(async {
        tokio::spawn(answer_all(far));
        let endpoint = Endpoint::new("peer:1").expect("an address").protobuf();
        let endpoint = endpoint.connect_with(move |_| {
            let near = near.lock().take();
            async move { near.ok_or_else(|| io::Error::other("connected once")) }
        });
        endpoint.connect().await.expect("connects")
    });
    // Tasks that live on, as a caller's do: making one is not what is counted.
    let rounds = ROUNDS + BEFORE;
    let barrier = Arc::new(tokio::sync::Barrier::new(calls + 1));
    let mut callers = JoinSet::new();
    for _ in 0..calls {
        let (channel, barrier) = (channel.clone(), Arc::clone(&barrier));
        callers.spawn_on(call_in_rounds(channel, barrier, rounds), runtime.handle());
    }
    let costs = count(&runtime, &moves, calls, &mut async || {
        barrier.wait().await;
        barrier.wait().await;
    });
    runtime.block_on(async {
        while let Some(ended) = callers.join_next().await {
            ended.expect("no panic").expect("answered");
        }
    });
    costs
}

async fn call_in_rounds(
    channel: Channel,
    barrier: Arc<tokio::sync::Barrier>,
    rounds: usize,
) -> Result<(), Status> {
    for _ in 0..rounds {
        barrier.wait().await;
        let call: Call<Channel, Timestamp, Timestamp> = Call::new(channel.clone(), &ECHO, MESSAGE);
        assert_eq!(call.await?, MESSAGE);
        barrier.wait().await;
    }
    Ok(())
}

/// Bytes that a server holds for a connection on which a call was made and nothing
/// happens any more.
fn idle() -> f64 {
    const CONNECTIONS: usize = 100;
    const PIPE: usize = 512;
    let runtime = runtime();
    let (sender, incoming) = tokio::sync::mpsc::unbounded_channel();
    let incoming = stream::unfold(incoming, async |mut incoming| Some((incoming.recv().await?, incoming)));
    let server = Server::builder().add_service(Echo);
    runtime.spawn(server.serve_incoming(Box::pin(incoming), std::future::pending()));
    let request = frame(Guid::from_u128(7), |out| {
        let calls = Calls::One(PacketCall::new(ECHO.path(), Body::message(MESSAGE)));
        let packet = RequestPacket { calls, ..RequestPacket::default() };
        encode_request(Packer::Protobuf, &packet, out).expect("packs");
    });
    let mut answer = vec![0; answer(Guid::from_u128(7)).len()];
    let mut call = async |far: &mut DuplexStream| {
        far.write_all(&request).await.expect("served");
        far.read_exact(&mut answer).await.expect("answered");
    };
    let mut held = Vec::with_capacity(2 * CONNECTIONS);
    let mut open = async || {
        for _ in 0..CONNECTIONS {
            let (mut near, mut far) = duplex(PIPE);
            // What the streams hold is not the server's.
            for stream in [&mut near, &mut far] {
                stream.write_all(&[0; PIPE]).await.expect("stands");
            }
            for stream in [&mut far, &mut near] {
                stream.read_exact(&mut [0; PIPE]).await.expect("stands");
            }
            sender.send(Ok::<_, io::Error>(Incoming::new(near))).expect("served");
            call(&mut far).await;
            held.push(far);
        }
    };
    // What all connections share is there once.
    runtime.block_on(open());
    let bytes = allocation_counter::measure(|| runtime.block_on(open())).bytes_current;
    bytes as f64 / CONNECTIONS as f64 - (2 * PIPE) as f64
}

#[test]
fn a_server_takes_little_for_a_call() {
    server(64).assert_within(&Bounds { allocations: 1.2, bytes: 780.0, reads: 0.019, writes: 0.019 });
}

#[test]
fn layers_cost_a_call_its_place_and_its_results() {
    let costs = serving(64, Server::builder().layer(layer_fn(|service| service)));
    costs.assert_within(&Bounds { allocations: 3.3, bytes: 900.0, reads: 0.019, writes: 0.019 });
}

#[test]
fn a_client_takes_little_for_a_call() {
    client(64).assert_within(&Bounds { allocations: 0.1, bytes: 300.0, reads: 0.019, writes: 0.019 });
}

#[test]
fn a_server_takes_less_the_more_calls_are_outstanding() {
    server(1024).assert_within(&Bounds { allocations: 1.2, bytes: 400.0, reads: 0.0012, writes: 0.0012 });
}

#[test]
fn a_client_takes_less_the_more_calls_are_outstanding() {
    client(1024).assert_within(&Bounds { allocations: 0.05, bytes: 900.0, reads: 0.0012, writes: 0.0012 });
}

#[test]
fn an_idle_connection_takes_little() {
    let bytes = idle();
    assert!(bytes > 0.0 && bytes < 1500.0, "{bytes} bytes for an idle connection");
}

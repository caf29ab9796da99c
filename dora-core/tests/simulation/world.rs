//! A client and its servers, and what they do and see.

use std::collections::BTreeMap;
use std::future::{pending, ready};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use dora_core::call::BoxFuture;
use dora_core::call::method::{Method, ServiceDescriptor};
use dora_core::call::mount::Mount;
use dora_core::call::request::Request;
use dora_core::call::response::Response;
use dora_core::call::slot::BoxSlot;
use dora_core::middleware::balance::builder::FleetBuilder;
use dora_core::middleware::balance::fleet::Fleet;
use dora_core::middleware::breaker::circuit::{BreakerChange, BreakerState};
use dora_core::middleware::hedge::policy::HedgePolicy;
use dora_core::server::Server;
use dora_core::stub::call::Call;
use dora_core::stub::serve::{call_in, slot};
use dora_core::transport::client::channel::Channel;
use dora_core::transport::client::endpoint::Endpoint;
use dora_core::transport::server::incoming::Incoming;
use fastrand::Rng;
use futures_util::stream;
use parking_lot::Mutex;
use prost_types::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use turmoil::net::{TcpListener, TcpStream};
use turmoil::{Builder, sim_elapsed};

use crate::faults::Plan;

pub(crate) const CLIENT: &str = "client";
pub(crate) const SERVERS: [&str; 3] = ["first", "second", "third"];

const PORT: u16 = 9567;

/// Faults until then; then some time in which connections that were lost are noticed;
/// and then all must be well.
const FAULTS_END: Duration = Duration::from_secs(5);
const HEALED: Duration = Duration::from_secs(9);
const END: Duration = Duration::from_secs(10);

static WORK: ServiceDescriptor = ServiceDescriptor::new("t.Work", &[&AGAIN, &ONCE]);
static AGAIN: Method = Method::new(&WORK, "Again", "/t.Work/Again").with_idempotent();
static ONCE: Method = Method::new(&WORK, "Once", "/t.Work/Once");

/// Whether a call may run more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Again,
    Once,
}

/// What a call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With the answer to this call.
    Answered(i64),
    /// It failed, and surely was not sent.
    Unsent,
    /// It failed, and may have run.
    Failed,
}

/// A call that has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Made {
    pub(crate) id: i64,
    pub(crate) kind: Kind,
    pub(crate) outcome: Outcome,
    /// Whether it began when all was well again.
    pub(crate) healed: bool,
}

/// What has happened in a run.
#[derive(Default)]
pub(crate) struct Ran {
    pub(crate) calls: Vec<Made>,
    /// How often each call has run, on whatever server.
    runs: BTreeMap<i64, usize>,
    pub(crate) trace: Vec<String>,
    /// How often a circuit breaker has opened.
    pub(crate) opened: usize,
    /// Whether all calls have ended.
    pub(crate) ended: bool,
}

impl Ran {
    pub(crate) fn ran(&self, id: i64) -> usize {
        self.runs.get(&id).copied().unwrap_or(0)
    }

    fn begins(&mut self, server: &str, id: i64) {
        *self.runs.entry(id).or_default() += 1;
        self.note(&format!("{server} runs {id}"));
    }

    fn note(&mut self, what: &str) {
        let now = sim_elapsed().expect("in a simulation");
        self.trace.push(format!("{:>6} ms  {what}", now.as_millis()));
    }
}

type Shared = Arc<Mutex<Ran>>;

/// Runs a world of this seed to its end.
pub(crate) fn run(seed: u64) -> Ran {
    // Guids, the choice of an instance and pauses are drawn from it.
    fastrand::seed(seed);
    let mut rng = Rng::with_seed(seed);
    let ran = Shared::default();
    let mut sim = Builder::new()
        .rng_seed(seed)
        .tick_duration(Duration::from_millis(5))
        .simulation_duration(2 * END)
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(10))
        .build();
    let mut plan = Plan::new(&mut rng, FAULTS_END);
    for (place, server) in SERVERS.into_iter().enumerate() {
        let (ran, drains) = (Arc::clone(&ran), plan.drains(place));
        sim.host(server, move || serve(server, Arc::clone(&ran), drains.clone()));
    }
    let hedges = seed % 2 == 1;
    sim.client(CLIENT, call(Arc::clone(&ran), plan.losses(), hedges, rng.fork()));
    loop {
        let happened = plan.apply(sim.elapsed(), &mut sim);
        ran.lock().trace.extend(happened);
        if sim.step().expect("the simulation goes on") {
            break;
        }
    }
    drop(sim);
    std::mem::take(&mut *ran.lock())
}

/// The work that a server has done is noted outside of it: what it did counts
/// though it dies.
struct Work {
    server: &'static str,
    ran: Shared,
}

impl Work {
    fn work(&self) -> BoxSlot {
        let (server, ran) = (self.server, Arc::clone(&self.ran));
        slot(move |request: Request<Timestamp>| async move {
            let call = request.into_body();
            ran.lock().begins(server, call.seconds);
            tokio::time::sleep(Duration::from_millis(call.nanos.unsigned_abs().into())).await;
            Ok(call.into())
        })
    }
}

impl Mount for Work {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        &WORK
    }

    fn call(&self, _: usize, request: Request) -> BoxFuture<Response> {
        call_in(self.work(), request)
    }

    fn slot(&self, _: usize) -> Option<BoxSlot> {
        Some(self.work())
    }
}

async fn serve(server: &'static str, ran: Shared, mut drains: watch::Receiver<()>) -> turmoil::Result {
    drains.mark_unchanged();
    let listener = TcpListener::bind((IpAddr::from(Ipv4Addr::UNSPECIFIED), PORT)).await?;
    let incoming = stream::unfold(listener, |listener| async {
        let accepted = listener.accept().await;
        Some((accepted.map(|(stream, peer)| Incoming::new(stream).peer(peer)), listener))
    });
    let told = async move {
        // An error: the plan is at its end.
        if drains.changed().await.is_err() {
            pending().await
        }
    };
    let server = Server::builder().drain_timeout(DRAIN).add_service(Work { server, ran });
    server.serve_incoming(Box::pin(incoming), told).await?;
    Ok(())
}

/// How long a server that drains lets its calls run: longer than they take.
const DRAIN: Duration = Duration::from_secs(1);

/// The default stack, in half of the runs with hedges; only how long things take is less
/// than by default.
fn fleet(ran: Shared, losses: [watch::Receiver<()>; SERVERS.len()], hedges: bool) -> Fleet<Channel> {
    let endpoints = SERVERS.into_iter().zip(losses).map(|(server, losses)| {
        Endpoint::new(format!("{server}:{PORT}"))
            .expect("an address")
            .timeout(Duration::from_millis(1500))
            .connect_timeout(Duration::from_millis(300))
            .silence_timeout(Duration::from_millis(500))
            .connect_with(move |_| connect(server, losses.clone()))
    });
    let hedge = hedges.then(|| HedgePolicy::after(Duration::from_millis(50)));
    let opened = move |change: &BreakerChange| {
        let mut ran = ran.lock();
        ran.opened += usize::from(change.to == BreakerState::Open);
        ran.note(&format!("{}: {:?}", change.instance.as_deref().unwrap_or_default(), change.to));
    };
    let fleet = FleetBuilder::default().hedge(hedge).on_breaker_change(opened);
    fleet.endpoints(endpoints).expect("settings")
}

/// A connection that breaks when something was lost on it.
struct Breaking {
    stream: TcpStream,
    broken: Pin<Box<dyn Future<Output = ()> + Send>>,
}

async fn connect(server: &'static str, mut losses: watch::Receiver<()>) -> io::Result<Breaking> {
    losses.mark_unchanged();
    let stream = TcpStream::connect((server, PORT)).await?;
    let broken = Box::pin(async move {
        // An error: the plan is at its end.
        if losses.changed().await.is_err() {
            pending().await
        }
    });
    Ok(Breaking { stream, broken })
}

impl AsyncRead for Breaking {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.broken.as_mut().poll(cx).is_ready() {
            self.broken = Box::pin(ready(()));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Breaking {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

async fn call(
    ran: Shared,
    losses: [watch::Receiver<()>; SERVERS.len()],
    hedges: bool,
    mut rng: Rng,
) -> turmoil::Result {
    let fleet = fleet(Arc::clone(&ran), losses, hedges);
    let mut calls = Vec::new();
    for id in 0.. {
        let now = sim_elapsed().expect("in a simulation");
        if now > END {
            break;
        }
        let kind = if rng.bool() { Kind::Again } else { Kind::Once };
        let takes = if rng.u8(..10) == 0 { rng.i32(0..300) } else { rng.i32(0..10) };
        let (fleet, ran) = (fleet.clone(), Arc::clone(&ran));
        calls.push(tokio::spawn(async move {
            let method = if kind == Kind::Again { &AGAIN } else { &ONCE };
            let param = Timestamp { seconds: id, nanos: takes };
            let call: Call<_, Timestamp, Timestamp> = Call::new(fleet, method, param);
            let result = call.await;
            let outcome = match &result {
                Ok(answer) => Outcome::Answered(answer.seconds),
                Err(status) if status.is_unsent() => Outcome::Unsent,
                Err(_) => Outcome::Failed,
            };
            let mut ran = ran.lock();
            let why = result.err().map(|status| format!(": {status}")).unwrap_or_default();
            ran.note(&format!("{kind:?} {id}: {outcome:?}{why}"));
            ran.calls.push(Made { id, kind, outcome, healed: now > HEALED });
        }));
        tokio::time::sleep(Duration::from_millis(rng.u64(5..60))).await;
    }
    for call in calls {
        call.await?;
    }
    ran.lock().ended = true;
    Ok(())
}

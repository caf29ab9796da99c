//! One loading process: so many tasks, each with one call outstanding.

use std::{
    net::SocketAddr,
    process,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::ensure;
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::{
    histogram::Histogram,
    message::{EchoMessage, sample},
    peers::{Connection, Peer, PeerName, Visitor},
    system,
};

/// How long calls may take to end after the time is up.
const GRACE: Duration = Duration::from_secs(10);

#[derive(Args)]
pub(crate) struct LoadArgs {
    /// What is served at the address.
    peer: PeerName,
    /// The server.
    #[arg(long)]
    addr: SocketAddr,
    /// The process whose CPU time is told as the server's.
    #[arg(long)]
    server_pid: Option<u32>,
    /// Bytes of payload in each message.
    #[arg(long, default_value_t = 64)]
    payload: usize,
    /// Calls outstanding, over all connections.
    #[arg(long, default_value_t = 64)]
    concurrency: usize,
    /// Connections.
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// How long to measure.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// How many seconds to load before that.
    #[arg(long, default_value_t = 0.5)]
    warmup: f64,
    /// The one core to run on; all of them if not given.
    #[arg(long)]
    core: Option<usize>,
}

/// What one run has measured.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// Calls that ended within the measured time.
    pub(crate) calls: u64,
    pub(crate) calls_per_second: f64,
    /// Median latency in microseconds.
    pub(crate) p50: f64,
    /// 99th percentile of the latency in microseconds.
    pub(crate) p99: f64,
    /// CPU of the server in microseconds per call, if its process was named.
    pub(crate) server_cpu: Option<f64>,
    /// CPU of the client in microseconds per call.
    pub(crate) client_cpu: f64,
}

pub(crate) fn load(args: &LoadArgs) -> anyhow::Result<()> {
    if let Some(core) = args.core {
        system::pin_to(core)?;
    }
    let measured = args.peer.visit(Load { args })?;
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}

struct Load<'a> {
    args: &'a LoadArgs,
}

impl Visitor for Load<'_> {
    type Output = anyhow::Result<Measured>;

    fn visit<P: Peer>(self) -> Self::Output {
        let args = self.args;
        let runtime = system::runtime()?;
        let connections = runtime.block_on(connect::<P>(args.addr, args.connections))?;
        let shared = Arc::new(Shared::new());
        let callers = (0..args.concurrency)
            .zip(connections.iter().cycle())
            .map(|(_, connection)| {
                let message = sample(args.payload);
                runtime.spawn(call(connection.clone(), message, Arc::clone(&shared)))
            })
            .collect::<Vec<_>>();

        // This thread sleeps outside of the runtime: its clock is not delayed by the load.
        thread::sleep(Duration::try_from_secs_f64(args.warmup)?);
        let before = Snapshot::take(args.server_pid)?;
        shared.enter(Phase::Measure);
        thread::sleep(Duration::try_from_secs_f64(args.seconds)?);
        shared.enter(Phase::Stop);
        let after = Snapshot::take(args.server_pid)?;

        runtime.block_on(async {
            let end = tokio::time::sleep(GRACE);
            tokio::pin!(end);
            for caller in callers {
                tokio::select! {
                    ended = caller => ended??,
                    () = &mut end => anyhow::bail!("a call did not end"),
                }
            }
            anyhow::Ok(())
        })?;
        runtime.shutdown_background();
        measured(&before, &after, &shared.latencies)
    }
}

async fn connect<P: Peer>(addr: SocketAddr, count: usize) -> anyhow::Result<Vec<P::Connection>> {
    ensure!(count > 0, "a load needs a connection");
    let mut connections = Vec::with_capacity(count);
    for _ in 0..count {
        connections.push(P::connect(addr).await?);
    }
    Ok(connections)
}

/// Makes one call after the other until told to stop.
async fn call<C: Connection>(
    mut connection: C,
    message: EchoMessage,
    shared: Arc<Shared>,
) -> anyhow::Result<()> {
    let reply = connection.echo(message.clone()).await?;
    ensure!(reply == message, "the reply is not the message");
    let mut start = Instant::now();
    loop {
        let reply = connection.echo(message.clone()).await?;
        ensure!(reply.payload.len() == message.payload.len(), "the reply has another size");
        let end = Instant::now();
        match shared.phase() {
            Phase::WarmUp => {}
            Phase::Measure => shared.latencies.record(end.duration_since(start)),
            Phase::Stop => return Ok(()),
        }
        start = end;
    }
}

#[derive(Clone, Copy)]
#[repr(u8)]
enum Phase {
    WarmUp,
    Measure,
    Stop,
}

struct Shared {
    phase: AtomicU8,
    latencies: Histogram,
}

impl Shared {
    fn new() -> Self {
        Self { phase: AtomicU8::new(Phase::WarmUp as u8), latencies: Histogram::new() }
    }

    fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::WarmUp,
            1 => Phase::Measure,
            _ => Phase::Stop,
        }
    }
}

struct Snapshot {
    at: Instant,
    client_cpu: Duration,
    server_cpu: Option<Duration>,
}

impl Snapshot {
    fn take(server: Option<u32>) -> anyhow::Result<Self> {
        Ok(Self {
            at: Instant::now(),
            client_cpu: system::cpu_time(process::id())?,
            server_cpu: server.map(system::cpu_time).transpose()?,
        })
    }
}

fn measured(before: &Snapshot, after: &Snapshot, latencies: &Histogram) -> anyhow::Result<Measured> {
    let counts = latencies.counts();
    let calls = counts.total();
    ensure!(calls > 0, "no call ended in time");
    let per_call =
        |before: Duration, after: Duration| after.saturating_sub(before).as_secs_f64() * 1e6 / calls as f64;
    let server_cpu = before.server_cpu.zip(after.server_cpu);
    let seconds = after.at.duration_since(before.at).as_secs_f64();
    Ok(Measured {
        calls,
        calls_per_second: calls as f64 / seconds,
        p50: counts.quantile_micros(0.5),
        p99: counts.quantile_micros(0.99),
        server_cpu: server_cpu.map(|(before, after)| per_call(before, after)),
        client_cpu: per_call(before.client_cpu, after.client_cpu),
    })
}

//! Instances are restarted one after the other under load: whether a call is lost.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use dora::{Channel, Request, Response, Server, Status};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::paced::{Ends, paced};
use crate::peers::dora::generated::EchoMessage;
use crate::peers::dora::generated::echo_client::EchoClient;
use crate::peers::dora::generated::echo_server::{Echo, EchoServer};
use crate::system;

/// How often it is looked whether an instance serves again.
const LOOK: Duration = Duration::from_millis(5);

#[derive(Args)]
pub(crate) struct RollingArgs {
    /// Instances.
    #[arg(long, default_value_t = 3)]
    instances: usize,
    /// Restarts in all, one after the other.
    #[arg(long, default_value_t = 200)]
    restarts: usize,
    /// Calls a second.
    #[arg(long, default_value_t = 2000)]
    rate: u32,
    /// Calls that an instance must have run since its restart before the next one is restarted.
    #[arg(long, default_value_t = 100)]
    served: u64,
    /// Milliseconds that a call takes, so that a restart finds calls running.
    #[arg(long, default_value_t = 5)]
    takes: u64,
    /// How many seconds it may take; what was not restarted by then is not.
    #[arg(long, default_value_t = 480.0)]
    at_most: f64,
}

pub(crate) fn rolling(args: &RollingArgs) -> anyhow::Result<()> {
    println!("| restarts | seconds | calls | calls/s | failed | run twice | ran, and failed |");
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    let row = system::runtime()?.block_on(run(args))?;
    println!("{row}");
    Ok(())
}

/// How often each call has run, by its number.
#[derive(Default)]
struct Runs(Mutex<Vec<u8>>);

impl Runs {
    fn note(&self, number: i64) {
        let Ok(index) = usize::try_from(number) else { return };
        let mut runs = self.0.lock();
        if runs.len() <= index {
            runs.resize(index + 1, 0);
        }
        runs[index] = runs[index].saturating_add(1);
    }

    fn twice(&self) -> usize {
        self.0.lock().iter().filter(|runs| **runs > 1).count()
    }

    fn once_at_least(&self) -> u64 {
        self.0.lock().iter().filter(|runs| **runs > 0).count() as u64
    }
}

/// What an instance serves between two restarts.
struct Serving {
    takes: Duration,
    runs: Arc<Runs>,
    served: Arc<AtomicU64>,
}

impl Echo for Serving {
    async fn echo(&self, request: Request<EchoMessage>) -> Result<Response<EchoMessage>, Status> {
        let message = request.into_body();
        self.runs.note(message.number);
        tokio::time::sleep(self.takes).await;
        self.served.fetch_add(1, Ordering::Relaxed);
        Ok(message.into())
    }
}

/// A server that can be told to drain, and is started again where it was.
struct Instance {
    address: SocketAddr,
    takes: Duration,
    runs: Arc<Runs>,
    /// Calls since it was started.
    served: Arc<AtomicU64>,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<anyhow::Result<()>>,
}

impl Instance {
    async fn start(address: SocketAddr, takes: Duration, runs: Arc<Runs>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await.context("the port is free")?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let told = async { drop(stopped.await) };
        let served = Arc::<AtomicU64>::default();
        let service = Serving { takes, runs: Arc::clone(&runs), served: Arc::clone(&served) };
        let server = Server::builder().add_service(EchoServer::new(service));
        let serving = server.serve_with_listener(listener, told);
        let ended = tokio::spawn(async { serving.await.context("it serves") });
        Ok(Self { address, takes, runs, served, stop, ended })
    }

    async fn restart(self) -> anyhow::Result<Self> {
        drop(self.stop);
        self.ended.await??;
        Self::start(self.address, self.takes, self.runs).await
    }

    /// Until it has run so many calls, or it is `until`: whether it has.
    async fn serves(&self, calls: u64, until: Instant) -> bool {
        while self.served.load(Ordering::Relaxed) < calls {
            if Instant::now() >= until {
                return false;
            }
            tokio::time::sleep(LOOK).await;
        }
        true
    }
}

async fn run(args: &RollingArgs) -> anyhow::Result<String> {
    let until = Instant::now() + Duration::try_from_secs_f64(args.at_most)?;
    let (runs, takes) = (Arc::<Runs>::default(), Duration::from_millis(args.takes));
    let mut instances = Vec::new();
    for _ in 0..args.instances.max(1) {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        instances.push(Instance::start(address, takes, Arc::clone(&runs)).await?);
    }
    let addresses = instances.iter().map(|instance| instance.address.to_string());
    let client = EchoClient::new(Channel::balance(addresses)?);
    let (done, made) = (AtomicBool::new(false), AtomicU64::new(0));
    // Not idempotent: what may have run is not made again.
    let load = paced(
        args.rate,
        |_| !done.load(Ordering::Relaxed),
        || {
            let number = made.fetch_add(1, Ordering::Relaxed) as i64;
            let call = client.echo(EchoMessage { number, ..EchoMessage::default() }).into_future();
            async move { call.await.map(drop) }
        },
    );
    let restarts = async {
        let restarted = restart_all(instances, args, until).await;
        done.store(true, Ordering::Relaxed);
        restarted
    };
    let (ends, restarted) = tokio::join!(load, restarts);
    ends.tell("restarts");
    Ok(row(restarted?, &ends, &runs))
}

/// Restarts one after the other, each after the one before serves again: how many were and do.
async fn restart_all(
    mut instances: Vec<Instance>,
    args: &RollingArgs,
    until: Instant,
) -> anyhow::Result<usize> {
    for instance in &instances {
        anyhow::ensure!(instance.serves(1, until).await, "an instance was never called");
    }
    for restarted in 0..args.restarts {
        let instance = instances.remove(0).restart().await?;
        if !instance.serves(args.served, until).await {
            return Ok(restarted);
        }
        instances.push(instance);
    }
    Ok(args.restarts)
}

fn row(restarted: usize, ends: &Ends, runs: &Runs) -> String {
    let ran_and_failed = runs.once_at_least().saturating_sub(ends.calls - ends.failed);
    format!(
        "| {restarted} | {:.0} | {} | {:.0} | {} | {} | {ran_and_failed} |",
        ends.took.as_secs_f64(),
        ends.calls,
        ends.per_second(),
        ends.failed,
        runs.twice(),
    )
}

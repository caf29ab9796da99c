//! Instances are restarted one after the other under load: whether a call is lost.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use dora::Channel;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::paced::paced;
use crate::peers::dora::generated::{EchoMessage, echo_client::EchoClient};
use crate::peers::dora::server;
use crate::system;

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
    /// How many seconds it may take; what was not restarted by then is not.
    #[arg(long, default_value_t = 480.0)]
    at_most: f64,
}

pub(crate) fn rolling(args: &RollingArgs) -> anyhow::Result<()> {
    println!("| restarts | seconds | calls | calls/s | failed |\n| ---: | ---: | ---: | ---: | ---: |");
    let row = system::runtime()?.block_on(run(args))?;
    println!("{row}");
    Ok(())
}

/// A server that can be told to drain, and is started again where it was.
struct Instance {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<anyhow::Result<()>>,
}

impl Instance {
    async fn start(address: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await.context("the port is free")?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let told = async { drop(stopped.await) };
        let serving = server().serve_with_listener(listener, told);
        let ended = tokio::spawn(async { serving.await.context("it serves") });
        Ok(Self { address, stop, ended })
    }

    async fn restart(self) -> anyhow::Result<Self> {
        drop(self.stop);
        self.ended.await??;
        Self::start(self.address).await
    }
}

async fn run(args: &RollingArgs) -> anyhow::Result<String> {
    let mut instances = Vec::new();
    for _ in 0..args.instances.max(1) {
        instances.push(Instance::start(SocketAddr::from(([127, 0, 0, 1], 0))).await?);
    }
    let addresses = instances.iter().map(|instance| instance.address.to_string());
    let client = EchoClient::new(Channel::balance(addresses)?);
    let done = AtomicBool::new(false);
    // Not idempotent: what may have run is not made again.
    let load = paced(
        args.rate,
        |_| !done.load(Ordering::Relaxed),
        || {
            let call = client.echo(EchoMessage::default()).into_future();
            async move { call.await.map(drop) }
        },
    );
    let restarts = async {
        let (start, time) = (Instant::now(), Duration::try_from_secs_f64(args.at_most)?);
        let mut restarted = 0;
        while restarted < args.restarts && start.elapsed() < time {
            let instance = instances.remove(0);
            instances.push(instance.restart().await?);
            restarted += 1;
        }
        anyhow::Ok(restarted)
    };
    let restarts = async {
        let restarted = restarts.await;
        done.store(true, Ordering::Relaxed);
        restarted
    };
    let (ends, restarted) = tokio::join!(load, restarts);
    ends.tell("restarts");
    let seconds = ends.took.as_secs_f64();
    Ok(format!(
        "| {} | {seconds:.0} | {} | {:.0} | {} |",
        restarted?,
        ends.calls,
        ends.per_second(),
        ends.failed
    ))
}

//! All instances fail: how much is called.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use dora::{Channel, Fleet, FleetBuilder, HedgePolicy, Request, Server, Status, Value};
use tokio::net::TcpListener;

use super::paced::paced;
use crate::system;

#[derive(Args)]
pub(crate) struct FailingArgs {
    /// Instances.
    #[arg(long, default_value_t = 3)]
    instances: usize,
    /// Calls a second.
    #[arg(long, default_value_t = 1000)]
    rate: u32,
    /// How long to call.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
}

pub(crate) fn failing(args: &FailingArgs) -> anyhow::Result<()> {
    println!("| stack | calls | calls/s | attempts | allowed | attempts/calls |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    // Each made when it is used: budgets fill with time.
    println!("{}", system::runtime()?.block_on(run(args, "default", Fleet::builder()))?);
    let hedged = Fleet::builder().hedge(HedgePolicy::after(Duration::from_millis(2)));
    println!("{}", system::runtime()?.block_on(run(args, "with hedges after 2 ms", hedged))?);
    Ok(())
}

async fn run(args: &FailingArgs, name: &str, builder: FleetBuilder) -> anyhow::Result<String> {
    let (start, attempts) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let mut addresses = Vec::new();
    for _ in 0..args.instances {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        addresses.push(listener.local_addr()?.to_string());
        let attempts = Arc::clone(&attempts);
        let fails = move |_: Request<Value>| {
            attempts.fetch_add(1, Ordering::Relaxed);
            async {
                tokio::time::sleep(Duration::from_millis(3)).await;
                Err::<Value, _>(Status::unavailable("no database"))
            }
        };
        tokio::spawn(Server::builder().dynamic(fails).serve_with_listener(listener, pending()));
    }
    let fleet: Fleet<Channel> = builder.connect_lazy(addresses)?;
    let client = fleet.dynamic();
    let time = Duration::try_from_secs_f64(args.seconds)?;
    let ends = paced(
        args.rate,
        |passed| passed < time,
        || {
            let call = client.call("/user/get", 7).idempotent(true);
            async move { call.await.map(drop) }
        },
    )
    .await;
    anyhow::ensure!(ends.failed == ends.calls, "{} calls were answered", ends.calls - ends.failed);
    let (calls, attempts) = (ends.calls, attempts.load(Ordering::Relaxed));
    // A second's worth to begin with, and of each that it took, the end of the last call included.
    let allowed = calls as f64 * 1.2 + 10.0 * (1.0 + start.elapsed().as_secs_f64());
    Ok(format!(
        "| {name} | {calls} | {:.0} | {attempts} | {allowed:.0} | {:.3} |",
        ends.per_second(),
        attempts as f64 / calls as f64
    ))
}

//! A server is called five times as often as it can answer: what it still does, and how soon it
//! is well again.

use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use dora::limit::{AdaptivePolicy, ConcurrencyLimitLayer};
use dora::{Endpoint, Request, Response, Server, Status};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::paced::paced;
use crate::histogram::Histogram;
use crate::peers::dora::generated::EchoMessage;
use crate::peers::dora::generated::echo_client::EchoClient;
use crate::peers::dora::generated::echo_server::{Echo, EchoServer};
use crate::system;

/// The load before and after, as a share of what the server can do.
const CALM: f64 = 0.8;
const SECOND: Duration = Duration::from_secs(1);

#[derive(Args)]
pub(crate) struct OverloadArgs {
    /// Calls that can be at work at once: what is scarce, such as connections to a database.
    #[arg(long, default_value_t = 20)]
    places: usize,
    /// Milliseconds that a call is at work.
    #[arg(long, default_value_t = 10)]
    takes: u64,
    /// How many times what the server can do is asked of it.
    #[arg(long, default_value_t = 5.0)]
    times: f64,
    /// Seconds of the overload, and of the calm before it.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Seconds after the overload, of which each is told by itself.
    #[arg(long, default_value_t = 5)]
    after: u32,
}

pub(crate) fn overload(args: &OverloadArgs) -> anyhow::Result<()> {
    println!("| load | asked/s | answered/s | of the peak | refused | p50 ms | p99 ms | the limit |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    system::runtime()?.block_on(run(args))
}

/// A handler that works in one of so many places.
struct Places {
    free: Semaphore,
    takes: Duration,
}

impl Echo for Places {
    async fn echo(&self, request: Request<EchoMessage>) -> Result<Response<EchoMessage>, Status> {
        let place = self.free.acquire().await;
        let _place = place.map_err(|_| Status::internal("the places are gone"))?;
        tokio::time::sleep(self.takes).await;
        Ok(request.into_body().into())
    }
}

/// What a server answered for a while.
struct Answers {
    asked: f64,
    answered: f64,
    /// Of all calls.
    refused: f64,
    p50: f64,
    p99: f64,
}

impl Answers {
    /// Whether nothing is left of an overload, if it was so before.
    fn are_as_calm_as(&self, before: &Self) -> bool {
        self.refused <= 0.01 && self.p99 <= 2.0 * before.p99
    }
}

/// A client, and the limit of the server that it calls.
struct Loaded {
    client: EchoClient,
    limit: ConcurrencyLimitLayer,
    /// Calls a second that the server can answer.
    peak: f64,
}

async fn run(args: &OverloadArgs) -> anyhow::Result<()> {
    let limit = ConcurrencyLimitLayer::adaptive(AdaptivePolicy::new());
    let service = Places { free: Semaphore::new(args.places), takes: Duration::from_millis(args.takes) };
    let server = Server::builder().layer(limit.clone()).add_service(EchoServer::new(service));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    tokio::spawn(server.serve_with_listener(listener, pending()));
    let client = EchoClient::new(Endpoint::new(address)?.connect().await?);
    let peak = peak(&client, args.places).await?;
    let loaded = Loaded { client, limit, peak };

    let time = Duration::try_from_secs_f64(args.seconds)?;
    let calm = loaded.ask("80 %", CALM, time).await?;
    let name = format!("{:.0} %", 100.0 * args.times);
    loaded.ask(&format!("{name}, its first second"), args.times, SECOND).await?;
    let over = loaded.ask(&format!("{name}, after that"), args.times, time).await?;
    let mut well = None;
    for second in 1..=args.after {
        let after = loaded.ask(&format!("80 %, second {second} after it"), CALM, SECOND).await?;
        if well.is_none() && after.are_as_calm_as(&calm) {
            well = Some(second);
        }
    }
    println!();
    println!(
        "Goodput {:.1} % of the peak, p99 of what was let in {:.2} times that at 80 %, {}.",
        100.0 * over.answered / loaded.peak,
        over.p99 / calm.p99,
        Well(well, args.after),
    );
    Ok(())
}

/// In which second after the overload all was well again.
struct Well(Option<u32>, u32);

impl fmt::Display for Well {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(Some(second), _) => write!(f, "well again in second {second}"),
            Self(None, looked) => write!(f, "not well again within {looked} s"),
        }
    }
}

/// What the server answers at most: twice as many callers as it has places, so that none is ever
/// empty, each of which asks again as soon as it is answered.
async fn peak(client: &EchoClient, places: usize) -> anyhow::Result<f64> {
    let (answered, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut callers = JoinSet::new();
    for _ in 0..2 * places {
        let (client, answered, over) = (client.clone(), Arc::clone(&answered), Arc::clone(&over));
        callers.spawn(async move {
            while !over.load(Ordering::Relaxed) {
                match client.echo(EchoMessage::default()).await {
                    Ok(_) => answered.fetch_add(1, Ordering::Relaxed),
                    Err(_) => {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                        0
                    }
                };
            }
        });
    }
    tokio::time::sleep(2 * SECOND).await;
    let (before, start) = (answered.load(Ordering::Relaxed), Instant::now());
    tokio::time::sleep(3 * SECOND).await;
    let peak = (answered.load(Ordering::Relaxed) - before) as f64 / start.elapsed().as_secs_f64();
    over.store(true, Ordering::Relaxed);
    while callers.join_next().await.is_some() {}
    anyhow::ensure!(peak > 0.0, "the server answers nothing");
    println!("| two callers for each place | | {peak:.0} | 100 % | | | | |");
    Ok(peak)
}

impl Loaded {
    /// Asks so many times what the server can do, for so long.
    async fn ask(&self, name: &str, times: f64, time: Duration) -> anyhow::Result<Answers> {
        let took = Arc::new(Histogram::new());
        let call = || {
            let (call, took) = (self.client.echo(EchoMessage::default()), Arc::clone(&took));
            async move {
                let begun = Instant::now();
                call.await?;
                took.record(begun.elapsed());
                Ok(())
            }
        };
        let ends = paced((times * self.peak) as u32, |passed| passed < time, call).await;
        let counts = took.counts();
        let answers = Answers {
            asked: ends.per_second(),
            answered: counts.total() as f64 / ends.took.as_secs_f64(),
            refused: ends.failed as f64 / (ends.calls as f64).max(1.0),
            p50: counts.quantile_micros(0.5) / 1e3,
            p99: counts.quantile_micros(0.99) / 1e3,
        };
        println!(
            "| {name} | {:.0} | {:.0} | {:.0} % | {:.1} % | {:.1} | {:.1} | {} |",
            answers.asked,
            answers.answered,
            100.0 * answers.answered / self.peak,
            100.0 * answers.refused,
            answers.p50,
            answers.p99,
            self.limit.limit(),
        );
        Ok(answers)
    }
}

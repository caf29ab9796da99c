//! Three instances under load. One dies, then all; then they come back. What becomes of the
//! calls is reported twice a second: breakers open, what may be asked twice is asked
//! elsewhere, a fallback answers when nobody else can, and all is as it was. It ends by
//! itself after some ten seconds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dora::{BreakerPolicy, Channel, Endpoint, Fallback, FallbackLayer, Fleet, RetryPolicy};
use tower::Layer as _;

mod instances;
mod report;
mod prices {
    dora::include_proto!("prices.v1");
}
use instances::{Instance, LastKnown};
use prices::GetPriceRequest;
use prices::prices_client::PricesClient;
use prices::prices_server::PricesServer;
use report::Ends;

/// Calls that are outstanding at a time.
const CALLERS: usize = 20;

/// What a caller does between two calls.
const PAUSE: Duration = Duration::from_millis(10);

/// How often it is reported.
const TICK: Duration = Duration::from_millis(500);

/// The whole stack: a fallback around retries, the choice of an instance, and its breaker.
type Prices = PricesClient<Fallback<PricesServer<LastKnown>, Fleet<Channel>>>;

/// What happens, and for how many ticks it is looked at.
enum Scene {
    Well,
    OneDies,
    AllDie,
    AllComeBack,
}

const SCENES: [(Scene, u32); 4] =
    [(Scene::Well, 4), (Scene::OneDies, 4), (Scene::AllDie, 4), (Scene::AllComeBack, 8)];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut instances =
        [Instance::start("a").await?, Instance::start("b").await?, Instance::start("c").await?];
    let mut channels = Vec::new();
    for instance in &instances {
        channels.push((instance.name, Endpoint::new(instance.address)?.connect_lazy()?));
    }
    let breaker = BreakerPolicy::new().consecutive_failures(1);
    let breaker = breaker.open_for(Duration::from_millis(500)).open_at_most(Duration::from_secs(1));
    let fleet = Fleet::builder()
        // A try that hangs leaves time for the next ones, and for the fallback.
        .retry(RetryPolicy::new().attempt_timeout(Duration::from_millis(200)))
        // One failure is enough here, so that there is something to see.
        .breaker(breaker)
        .on_breaker_change(report::change)
        .instances(channels);
    let prices = PricesClient::new(FallbackLayer::new(PricesServer::new(LastKnown)).layer(fleet.clone()));

    let ends = Arc::new(Ends::default());
    for _ in 0..CALLERS {
        tokio::spawn(ask_on(prices.clone(), Arc::clone(&ends)));
    }

    report::heading();
    let (start, mut before) = (Instant::now(), ends.counts());
    for (scene, ticks) in SCENES {
        play(&scene, &mut instances).await?;
        for _ in 0..ticks {
            tokio::time::sleep(TICK).await;
            let now = ends.counts();
            report::line(start.elapsed(), before, now, &fleet);
            before = now;
        }
    }
    let report::Counts { by_instances, by_fallback, failed } = ends.counts();
    println!("in all: {by_instances} answered by instances, {by_fallback} by the fallback, {failed} failed");
    Ok(())
}

async fn play(scene: &Scene, instances: &mut [Instance]) -> anyhow::Result<()> {
    match scene {
        Scene::Well => println!("--- all instances are well"),
        Scene::OneDies => {
            println!("--- instance a dies");
            instances.iter_mut().take(1).for_each(Instance::die);
        }
        Scene::AllDie => {
            println!("--- all instances are dead");
            instances.iter_mut().for_each(Instance::die);
        }
        Scene::AllComeBack => {
            println!("--- all instances come back");
            for instance in instances {
                instance.revive().await?;
            }
        }
    }
    Ok(())
}

/// Asks for one price after the other.
async fn ask_on(prices: Prices, ends: Arc<Ends>) {
    loop {
        let price = prices.get_price(GetPriceRequest { item: "engine".into() }).await;
        ends.count(&price);
        tokio::time::sleep(PAUSE).await;
    }
}

//! What discovery costs, and how long it takes, with a registry of its own on this machine:
//! `cargo run --release -p dora-rpc-discovery --example figures -- redis` (or `etcd`), and
//! behind it the name of a figure, if one is enough. The results stand in `bench/README.md`.

mod client;
mod registry;
#[path = "../../tests/redis/server.rs"]
#[allow(dead_code, reason = "it is shared with tests that need more of it")]
mod server;

use std::time::{Duration, Instant};

use dora::Channel;
use tokio::time::sleep;

use client::Client;
use registry::Registry;
use server::{Named, addresses, eventually, until};

/// Instances of a large group.
const MANY: usize = 1000;

/// How often one joins it, and leaves it.
const TIMES: usize = 100;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let name = std::env::args().nth(1).unwrap_or_default();
    let mut registry = match &*name {
        "redis" => Registry::redis().await,
        "etcd" => Registry::etcd().await,
        _ => panic!("which registry? redis, or etcd"),
    };
    println!("{name}, {}", registry.version());
    let only = std::env::args().nth(2);
    let wanted = |figure: &str| only.as_ref().is_none_or(|only| only == figure);
    if wanted("joins") {
        joins_and_leaves(&registry).await;
    }
    if wanted("kills") {
        kills(&registry).await;
    }
    if wanted("traffic") {
        traffic(&registry).await;
    }
    if wanted("outage") {
        outage(&mut registry).await;
    }
    if wanted("many") {
        large_group(&registry).await;
    }
}

/// Until a client knows.
async fn joins_and_leaves(registry: &Registry) {
    let fleet = Channel::to(registry.target("group=joins"));
    let (mut joined, mut left) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        let server = Named::start("a", registry.target("group=joins")).await;
        joined.push(until(&fleet, &[&server.address]).await);
        tokio::spawn(server.stop());
        left.push(until(&fleet, &[]).await);
    }
    println!("a server joins: {}", shown(joined));
    println!("a server leaves: {}", shown(left));
}

async fn kills(registry: &Registry) {
    let fleet = Channel::to(registry.target("group=kills"));
    let mut gone = Vec::new();
    for _ in 0..3 {
        let server = Named::start("a", registry.target("group=kills")).await;
        until(&fleet, &[&server.address]).await;
        server.kill().await;
        gone.push(until(&fleet, &[]).await);
    }
    println!("a killed server is gone, with a lease of 10 s: {}", shown(gone));
}

/// Of those who have nothing to tell, and nothing to hear.
async fn traffic(registry: &Registry) {
    const TIME: Duration = Duration::from_secs(30);
    let measured = async |what: &str| {
        let before = registry.traffic().await;
        sleep(TIME).await;
        let after = registry.traffic().await;
        let a_second = |after: u64, before: u64| (after - before) as f64 / TIME.as_secs_f64();
        let (to, from) = (a_second(after.0, before.0), a_second(after.1, before.1));
        println!("{what}: {to:.0} B/s to the registry, {from:.0} B/s from it");
    };
    measured("nobody but who measures").await;
    let server = Named::start("a", registry.target("group=traffic")).await;
    measured("and a server").await;
    let fleet = Channel::to(registry.target("group=traffic"));
    until(&fleet, &[&server.address]).await;
    measured("and a client").await;
    server.stop().await;
}

/// The registry is killed and comes back; servers are announced again.
async fn outage(registry: &mut Registry) {
    const SERVERS: usize = 50;
    let mut servers = Vec::new();
    for _ in 0..SERVERS {
        servers.push(Named::start("a", registry.target("group=outage")).await);
    }
    let before = Channel::to(registry.target("group=outage"));
    eventually("all are there", async || addresses(&before).len() == SERVERS).await;
    let mut back = Vec::new();
    for _ in 0..5 {
        registry.kill();
        // Longer than a lease.
        sleep(Duration::from_secs(12)).await;
        assert_eq!(addresses(&before).len(), SERVERS, "an outage drops nobody");
        registry.restart().await;
        let up = Instant::now();
        let after = Channel::to(registry.target("group=outage"));
        eventually("all are there again", async || addresses(&after).len() == SERVERS).await;
        back.push(up.elapsed());
    }
    println!("{SERVERS} servers are found again, after a registry answers again: {}", shown(back));
    for server in servers {
        server.stop().await;
    }
}

/// What it costs a client that one instance of many comes or goes.
async fn large_group(registry: &Registry) {
    registry.fill("many", MANY).await;
    let client = Client::start(registry.target("group=many"));
    eventually("all are there", async || client.instances() == MANY).await;
    sleep(Duration::from_secs(5)).await;
    let idle = client.cpu();
    sleep(Duration::from_secs(30)).await;
    let begin = client.cpu();
    println!(
        "a client of {MANY} instances, of which none changes: {:?} of CPU a second",
        (begin - idle) / 30
    );
    let mut updates = 0;
    for _ in 0..TIMES {
        let server = Named::start("a", registry.target("group=many")).await;
        eventually("it has joined", async || client.instances() == MANY + 1).await;
        server.stop().await;
        eventually("it has left", async || client.instances() == MANY).await;
        updates += 2;
    }
    let spent = (client.cpu() - begin) / updates;
    println!("a client of {MANY} instances, an update: {spent:?} of CPU, over {updates}");
}

fn shown(mut times: Vec<Duration>) -> String {
    times.sort();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    format!(
        "median {median:.1?}, longest {:.1?}, of {}",
        times.last().copied().unwrap_or_default(),
        times.len()
    )
}

//! What the guide and the benchmarks' README state. On a quiet machine:
//! `cargo test --release -p dora-rpc-discovery --test redis figures -- --ignored --nocapture`.

use std::time::Duration;

use dora::Channel;
use dora::discovery::{InstanceRecord, json};
use tokio::time::sleep;

use crate::server::{Named, Redis, eventually, until};

#[tokio::test]
#[ignore = "a measurement"]
async fn figures_of_joining_and_leaving() {
    let redis = Redis::start().await;
    let fleet = Channel::to(redis.target("group=shop"));
    let (mut joined, mut left) = (Vec::new(), Vec::new());
    for _ in 0..50 {
        let server = Named::start("a", redis.target("group=shop")).await;
        joined.push(until(&fleet, &[&server.address]).await);
        tokio::spawn(server.stop());
        left.push(until(&fleet, &[]).await);
    }
    for (what, mut times) in [("joined", joined), ("left", left)] {
        times.sort();
        println!("{what}: median {:?}, longest {:?}", times[25], times[49]);
    }
}

#[tokio::test]
#[ignore = "a measurement"]
async fn figures_of_the_traffic() {
    const TIME: Duration = Duration::from_secs(30);
    let redis = Redis::start().await;
    let mut commands = redis.commands().await;
    let server = Named::start("a", redis.target("group=shop")).await;
    sleep(Duration::from_secs(1)).await;
    let traffic = async |what: &str, commands: &mut redis::aio::MultiplexedConnection| {
        let () = redis::cmd("CONFIG").arg("RESETSTAT").query_async(commands).await.expect("it is up");
        sleep(TIME).await;
        let info: String = redis::cmd("INFO").arg("stats").query_async(commands).await.expect("it is up");
        let field = |name: &str| -> f64 {
            let line = info.lines().find_map(|line| line.strip_prefix(name)).expect(name);
            line.parse().expect("a number")
        };
        let seconds = TIME.as_secs_f64();
        println!(
            "{what}: {:.0} B/s to Redis, {:.0} B/s from it, {:.2} commands/s (with those within scripts)",
            field("total_net_input_bytes:") / seconds,
            field("total_net_output_bytes:") / seconds,
            field("total_commands_processed:") / seconds,
        );
    };
    traffic("a server", &mut commands).await;
    let fleet = Channel::to(redis.target("group=shop"));
    until(&fleet, &[&server.address]).await;
    traffic("a server and a client", &mut commands).await;
    let quiet = Channel::to(redis.target("group=shop&php=off"));
    until(&quiet, &[&server.address]).await;
    traffic("a server, a client, and one with php=off", &mut commands).await;
    server.stop().await;
}

#[tokio::test(flavor = "current_thread")]
#[ignore = "a measurement"]
async fn figures_of_a_thousand_instances() {
    const UPDATES: usize = 200;
    let redis = Redis::start().await;
    let mut commands = redis.commands().await;
    super::fleet::thousand(&mut commands).await;
    let fleet = Channel::to(redis.target("group=shop&php=off"));
    eventually("all are there", async || fleet.instances().len() == 1000).await;
    let mut update = redis::pipe();
    let record = |run: u64| {
        let mut record = InstanceRecord::new("10.1.0.1:9567").with_group("shop");
        record.generation = run;
        json::encode(&record).expect("a record")
    };
    let before = cpu();
    for run in 1..=UPDATES as u64 {
        update.clear();
        update.set("dora:instance:10.1.0.1:9567", record(run)).set("dora:revision:shop", run + 1);
        update.publish("dora:changes:shop", "");
        let _: redis::Value = update.query_async(&mut commands).await.expect("written");
        // Longer than it takes; a client waits for 20 ms before it asks.
        sleep(Duration::from_millis(60)).await;
    }
    println!("an update of a thousand instances: {:?} of CPU", (cpu() - before) / UPDATES as u32);
}

/// CPU time of this process.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux tells it");
    // Behind the name, which may hold blanks: utime and stime are fields 14 and 15, in 1/100 s.
    let fields: Vec<_> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
    let ticks = |index: usize| fields[index].parse::<u64>().expect("a number");
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

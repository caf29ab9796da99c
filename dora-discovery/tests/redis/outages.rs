//! Redis servers that are killed, stopped and restarted.

use std::time::{Duration, Instant};

use dora::Channel;
use dora::discovery::Target;
use tokio::time::sleep;

use crate::server::{Named, Redis, addresses, call, eventually, until};

/// Calls for a time; none may fail.
async fn calls_go_on(fleet: &dora::Fleet<Channel>, time: Duration) {
    let began = Instant::now();
    while began.elapsed() < time {
        call(fleet).await.expect("an outage of the registry fails no call");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_redis_that_is_killed_and_comes_back_empty_fails_no_call() {
    let mut redis = Redis::start().await;
    let target = || redis.target("group=shop&lease=3s");
    let (a, b) = (Named::start("a", target()).await, Named::start("b", target()).await);
    let fleet = Channel::to(target());
    until(&fleet, &[&a.address, &b.address]).await;
    redis.kill();
    // Longer than the lease.
    calls_go_on(&fleet, Duration::from_secs(4)).await;
    assert_eq!(addresses(&fleet).len(), 2);
    let status = fleet.directory().expect("it has one");
    assert!(status.age.expect("it was listed") >= Duration::from_secs(1));
    assert!(status.registries[0].failure.is_some());

    // Who died meanwhile is found out when the others have had the time to come back.
    let left = b.address.clone();
    a.kill().await;
    redis.restart().await;
    let mut commands = redis.commands().await;
    let back = eventually("the other one is announced again", async || {
        let mut commands = commands.clone();
        let known: Vec<String> = redis::cmd("ZRANGE")
            .arg("dora:group:shop")
            .arg(0)
            .arg(-1)
            .query_async(&mut commands)
            .await
            .expect("it is up");
        known == [left.clone()]
    });
    println!("announced again after {:?}", back.await);
    calls_go_on(&fleet, Duration::from_secs(1)).await;
    until(&fleet, &[&left]).await;
    let () = redis::cmd("FLUSHALL").query_async(&mut commands).await.expect("it is up");
    calls_go_on(&fleet, Duration::from_secs(4)).await;
    assert_eq!(addresses(&fleet), [left], "what was lost without an outage is no shrinkage either");
    b.stop().await;
}

#[tokio::test]
async fn a_redis_that_hangs_fails_no_call() {
    let redis = Redis::start().await;
    let target = || redis.target("group=shop&lease=3s");
    let (a, b) = (Named::start("a", target()).await, Named::start("b", target()).await);
    let fleet = Channel::to(target());
    until(&fleet, &[&a.address, &b.address]).await;
    redis.signal("STOP");
    calls_go_on(&fleet, Duration::from_secs(6)).await;
    assert!(fleet.directory().expect("it has one").registries[0].failure.is_some(), "it is noticed");
    assert_eq!(addresses(&fleet).len(), 2);
    redis.signal("CONT");
    calls_go_on(&fleet, Duration::from_secs(4)).await;
    until(&fleet, &[&a.address, &b.address]).await;
    let (left, address) = (b, a.address.clone());
    left.stop().await;
    until(&fleet, &[&address]).await;
    a.stop().await;
}

#[tokio::test]
async fn one_of_several_that_is_down_is_no_shrinkage() {
    let (mut first, second) = (Redis::start().await, Redis::start().await);
    let both = || {
        let line = format!("redis://127.0.0.1:{},127.0.0.1:{}?group=shop&lease=3s", first.port, second.port);
        Target::new(&line).expect("a target")
    };
    let a = Named::start("a", both()).await;
    // Of one that a part of the fleet knows.
    let b = Named::start("b", first.target("group=shop&lease=3s")).await;
    let c = Named::start("c", both()).await;
    let fleet = Channel::to(both());
    until(&fleet, &[&a.address, &b.address, &c.address]).await;
    let from_second = Channel::to(second.target("group=shop"));
    until(&from_second, &[&a.address, &c.address]).await;
    let target = both();
    first.kill();
    calls_go_on(&fleet, Duration::from_secs(4)).await;
    assert_eq!(addresses(&fleet).len(), 3, "who is known there alone is kept");

    // Joining and leaving go on through the other one.
    let d = Named::start("d", target).await;
    until(&fleet, &[&a.address, &b.address, &c.address, &d.address]).await;
    let gone = c.address.clone();
    c.stop().await;
    until(&fleet, &[&a.address, &b.address, &d.address]).await;
    first.restart().await;
    calls_go_on(&fleet, Duration::from_secs(1)).await;
    let from_first = Channel::to(first.target("group=shop"));
    until(&from_first, &[&a.address, &b.address, &d.address]).await;
    assert!(!addresses(&fleet).contains(&gone));
    for server in [a, b, d] {
        server.stop().await;
    }
}

#[tokio::test]
async fn servers_start_and_stop_without_a_registry() {
    let mut redis = Redis::start().await;
    let target = redis.target("group=shop");
    redis.kill();
    let server = Named::start("a", target.clone()).await;
    let direct = Channel::to(Target::new(&server.address).expect("an address"));
    assert_eq!(call(&direct).await.expect("it serves"), "a");
    redis.restart().await;
    let fleet = Channel::to(target);
    until(&fleet, &[&server.address]).await;
    redis.kill();
    let began = Instant::now();
    server.stop().await;
    assert!(began.elapsed() < Duration::from_secs(30), "the end waits for no registry");
}

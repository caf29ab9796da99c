//! Servers that come and go.

use std::time::Duration;

use dora::discovery::{Directory, InstanceRecord, json};
use dora::{Channel, dora_code};
use tokio::time::{sleep, timeout};

use crate::server::{Named, Redis, addresses, call, eventually, until};

#[tokio::test]
async fn who_joins_is_called_and_who_leaves_is_not() {
    let redis = Redis::start().await;
    let fleet = Channel::to(redis.target("group=shop"));
    let error = call(&fleet).await.expect_err("nobody is there");
    assert_eq!(error.raw_code(), dora_code::NO_SERVER);
    let wanted =
        "there is no server can connect: group \"shop\" has no instances (list of 0 s ago; by redis://";
    assert!(error.message().starts_with(wanted), "{error}");

    let first = Named::start("first", redis.target("group=shop")).await;
    until(&fleet, &[&first.address]).await;
    assert_eq!(call(&fleet).await.expect("answered"), "first");

    let second = Named::start("second", redis.target("group=shop,admin")).await;
    let joined = until(&fleet, &[&first.address, &second.address]).await;
    let address = second.address.clone();
    first.stop().await;
    let left = until(&fleet, &[&address]).await;
    println!("joined after {joined:?}, left after {left:?}");
    assert_eq!(call(&fleet).await.expect("answered"), "second");

    let admin = Channel::to(redis.target("group=admin"));
    until(&admin, &[&address]).await;
    second.stop().await;
    until(&fleet, &[]).await;
    until(&admin, &[]).await;
}

#[tokio::test]
async fn a_killed_server_is_gone_with_its_lease_and_fails_no_call() {
    let redis = Redis::start().await;
    let target = || redis.target("group=shop&lease=3s");
    let (dies, lives) = (Named::start("dies", target()).await, Named::start("lives", target()).await);
    let fleet = Channel::to(target());
    until(&fleet, &[&dies.address, &lives.address]).await;
    let (address, began) = (lives.address.clone(), std::time::Instant::now());
    dies.kill().await;
    while addresses(&fleet).len() > 1 {
        assert!(began.elapsed() < Duration::from_secs(60), "it is still there");
        assert_eq!(call(&fleet).await.expect("it goes to the other one"), "lives");
        sleep(Duration::from_millis(10)).await;
    }
    println!("gone after {:?} of a lease of 3 s", began.elapsed());
    until(&fleet, &[&address]).await;
}

#[tokio::test]
async fn a_whole_fleet_is_seen_by_who_asks_for_all_groups() {
    let redis = Redis::start().await;
    let shop = Named::start("a", redis.target("group=shop")).await;
    let admin = Named::start("b", redis.target("group=admin")).await;
    let mut watch = redis.target("group=ignored").all_groups().watch();
    let seen = timeout(Duration::from_secs(60), async {
        loop {
            let instances = watch.changed().await;
            if instances.len() == 2 {
                break instances;
            }
        }
    });
    let seen = seen.await.expect("both are seen");
    let mut groups: Vec<_> = seen.iter().flat_map(|instance| &instance.groups).collect();
    groups.sort();
    assert_eq!(groups, ["admin", "shop"]);
    assert!(seen.iter().all(|instance| instance.generation != 0 && instance.can.contains("protobuf")));
    shop.stop().await;
    admin.stop().await;
}

#[tokio::test]
async fn weight_and_zone_reach_the_clients() {
    let redis = Redis::start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it has one").to_string();
    let server = crate::server::server("a")
        .register(redis.target("group=shop"))
        .instance(|record| record.with_weight(3).with_zone("eu-1a").with_metadata("build", "7"));
    let serving = tokio::spawn(server.serve_with_listener(listener, std::future::pending()));
    let mut watch = Directory::from(redis.target("group=shop")).watch();
    let seen = timeout(Duration::from_secs(60), async {
        loop {
            if let [instance] = &*watch.changed().await {
                break InstanceRecord::clone(instance);
            }
        }
    });
    let seen = seen.await.expect("it is seen");
    assert_eq!((seen.address, seen.weight, seen.zone.as_deref()), (address, 3, Some("eu-1a")));
    assert_eq!(seen.metadata.get("build").map(String::as_str), Some("7"));
    serving.abort();
}

/// A thousand instances of group `shop`, that nobody renews.
pub(crate) async fn thousand(commands: &mut redis::aio::MultiplexedConnection) {
    let mut pipe = redis::pipe();
    for number in 0..1000 {
        let address = format!("10.1.{}.{}:9567", number / 250, number % 250 + 1);
        let record = InstanceRecord::new(&address).with_group("shop").with_service("users.v1.Users", "1.0");
        let record = json::encode(&record).expect("a record");
        pipe.zadd("dora:group:shop", &address, 1e15).ignore();
        pipe.set(format!("dora:instance:{address}"), record).ignore();
    }
    pipe.set("dora:revision:shop", "1").ignore();
    let () = pipe.query_async(commands).await.expect("written");
}

#[tokio::test]
async fn a_thousand_instances_are_one_list() {
    let redis = Redis::start().await;
    let mut commands = redis.commands().await;
    thousand(&mut commands).await;
    let fleet = Channel::to(redis.target("group=shop"));
    eventually("all are there", async || fleet.instances().len() == 1000).await;
    let server = Named::start("one more", redis.target("group=shop")).await;
    eventually("one more is there", async || fleet.instances().len() == 1001).await;
    server.stop().await;
    eventually("it has left", async || fleet.instances().len() == 1000).await;
}

//! Whatever else stands under the keys: passed over, counted, and never fatal.

use dora::Channel;
use dora::discovery::{DirectoryStatus, InstanceRecord, json};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;

use crate::server::{Named, Redis, addresses, call, eventually, until};

fn status(fleet: &dora::Fleet<Channel>) -> DirectoryStatus {
    fleet.directory().expect("it has one")
}

#[tokio::test]
async fn bad_records_are_passed_over_and_counted() {
    let redis = Redis::start().await;
    let good = Named::start("good", redis.target("group=shop")).await;
    let mut commands = redis.commands().await;
    let () = commands.zadd("dora:group:shop", "bad:1", 1e15).await.expect("written");
    let () = commands.set("dora:instance:bad:1", "{\"v\":1,").await.expect("written");
    let () = commands.zadd("dora:group:shop", "huge:1", 1e15).await.expect("written");
    let () = commands.set("dora:instance:huge:1", vec![b'x'; 1 << 20]).await.expect("written");
    let () = commands.zadd("dora:group:shop", "missing:1", 1e15).await.expect("written");
    let () = commands.zadd("dora:group:shop", b"\xff\xfe", f64::INFINITY).await.expect("written");
    let () = commands.sadd("dora.serverlist", "not json").await.expect("written");
    let fleet = Channel::to(redis.target("group=shop"));
    until(&fleet, &[&good.address]).await;
    assert_eq!(status(&fleet).skipped, 3);
    assert_eq!(call(&fleet).await.expect("answered"), "good");
    good.stop().await;
}

/// Redis closes connections that hear of changes when over 32 MB are to be sent; this one
/// over 4.
async fn impatient() -> Redis {
    Redis::start_with(&["--client-output-buffer-limit", "pubsub 4mb 4mb 60"]).await
}

#[tokio::test]
async fn a_record_that_redis_would_not_send_hides_nobody() {
    let redis = impatient().await;
    let good = Named::start("good", redis.target("group=shop")).await;
    let mut commands = redis.commands().await;
    let () = commands.setrange("dora:instance:huge:1", 6 << 20, "x").await.expect("written");
    let () = commands.lpush("dora:instance:list:1", "x").await.expect("written");
    let () = commands.zadd("dora:group:shop", "huge:1", 1e15).await.expect("written");
    let () = commands.zadd("dora:group:shop", "list:1", 1e15).await.expect("written");
    let () = commands.sadd("dora.serverlist", vec![b'x'; 6 << 20]).await.expect("written");
    let fleet = Channel::to(redis.target("group=shop"));
    until(&fleet, &[&good.address]).await;
    assert_eq!(status(&fleet).skipped, 3);
    good.stop().await;
}

#[tokio::test]
async fn records_of_any_size_are_listed_together() {
    const COUNT: usize = 150;
    let redis = impatient().await;
    let mut commands = redis.commands().await;
    // Of 60 KB each.
    let text = "v".repeat(1000);
    for start in (0..COUNT).step_by(50) {
        let mut pipe = redis::pipe();
        for number in start..start + 50 {
            let address = format!("10.1.{}.{}:9567", number / 250, number % 250 + 1);
            let mut record = InstanceRecord::new(&address).with_group("shop");
            for key in 0..60 {
                record = record.with_metadata(key.to_string(), &text);
            }
            pipe.zadd("dora:group:shop", &address, 1e15).ignore();
            let record = json::encode(&record).expect("a record");
            pipe.set(format!("dora:instance:{address}"), record).ignore();
        }
        let () = pipe.query_async(&mut commands).await.expect("written");
    }
    let () = commands.set("dora:revision:shop", "1").await.expect("written");
    let fleet = Channel::to(redis.target("group=shop"));
    eventually("all are there", async || fleet.instances().len() == COUNT).await;
    assert_eq!((status(&fleet).skipped, &status(&fleet).registries[0].failure), (0, &None));
    let server = Named::start("one more", redis.target("group=shop")).await;
    eventually("one more is there", async || fleet.instances().len() == COUNT + 1).await;
    server.stop().await;
    eventually("it has left", async || fleet.instances().len() == COUNT).await;
}

/// Puts what has another type under each of our keys.
async fn spoil(commands: &mut MultiplexedConnection, address: &str) {
    let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("dora:*").query_async(commands).await.expect("it is up");
    assert!(keys.len() >= 5, "{}", keys.len());
    for key in keys {
        let mut pipe = redis::pipe();
        pipe.atomic().del(&key).ignore().lpush(&key, "junk").ignore();
        let () = pipe.query_async(commands).await.expect("written");
    }
    let time = format!("dora.servertime.{}.time", address.replace(':', "."));
    let () = commands.del(&time).await.expect("written");
    let () = commands.lpush(&time, "junk").await.expect("written");
}

#[tokio::test]
async fn a_key_of_another_type_is_ours_again_with_the_next_announcement() {
    let redis = Redis::start().await;
    let mut commands = redis.commands().await;
    let target = || redis.target("group=shop,admin&lease=3s");
    let server = Named::start("a", target()).await;
    let before = Channel::to(target());
    until(&before, &[&server.address]).await;
    spoil(&mut commands, &server.address).await;
    let began = std::time::Instant::now();
    let after = Channel::to(target());
    eventually("it is announced again", async || {
        assert_eq!(call(&before).await.expect("nobody was dropped"), "a");
        addresses(&after) == std::slice::from_ref(&server.address)
    })
    .await;
    println!("announced again after {:?} of a lease of 3 s", began.elapsed());
    eventually("nothing is passed over any more", async || status(&after).skipped == 0).await;
    // And for PHP.
    let members: Vec<String> = commands.smembers("dora.serverlist").await.expect("it is up");
    assert_eq!(members.len(), 1, "{members:?}");
    spoil(&mut commands, &server.address).await;
    server.stop().await;
}

#[tokio::test]
async fn a_group_of_another_type_hides_no_other_group() {
    let redis = Redis::start().await;
    let mut commands = redis.commands().await;
    let () = commands.set("dora:group:odd", "junk").await.expect("written");
    let () = commands.set("dora:revision:odd", "1").await.expect("written");
    let () = commands.lpush("dora:revision:odder", "junk").await.expect("written");
    let () = commands.set(b"dora:revision:\xff\xfe", "1").await.expect("written");
    let server = Named::start("a", redis.target("group=shop")).await;
    let mut watch = redis.target("").all_groups().watch();
    let seen =
        async { while watch.changed().await.iter().all(|instance| instance.address != server.address) {} };
    tokio::time::timeout(crate::server::PATIENCE, seen).await.expect("it is found");
    assert_eq!(watch.status().skipped, 2, "a group that is none, and a name that is no text");
    let odd = Channel::to(redis.target("group=odd"));
    eventually("it is counted", async || status(&odd).skipped == 1).await;
    assert_eq!(status(&odd).registries[0].failure, None);
    server.stop().await;
}

#[tokio::test]
async fn a_key_of_phps_that_is_no_set_hides_nobody_and_is_left() {
    let redis = Redis::start().await;
    let mut commands = redis.commands().await;
    let () = commands.set("dora.serverlist", "no set").await.expect("written");
    let good = Named::start("good", redis.target("group=shop")).await;
    let fleet = Channel::to(redis.target("group=shop"));
    until(&fleet, &[&good.address]).await;
    assert_eq!(status(&fleet).skipped, 1);
    good.stop().await;
    until(&fleet, &[]).await;
    let left: String = commands.get("dora.serverlist").await.expect("it is up");
    assert_eq!(left, "no set");
}

#[tokio::test]
async fn a_time_of_phps_that_is_none_hides_nobody() {
    let redis = impatient().await;
    let mut commands = redis.commands().await;
    let member = |ip: &str| format!(r#"{{"node":{{"ip":"{ip}","port":9567}},"group":["shop"]}}"#);
    let (now, _): (i64, i64) = redis::cmd("TIME").query_async(&mut commands).await.expect("it is up");
    for ip in ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"] {
        let () = commands.sadd("dora.serverlist", member(ip)).await.expect("written");
    }
    let () = commands.set("dora.servertime.10.0.0.1.9567.time", now + 3600).await.expect("written");
    let () = commands.lpush("dora.servertime.10.0.0.2.9567.time", now).await.expect("written");
    let () = commands.set("dora.servertime.10.0.0.3.9567.time", "soon").await.expect("written");
    let () = commands.setrange("dora.servertime.10.0.0.4.9567.time", 6 << 20, "1").await.expect("written");
    let fleet = Channel::to(redis.target("group=shop"));
    until(&fleet, &["10.0.0.1:9567"]).await;
    assert_eq!(status(&fleet).skipped, 1, "the one of another type");
}

#[tokio::test]
async fn garbage_among_what_we_wrote_for_php_hinders_nobody() {
    let redis = Redis::start().await;
    let mut commands = redis.commands().await;
    for (address, wrote) in [
        ("gone:1", "not json"),
        ("gone:2", "[]"),
        ("gone:3", r#"{"node":7}"#),
        ("gone:4", r#"{"node":{"ip":[],"port":{}}}"#),
        ("gone:5", "null"),
    ] {
        let () = commands.hset("dora:php", address, wrote).await.expect("written");
    }
    let server = Named::start("a", redis.target("group=shop")).await;
    let fleet = Channel::to(redis.target("group=shop"));
    until(&fleet, &[&server.address]).await;
    let left: Vec<String> = commands.hkeys("dora:php").await.expect("it is up");
    assert_eq!(left, std::slice::from_ref(&server.address), "what cannot be ours is forgotten");
    // And of its own.
    let () = commands.hset("dora:php", &server.address, "not json").await.expect("written");
    server.stop().await;
    until(&fleet, &[]).await;
}

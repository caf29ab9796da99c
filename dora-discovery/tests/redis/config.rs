//! Configuration under a key of Redis.

use std::time::{Duration, Instant};

use dora::config::{ConfigKey, Watched};
use redis::AsyncCommands;
use tokio::time::{sleep, timeout};

use crate::server::{PATIENCE, Redis, eventually};

fn follow(redis: &Redis) -> Watched<u32> {
    let line = format!("redis://127.0.0.1:{}?key=shop/limit", redis.port);
    let check = |limit: &u32| if *limit < 1000 { Ok(()) } else { Err("it is below 1000") };
    let source = ConfigKey::new(&line).expect("a key");
    let limit = Watched::builder().check(check).start(source, 100_u32);
    assert_eq!((*limit.get(), limit.status().source), (100, line));
    limit
}

async fn next(limit: &mut Watched<u32>) -> u32 {
    *timeout(PATIENCE, limit.changed()).await.expect("it is seen")
}

async fn until_failure(limit: &Watched<u32>, wanted: &str) {
    eventually(wanted, async || limit.status().failure.is_some_and(|failure| failure.contains(wanted))).await;
}

#[tokio::test]
async fn a_value_is_followed_through_changes_and_restarts() {
    // A value over the bound is more than it would send.
    let mut redis = Redis::start_with(&["--client-output-buffer-limit", "pubsub 4mb 4mb 60"]).await;
    let mut limit = follow(&redis);
    let mut commands = redis.commands().await;
    // Nobody says that it has changed.
    let () = commands.set("shop/limit", 50).await.expect("written");
    assert_eq!(next(&mut limit).await, 50);
    for (value, wanted) in [
        ("5000", "its value is not used: it is below 1000"),
        ("many", "its value is not used: expected value at line 1"),
        ("", "its value is not used: EOF"),
    ] {
        let () = commands.set("shop/limit", value).await.expect("written");
        until_failure(&limit, wanted).await;
    }
    let () = commands.setrange("shop/limit", 6 << 20, "7").await.expect("written");
    until_failure(&limit, "it has over 1048576 bytes").await;
    let mut pipe = redis::pipe();
    let () = pipe
        .atomic()
        .del("shop/limit")
        .lpush("shop/limit", 7)
        .query_async(&mut commands)
        .await
        .expect("written");
    until_failure(&limit, "it cannot be read: \"shop/limit\" is a list, and no string").await;
    assert_eq!(*limit.get(), 50, "the last good one");

    redis.kill();
    until_failure(&limit, "it cannot be read: ").await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(*limit.get(), 50, "the last good one");
    assert!(limit.status().age.expect("it was read") >= Duration::from_secs(1));
    redis.restart().await;
    let mut commands = redis.commands().await;
    let () = commands.set("shop/limit", 60).await.expect("written");
    // It may have been seen empty before.
    let mut seen = next(&mut limit).await;
    if seen == 100 {
        seen = next(&mut limit).await;
    }
    assert_eq!(seen, 60);
    let () = commands.del("shop/limit").await.expect("written");
    assert_eq!(next(&mut limit).await, 100);
    assert!(limit.status().is_default);
}

/// How quickly changes are seen, the quickest of several: the machine may be busy.
async fn quickest(limit: &mut Watched<u32>, mut change: impl AsyncFnMut(u32)) -> Duration {
    let mut quickest = Duration::MAX;
    for value in 1..=6 {
        let began = Instant::now();
        change(value).await;
        assert_eq!(next(limit).await, value);
        quickest = quickest.min(began.elapsed());
    }
    quickest
}

#[tokio::test]
async fn a_hint_is_heard() {
    let redis = Redis::start().await;
    let mut limit = follow(&redis);
    eventually("it is read", async || limit.status().age.is_some()).await;
    let commands = redis.commands().await;
    let told = quickest(&mut limit, async |value| {
        let mut commands = commands.clone();
        let () = commands.set("shop/limit", value).await.expect("written");
        let heard: usize = commands.publish("dora:config:shop/limit", "").await.expect("told");
        assert_eq!(heard, 1, "it listens");
    });
    println!("seen after {:?} when it is told", told.await);

    // By Redis itself.
    let mut set = redis::cmd("CONFIG");
    let () = set
        .arg("SET")
        .arg("notify-keyspace-events")
        .arg("KA")
        .query_async(&mut commands.clone())
        .await
        .expect("set");
    let () = commands.clone().set("shop/limit", 500).await.expect("written");
    assert_eq!(next(&mut limit).await, 500);
    let seen = quickest(&mut limit, async |value| {
        let () = commands.clone().set("shop/limit", value).await.expect("written");
    });
    println!("seen after {:?} when Redis notifies", seen.await);
}

#[test]
fn a_key_is_named_with_what_to_write() {
    for (line, word) in [
        ("redis://a", "?key=shop/limits"),
        ("redis://a,b?key=limits", "redis+sentinel://"),
        ("redis://a/x?key=limits", "database"),
        ("redis+sentinel://a?key=limits", "which master"),
        ("redis://a?key=limits&ca=/ca.pem", "\"ca\" is unknown"),
        ("redis://me:secret@a?key=a&x=y", "\"x\" is unknown"),
    ] {
        let error = ConfigKey::new(line).expect_err(line).to_string();
        assert!(error.contains(word) && !error.contains("secret"), "{line}: {error}");
    }
}

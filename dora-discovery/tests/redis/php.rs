//! PHP's keys: what its servers write is found, and what it reads is written.

use std::collections::BTreeMap;

use dora::Channel;
use redis::AsyncCommands;
use serde_json::Value as Json;

use crate::server::{Named, Redis, eventually, until};

/// What real PHP was recorded to write, and to make of it.
const RECORDED: &str = include_str!("../vectors/discovery.php82.json");

/// When the second case was recorded, by the newest time in it.
const RECORDED_AT: i64 = 1_795_224_418;

fn case(name: &str) -> Json {
    let recorded: Json = serde_json::from_str(RECORDED).expect("JSON");
    let cases = recorded["cases"].as_array().expect("cases");
    cases.iter().find(|case| case["name"] == name).expect(name).clone()
}

async fn now(commands: &mut redis::aio::MultiplexedConnection) -> i64 {
    let (seconds, _): (i64, i64) = redis::cmd("TIME").query_async(commands).await.expect("it is up");
    seconds
}

/// The groups that PHP's Monitor wrote into its file, and the addresses in each.
fn groups(case: &Json) -> BTreeMap<String, Vec<String>> {
    let file = case["client_conf_php"].as_str().expect("text");
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut group = String::new();
    for line in file.lines() {
        let key = |indent: &str| {
            let quoted = line.strip_prefix(indent)?.strip_prefix('\'')?.strip_suffix("' => ")?;
            Some(quoted.replace("\\'", "'"))
        };
        if let Some(name) = key("  ") {
            group = name;
        } else if let Some(address) = key("    ") {
            groups.entry(group.clone()).or_default().push(address.replace('_', ":"));
        }
    }
    groups
}

#[tokio::test]
async fn phps_servers_are_found_as_its_monitor_finds_them() {
    let redis = Redis::start().await;
    let mut commands = redis.commands().await;
    let case = case("discovery-seeded");
    // As old as they were.
    let shift = now(&mut commands).await - RECORDED_AT;
    for member in case["redis"]["SMEMBERS dora.serverlist"].as_array().expect("members") {
        let () = commands.sadd("dora.serverlist", member.as_str().expect("text")).await.expect("written");
    }
    for (key, time) in case["redis"]["GET"].as_object().expect("times") {
        let time: i64 = time.as_str().expect("text").parse().expect("a number");
        let () = commands.set(key, time + shift).await.expect("written");
    }
    let groups = groups(&case);
    assert_eq!(groups.len(), 4, "{groups:?}");
    for (group, wanted) in &groups {
        let line = format!("group={}", group.replace(' ', "%20"));
        let fleet = Channel::to(redis.target(&line));
        let wanted: Vec<_> = wanted.iter().map(String::as_str).collect();
        until(&fleet, &wanted).await;
    }
}

async fn members(commands: &redis::aio::MultiplexedConnection) -> Vec<String> {
    let mut members: Vec<String> = commands.clone().smembers("dora.serverlist").await.expect("it is up");
    members.sort();
    members
}

#[tokio::test]
async fn a_server_writes_what_phps_server_writes_and_takes_it_back() {
    let redis = Redis::start().await;
    let mut commands = redis.commands().await;
    let foreign = r#"{"node":{"ip":"10.9.9.9","port":9567},"group":["group1"]}"#;
    let () = commands.sadd("dora.serverlist", foreign).await.expect("written");
    let server = Named::start("a", redis.target("group=group1,group2")).await;
    let port = server.address.strip_prefix("127.0.0.1:").expect("it listens there");
    let (recorded, time_key) = {
        let case = case("discovery-one-server");
        let member = case["redis"]["SMEMBERS dora.serverlist"][0].as_str().expect("text");
        let keys = case["redis"]["GET"].as_object().expect("times");
        let key = keys.keys().next().expect("one");
        (member.replace("19867", port), key.replace("19867", port))
    };
    eventually("it is written", async || members(&commands).await == [foreign, &recorded]).await;
    let time: i64 = commands.get(&time_key).await.expect("it is written, in seconds");
    assert!((now(&mut commands).await - time).abs() < 20, "by the clock of Redis");

    server.stop().await;
    assert_eq!(members(&commands).await, [foreign], "ours is gone, and nothing else");
    let left: Vec<String> = commands.keys("dora.servertime.*").await.expect("it is up");
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn what_ours_left_behind_is_cleared_and_nothing_of_others() {
    let redis = Redis::start().await;
    let commands = redis.commands().await;
    let foreign = r#"{"node":{"ip":"10.9.9.9","port":9567},"group":["group1"]}"#;
    let () = commands.clone().sadd("dora.serverlist", foreign).await.expect("written");
    let dies = Named::start("dies", redis.target("group=old&lease=1s")).await;
    eventually("it is written", async || members(&commands).await.len() == 2).await;
    let address = dies.address.clone();
    dies.kill().await;

    // Another of ours, at the same address, in another group.
    let listener = tokio::net::TcpListener::bind(&address).await.expect("it is free again");
    let next = Named::start_on(listener, "next", redis.target("group=new&lease=1s"));
    eventually("only the later group is written", async || {
        let members = members(&commands).await;
        members.len() == 2 && members.iter().any(|member| member.contains("\"new\""))
    })
    .await;
    next.kill().await;

    // And one elsewhere, when PHP would not find the dead one any more.
    eventually("its lease is over", async || {
        let known: bool =
            commands.clone().exists(format!("dora:instance:{address}")).await.expect("it is up");
        !known
    })
    .await;
    let key = format!("dora.servertime.{}.time", address.replace(':', "."));
    let () = commands.clone().set(key, 1).await.expect("written");
    let other = Named::start("other", redis.target("group=other")).await;
    eventually("the dead one is cleared", async || {
        let members = members(&commands).await;
        members.len() == 2 && members.iter().any(|member| member.contains("\"other\""))
    })
    .await;
    other.stop().await;
    assert_eq!(members(&commands).await, [foreign]);
}

#[tokio::test]
async fn a_stale_member_of_an_address_that_we_have_is_not_believed() {
    let redis = Redis::start().await;
    let commands = redis.commands().await;
    let server = Named::start("a", redis.target("group=new")).await;
    let port = server.address.strip_prefix("127.0.0.1:").expect("it listens there");
    // Of a PHP server that was there before: its time is fresh, since ours is written there.
    let stale = format!(r#"{{"node":{{"ip":"127.0.0.1","port":{port}}},"group":["old"]}}"#);
    let () = commands.clone().sadd("dora.serverlist", &stale).await.expect("written");
    let (new, old) = (Channel::to(redis.target("group=new")), Channel::to(redis.target("group=old")));
    until(&new, &[&server.address]).await;
    until(&old, &[]).await;
    assert!(old.directory().expect("it has one").age.is_some());
    server.stop().await;
    assert_eq!(members(&commands).await, [stale], "it is not ours to remove");
}

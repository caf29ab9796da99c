//! Masters that Sentinels watch, and replace.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dora::Channel;
use dora::config::{ConfigKey, Watched};
use dora::discovery::Target;
use redis::AsyncCommands;
use tokio::time::{sleep, timeout};

use crate::server::{Named, PATIENCE, Redis, call, connect, eventually, free_port, until};

const PASSWORD: &str = "s3cret";
const SENTINELS_PASSWORD: &str = "0ther";

/// A Sentinel that watches a master named `shop`, gone with this.
struct Sentinel {
    process: Child,
    folder: PathBuf,
    port: u16,
}

impl Sentinel {
    /// When it knows of a replica.
    async fn start(master: &Redis) -> Self {
        let port = free_port();
        let name = format!("sentinel-{}-{port}", std::process::id());
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).expect("a folder");
        let lines = [
            format!("port {port}"),
            "bind 127.0.0.1".to_owned(),
            format!("requirepass {SENTINELS_PASSWORD}"),
            format!("sentinel monitor shop 127.0.0.1 {} 1", master.port),
            format!("sentinel auth-pass shop {PASSWORD}"),
            "sentinel down-after-milliseconds shop 1000".to_owned(),
            "sentinel failover-timeout shop 3000".to_owned(),
        ];
        fs::write(folder.join("sentinel.conf"), lines.join("\n")).expect("it can be written");
        let mut command = Command::new("redis-server");
        command.args(["sentinel.conf", "--sentinel"]).current_dir(&folder);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("redis-server");
        let sentinel = Self { process, folder, port };
        eventually("the Sentinel knows the replica", async || {
            let replicas: Option<Vec<redis::Value>> = sentinel.ask(&["REPLICAS", "shop"]).await;
            replicas.is_some_and(|replicas| replicas.len() == 1)
        })
        .await;
        sentinel
    }

    async fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> Option<T> {
        let url = format!("redis://:{SENTINELS_PASSWORD}@127.0.0.1:{}", self.port);
        let mut commands = connect(&url).await.ok()?;
        redis::cmd("SENTINEL").arg(words).query_async(&mut commands).await.ok()
    }

    async fn master(&self) -> u16 {
        let master: Option<(String, u16)> = self.ask(&["GET-MASTER-ADDR-BY-NAME", "shop"]).await;
        master.expect("it knows one").1
    }

    /// What a user writes. One Sentinel of two is never there.
    fn line(&self, parameters: &str) -> String {
        let (nobody, port) = (free_port(), self.port);
        format!(
            "redis+sentinel://:{PASSWORD}@127.0.0.1:{nobody},127.0.0.1:{port}/shop/0\
             ?sentinel_password={SENTINELS_PASSWORD}&{parameters}"
        )
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A master and its replica.
async fn pair() -> [Redis; 2] {
    let known = ["--requirepass", PASSWORD, "--masterauth", PASSWORD, "--repl-diskless-sync-delay", "0"];
    let master = Redis::start_with(&known).await;
    let of = ["--replicaof", "127.0.0.1", &master.port.to_string()].map(str::to_owned);
    let of: Vec<_> = of.iter().map(String::as_str).collect();
    let replica = Redis::start_with(&[&known[..], &of].concat()).await;
    eventually("they are in step", async || {
        let info: String = redis::cmd("INFO")
            .arg("replication")
            .query_async(&mut commands(&replica).await)
            .await
            .expect("it is up");
        info.contains("master_link_status:up")
    })
    .await;
    [master, replica]
}

async fn commands(redis: &Redis) -> redis::aio::MultiplexedConnection {
    connect(&format!("redis://:{PASSWORD}@127.0.0.1:{}", redis.port)).await.expect("it is up")
}

#[tokio::test]
async fn servers_and_clients_follow_the_master() {
    let mut both = pair().await;
    let sentinel = Sentinel::start(&both[0]).await;
    let target = || Target::new(&sentinel.line("group=shop&lease=5s")).expect("a target");
    let a = Named::start("a", target()).await;
    let fleet = Channel::to(target());
    until(&fleet, &[&a.address]).await;
    let key = ConfigKey::new(&sentinel.line("key=limit")).expect("a key");
    let mut limit = Watched::builder().start(key, 100_u32);

    // An operator has them change places.
    let before = sentinel.master().await;
    eventually("it begins", async || sentinel.ask::<String>(&["FAILOVER", "shop"]).await.is_some()).await;
    eventually("the other one is the master", async || sentinel.master().await != before).await;
    let b = Named::start("b", target()).await;
    let moved = until(&fleet, &[&a.address, &b.address]).await;
    println!("a server that joins is found {moved:?} after a change of masters");

    // The master dies.
    let master = sentinel.master().await;
    eventually("both are in step again", async || {
        let standing = both.iter().find(|redis| redis.port == master).expect("one of them");
        let info: String = redis::cmd("INFO")
            .arg("replication")
            .query_async(&mut commands(standing).await)
            .await
            .expect("it is up");
        info.contains("connected_slaves:1")
    })
    .await;
    both.iter_mut().find(|redis| redis.port == master).expect("one of them").kill();
    let began = Instant::now();
    while sentinel.master().await == master {
        assert!(began.elapsed() < PATIENCE, "no master is chosen");
        call(&fleet).await.expect("an outage of the registry fails no call");
        sleep(Duration::from_millis(20)).await;
    }
    let chosen = began.elapsed();
    let c = Named::start("c", target()).await;
    until(&fleet, &[&a.address, &b.address, &c.address]).await;
    println!(
        "the master is replaced after {chosen:?}, a server that joins found after {:?}",
        began.elapsed()
    );
    let now = sentinel.master().await;
    let alive = both.iter().find(|redis| redis.port == now).expect("one of them");
    let () = commands(alive).await.set("limit", 7).await.expect("written");
    assert_eq!(*timeout(PATIENCE, limit.changed()).await.expect("it is seen"), 7);
    for server in [a, b, c] {
        server.stop().await;
    }
    until(&fleet, &[]).await;
}

#[tokio::test]
async fn what_sentinels_do_not_know_is_named() {
    let both = pair().await;
    let sentinel = Sentinel::start(&both[0]).await;
    let line = sentinel.line("group=shop").replace("/shop/0", "/unknown");
    let target = Target::new(&line).expect("a target");
    for shown in [target.to_string(), format!("{target:?}")] {
        assert!(!shown.contains(PASSWORD) && !shown.contains(SENTINELS_PASSWORD), "{shown}");
    }
    let fleet = Channel::to(target);
    let knows_none = format!("127.0.0.1:{} knows no master \"unknown\"", sentinel.port);
    eventually(&knows_none, async || {
        let failure = fleet.directory().expect("it has one").registries[0].failure.clone();
        failure.is_some_and(|failure| failure.contains(&knows_none) && failure.contains("refused"))
    })
    .await;
    for (line, word) in [
        ("redis+sentinel://a", "which master; write \"redis+sentinel://a:26379/mymaster\""),
        ("redis+sentinel://a/shop/x", "no number of a database"),
        ("redis+sentinel://:secret@a/shop?sentinel_password=secret&x=y", "\"x\" is unknown"),
    ] {
        let error = Target::new(line).expect_err(line).to_string();
        assert!(error.contains(word) && !error.contains("secret"), "{line}: {error}");
    }
}

//! Addresses that are used again, and processes that were away.

use std::sync::mpsc;
use std::time::Duration;

use dora::Channel;
use dora::discovery::InstanceRecord;
use tokio::time::sleep;

use crate::server::{Named, Redis, addresses, call, until};

#[tokio::test]
async fn an_address_that_another_group_uses_again_is_not_found_in_the_old_one() {
    let redis = Redis::start().await;
    let old = Named::start("old", redis.target("group=shop&lease=30s")).await;
    let (shop, admin) = (Channel::to(redis.target("group=shop")), Channel::to(redis.target("group=admin")));
    until(&shop, &[&old.address]).await;
    let address = old.address.clone();
    // Its lease lasts for half a minute more.
    old.kill().await;
    let listener = tokio::net::TcpListener::bind(&address).await.expect("it is free again");
    let new = Named::start_on(listener, "new", redis.target("group=admin&lease=30s"));
    until(&admin, &[&address]).await;
    until(&shop, &[]).await;
    assert_eq!(call(&admin).await.expect("answered"), "new");
    new.stop().await;
}

/// How wrong the clock of a server's machine is.
#[derive(Clone, Copy, Debug)]
enum Skew {
    Right,
    /// By an hour.
    Ahead,
    Behind,
}

impl Skew {
    fn of(self, mut record: InstanceRecord) -> InstanceRecord {
        const HOUR: u64 = 3_600_000;
        match self {
            Self::Right => {}
            Self::Ahead => record.started += HOUR,
            Self::Behind => record.started -= HOUR,
        }
        record
    }
}

#[tokio::test]
async fn a_server_whose_predecessor_had_a_wrong_clock_is_found_at_once() {
    let redis = Redis::start().await;
    let target = || redis.target("group=shop&lease=30s");
    let fleet = Channel::to(target());
    let dies = Named::start_as("dies", target(), |record| Skew::Ahead.of(record)).await;
    until(&fleet, &[&dies.address]).await;
    let address = dies.address.clone();
    dies.kill().await;
    let listener = tokio::net::TcpListener::bind(&address).await.expect("it is free again");
    let began = std::time::Instant::now();
    let next = Named::start_on(listener, "next", redis.target("group=next&lease=30s"));
    let found = Channel::to(redis.target("group=next"));
    until(&found, &[&address]).await;
    until(&fleet, &[]).await;
    println!("found after {:?}, while a lease of 30 s has not ended", began.elapsed());
    next.stop().await;
}

/// A server in a runtime of its own thread, which a task of it blocks: all that it does
/// stands still, as in a process that is stopped.
struct Pausable {
    pause: tokio::sync::mpsc::UnboundedSender<mpsc::Receiver<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Pausable {
    fn start(address: String, target: dora::discovery::Target, skew: Skew) -> Self {
        let (pause, mut pauses) = tokio::sync::mpsc::unbounded_channel::<mpsc::Receiver<()>>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                // The address is that of another: what is asked is who may say so.
                let server = crate::server::server("paused").advertise(&*address).register(target);
                let server = server.instance(move |record| skew.of(record));
                let stop = async move {
                    while let Some(until) = pauses.recv().await {
                        let _ = until.recv();
                    }
                };
                server.serve_with_listener(listener, stop).await.expect("it serves");
            });
        });
        Self { pause, thread: Some(thread) }
    }

    /// Stands still until what this returns is dropped.
    fn pause(&self) -> mpsc::Sender<()> {
        let (go_on, until) = mpsc::channel();
        self.pause.send(until).expect("it serves");
        go_on
    }

    fn stop(mut self) {
        let Self { pause, thread } = &mut self;
        let (closed, _) = tokio::sync::mpsc::unbounded_channel();
        *pause = closed;
        thread.take().expect("it runs").join().expect("it ends");
    }
}

#[tokio::test]
async fn a_process_that_was_away_for_longer_than_its_lease_is_fenced() {
    is_fenced(Skew::Right).await;
}

#[tokio::test]
async fn who_was_away_is_fenced_whatever_its_clock_says() {
    is_fenced(Skew::Ahead).await;
    is_fenced(Skew::Behind).await;
}

async fn is_fenced(skew: Skew) {
    let redis = Redis::start().await;
    let (shop, admin) = (Channel::to(redis.target("group=shop")), Channel::to(redis.target("group=admin")));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it has one").to_string();
    let paused = Pausable::start(address.clone(), redis.target("group=shop&lease=1s"), skew);
    until(&shop, &[&address]).await;
    let go_on = paused.pause();
    until(&shop, &[]).await;

    let successor = Named::start_on(listener, "successor", redis.target("group=admin&lease=1s"));
    until(&admin, &[&address]).await;
    drop(go_on);
    // It renews three times a second, and is refused.
    for _ in 0..20 {
        sleep(Duration::from_millis(100)).await;
        assert!(addresses(&shop).is_empty(), "{skew:?}: it has come back under the address of another");
        assert_eq!(addresses(&admin), std::slice::from_ref(&address));
    }
    // The order is known to the servers: a Redis that lost it, and whose clock is wrong, too,
    // is told it again.
    let mut commands = redis.commands().await;
    let () = redis::cmd("FLUSHALL").query_async(&mut commands).await.expect("it is up");
    let () = redis::cmd("SET").arg("dora:term").arg(1).query_async(&mut commands).await.expect("it is up");
    until(&admin, &[&address]).await;
    sleep(Duration::from_secs(2)).await;
    let found: String = redis::cmd("GET")
        .arg(format!("dora:instance:{address}"))
        .query_async(&mut commands)
        .await
        .expect("found");
    assert!(found.contains("\"admin\""), "{skew:?}: {found}");
    // Nor does it take away what is another's when it ends.
    paused.stop();
    sleep(Duration::from_millis(300)).await;
    assert_eq!(call(&admin).await.expect("answered"), "successor");
    successor.stop().await;
}

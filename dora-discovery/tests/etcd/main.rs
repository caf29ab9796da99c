//! Discovery in real etcd, which is killed, stopped and restarted.

#[path = "../shared/certificates.rs"]
mod certificates;
mod config;
mod secured;
mod server;

use std::sync::Arc;
use std::time::Duration;

use dora::discovery::{
    Directory, Discover, Etcd, EtcdRegister, InstanceRecord, Register, Standing, Target, Watch,
};
use etcd_client::PutOptions;
use server::{Member, PATIENCE};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// The shortest that etcd keeps.
const LEASE: Duration = Duration::from_secs(2);

fn etcd(members: &[Member]) -> Etcd {
    Etcd::new(members.iter().map(Member::address)).prefix("test")
}

fn record(address: &str) -> InstanceRecord {
    InstanceRecord::new(address).with_group("shop")
}

/// Waits until the list has these addresses.
async fn until(watch: &mut Watch, expected: &[&str]) -> Arc<[Arc<InstanceRecord>]> {
    let wait = async {
        loop {
            let list = watch.changed().await;
            if list.iter().map(|instance| &*instance.address).eq(expected.iter().copied()) {
                return list;
            }
        }
    };
    match timeout(PATIENCE, wait).await {
        Ok(list) => list,
        Err(_) => panic!("the list is not {expected:?}: {watch:?}"),
    }
}

/// Announces until it succeeds, as a server does.
async fn announce(register: &mut EtcdRegister, record: &InstanceRecord) -> Standing {
    let begin = Instant::now();
    loop {
        match register.announce(record).await {
            Ok(standing) => return standing,
            Err(error) if begin.elapsed() > PATIENCE => panic!("{error}"),
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Announces until it is dropped, as a server does; then it is silent, as one that was
/// killed.
struct Kept(JoinHandle<()>);

impl Kept {
    fn start(mut register: EtcdRegister, record: InstanceRecord) -> Self {
        Self(tokio::spawn(async move {
            loop {
                let failed = register.announce(&record).await.is_err();
                let pause = if failed { Duration::from_millis(100) } else { register.lease() / 3 };
                let _ = timeout(pause, register.lost()).await;
            }
        }))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_joins_is_seen_and_who_leaves_is_not() {
    let member = Member::start().await;
    let target = |group: &str| {
        Target::new(&format!("etcd://{}/a/b?group={group}", member.address())).expect("a target")
    };
    let mut shop = Directory::from(target("shop")).watch();
    let mut admin = Directory::from(target("admin")).watch();
    until(&mut shop, &[]).await;

    let etcd = Etcd::new([member.address()]).prefix("/a/b/");
    let (mut first, mut second) = (etcd.register(), etcd.register());
    let one = record("10.0.2.15:9567").with_weight(3);
    let two = record("unix:/run/x.sock").with_group("admin");
    assert_eq!(first.announce(&one).await.expect("it is there"), Standing::Announced);
    let list = until(&mut shop, &["10.0.2.15:9567"]).await;
    assert_eq!(*list[0], one, "all of the record");
    second.announce(&two).await.expect("it is there");
    until(&mut shop, &["10.0.2.15:9567", "unix:/run/x.sock"]).await;
    until(&mut admin, &["unix:/run/x.sock"]).await;

    first.withdraw(&one).await.expect("it is there");
    first.withdraw(&one).await.expect("there is nothing to withdraw any more");
    until(&mut shop, &["unix:/run/x.sock"]).await;
    second.withdraw(&two).await.expect("it is there");
    until(&mut shop, &[]).await;
    until(&mut admin, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_lease_is_renewed_and_ends_with_its_server() {
    let member = Member::start().await;
    let etcd = etcd(std::slice::from_ref(&member));
    let mut watch = Directory::new(etcd.discover()).watch();
    let mut register = etcd.register().with_lease(LEASE);
    let record = record("a:1");
    let begin = Instant::now();
    while begin.elapsed() < LEASE * 3 {
        register.announce(&record).await.expect("it is there");
        sleep(LEASE / 6).await;
    }
    until(&mut watch, &["a:1"]).await;
    // One key, written once, however often it was renewed.
    let answer = member.client().await.get("test/instances/a:1", None).await.expect("it is there");
    assert_eq!(answer.kvs()[0].version(), 1);
    let alone = timeout(Duration::from_millis(10), watch.changed()).await;
    assert!(alone.is_err(), "it never went: {alone:?}");
    drop(register);
    until(&mut watch, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_run_that_was_away_does_not_displace_a_later_one() {
    let member = Member::start().await;
    let etcd = etcd(std::slice::from_ref(&member));
    let mut watch = Directory::new(etcd.discover()).watch();
    let (mut first, mut second) = (etcd.register().with_lease(LEASE), etcd.register());
    let mut before = record("a:1");
    // Its machine's clock is wrong by an hour.
    before.started += 3_600_000;
    first.announce(&before).await.expect("it is there");
    until(&mut watch, &["a:1"]).await;
    // It is paused, and its lease ends.
    until(&mut watch, &[]).await;

    let after = record("a:1").with_group("admin");
    second.announce(&after).await.expect("it is there");
    assert_eq!(first.announce(&before).await.expect("it is there"), Standing::Superseded);
    first.withdraw(&before).await.expect("it is there");
    let list = until(&mut watch, &["a:1"]).await;
    assert_eq!(list[0].generation, after.generation);
    assert_eq!(second.announce(&after).await.expect("it is there"), Standing::Announced);

    // Were the later one away, too, and the earlier one back first, it would have its place again.
    second.withdraw(&after).await.expect("it is there");
    assert_eq!(first.announce(&before).await.expect("it is there"), Standing::Announced);
    assert_eq!(second.announce(&after).await.expect("it is there"), Standing::Announced);
    assert_eq!(first.announce(&before).await.expect("it is there"), Standing::Superseded);

    // Nor does it matter who was announced first: the later run takes the place.
    let mut third = record("a:1");
    third.started = 0;
    assert_eq!(etcd.register().announce(&third).await.expect("it is there"), Standing::Announced);
    assert_eq!(second.announce(&after).await.expect("it is there"), Standing::Superseded);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_outage_empties_no_list_and_ends_with_the_restart() {
    let mut member = Member::start().await;
    let etcd = etcd(std::slice::from_ref(&member));
    let mut watch = Directory::new(etcd.discover()).lease(LEASE).watch();
    let (mut stays, mut goes) = (etcd.register().with_lease(LEASE), etcd.register().with_lease(LEASE));
    let (one, two) = (record("a:1"), record("b:1"));
    stays.announce(&one).await.expect("it is there");
    goes.announce(&two).await.expect("it is there");
    until(&mut watch, &["a:1", "b:1"]).await;

    member.kill();
    timeout(PATIENCE, stays.lost()).await.expect("the end of the connection is noticed");
    let error = stays.announce(&one).await.expect_err("nobody is there").to_string();
    assert!(error.contains(member.address()) && error.contains("refused"), "{error}");
    let failed = async {
        while watch.status().registries[0].failure.is_none() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, failed).await.expect("the outage is noticed");
    sleep(LEASE).await;
    assert_eq!(watch.status().instances, 2, "longer than the lease, and nobody was dropped");

    // One server comes back, the other one has ended meanwhile.
    drop(goes);
    member.run();
    member.up().await;
    assert_eq!(announce(&mut stays, &one).await, Standing::Announced);
    let _stays = Kept::start(stays, one);
    until(&mut watch, &["a:1"]).await;
    assert!(watch.status().registries[0].failure.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_member_that_hangs_is_noticed_and_left() {
    let member = Member::start().await;
    let etcd = etcd(std::slice::from_ref(&member));
    let mut discover = etcd.discover();
    let (mut register, record) = (etcd.register(), record("a:1"));
    register.announce(&record).await.expect("it is there");
    assert_eq!(discover.next().await.expect("it is there").instances.len(), 1);
    // The watch is there; then nothing changes, and the member says so: the list has an age.
    for _ in 0..3 {
        let listing = timeout(PATIENCE, discover.next()).await.expect("within seconds");
        assert_eq!(listing.expect("it is there").instances.len(), 1);
    }

    member.signal("STOP");
    let silent = format!("etcd at {} has not answered within 2s", member.address());
    let error = timeout(PATIENCE, discover.next()).await.expect("it ends").expect_err("nobody answers");
    assert_eq!(error.to_string(), silent);
    let error =
        timeout(PATIENCE, register.announce(&record)).await.expect("it ends").expect_err("nobody answers");
    assert_eq!(error.to_string(), silent);
    member.signal("CONT");
    assert_eq!(announce(&mut register, &record).await, Standing::Announced);
    let mut watch = Directory::new(discover).watch();
    until(&mut watch, &["a:1"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_cluster_does_without_a_member() {
    let mut members = Member::three().await;
    let etcd = etcd(&members);
    let mut watch = Directory::new(etcd.discover()).lease(LEASE).watch();
    let two = record("b:1");
    let _one = Kept::start(etcd.register(), record("a:1"));
    until(&mut watch, &["a:1"]).await;
    // Each one of the three in its turn, so that it is theirs at some time.
    for member in &mut members {
        member.kill();
        let mut other = etcd.register();
        assert_eq!(announce(&mut other, &two).await, Standing::Announced);
        until(&mut watch, &["a:1", "b:1"]).await;
        member.run();
        member.up().await;
        other.withdraw(&two).await.expect("the cluster is whole");
        until(&mut watch, &["a:1"]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_is_no_record_is_passed_over_and_others_keys_are_left_alone() {
    let member = Member::start().await;
    let etcd = etcd(std::slice::from_ref(&member));
    let mut client = member.client().await;
    client.put("test/instances/bad", "not json", None).await.expect("it is there");
    client.put("test/instances0", "beyond", None).await.expect("it is there");
    client.put("test/config/limit", "7", None).await.expect("it is there");
    let mut discover = etcd.discover();
    let listing = discover.next().await.expect("it is there");
    assert_eq!((listing.instances.len(), listing.skipped), (0, 1));

    // In place of what is not understood at its own address it writes.
    let lease = client.lease_grant(60, None).await.expect("a lease").id();
    let under = PutOptions::new().with_lease(lease);
    client.put("test/instances/a:1", "{}", Some(under)).await.expect("it is there");
    let mut register = etcd.register();
    assert_eq!(register.announce(&record("a:1")).await.expect("it is there"), Standing::Announced);
    register.withdraw(&record("a:1")).await.expect("it is there");
    let left = client.get("test/", Some(etcd_client::GetOptions::new().with_prefix())).await.expect("there");
    let left: Vec<_> = left.kvs().iter().map(|key| key.key_str().expect("text")).collect();
    assert_eq!(left, ["test/config/limit", "test/instances/bad", "test/instances0"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn more_instances_than_a_page_are_listed() {
    let member = Member::start().await;
    let mut client = member.client().await;
    for start in (0..2500).step_by(100) {
        let put = |number: usize| {
            let record = record(&format!("10.0.{}.{}:9567", number / 250, number % 250));
            let text = dora::discovery::json::encode(&record).expect("a record");
            etcd_client::TxnOp::put(format!("test/instances/{}", record.address), text, None)
        };
        let puts: Vec<_> = (start..start + 100).map(put).collect();
        client.txn(etcd_client::Txn::new().and_then(puts)).await.expect("it is there");
    }
    let mut discover = etcd(std::slice::from_ref(&member)).discover();
    let listing = discover.next().await.expect("it is there");
    assert_eq!((listing.instances.len(), listing.skipped), (2500, 0));
}

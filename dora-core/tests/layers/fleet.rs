//! A fleet over real connections: instances that are dead, that come and go.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dora_core::call::code::Code;
use dora_core::call::status::Status;
use dora_core::middleware::balance::builder::FleetBuilder;
use dora_core::middleware::balance::fleet::Fleet;
use dora_core::middleware::balance::instance::InstanceKey;
use dora_core::server::Server;
use dora_core::stub::caller::Caller;
use dora_core::stub::dynamic::DynamicClient;
use dora_core::transport::client::channel::Channel;
use dora_core::transport::client::endpoint::Endpoint;
use dora_core::transport::server::stats::Stats;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower::discover::Change;
use tower::layer::util::Identity;

use crate::support::{GET, Mounted, PATIENCE, PUT, Work, all_well, batch, call, endpoint, serve};

fn fleet(endpoints: Vec<Endpoint>) -> Fleet<Channel> {
    FleetBuilder::default().endpoints(endpoints).expect("settings")
}

/// An address where nothing listens.
async fn dead() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("bound")
}

/// Fifty waves of calls that may not be made twice, every other one of batches.
async fn waves(client: &Fleet<Channel>) {
    for number in 0..50 {
        let calls = (0..64).map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                match number % 2 {
                    0 => call(&client, &PUT, 0).await.map(drop),
                    _ => batch(&client, &PUT, &[0]).await.map(|results| drop(all_well(Ok(results)))),
                }
            })
        });
        for call in calls.collect::<Vec<_>>() {
            call.await.expect("no panic").expect("the live one takes it");
        }
    }
}

#[tokio::test]
async fn beside_a_dead_instance_no_call_fails() {
    let work = Arc::new(Work::default());
    let live = endpoint(serve(&work, Identity::new()).await);
    waves(&fleet(vec![live, endpoint(dead().await)])).await;
    assert_eq!(work.started(), 3_200, "none ran twice");
}

#[tokio::test]
async fn beside_one_that_swallows_connections_no_call_fails() {
    let work = Arc::new(Work::default());
    let live = endpoint(serve(&work, Identity::new()).await);
    let swallows = endpoint(dead().await)
        .connect_timeout(Duration::from_millis(50))
        .connect_with(|_| pending::<std::io::Result<TcpStream>>());
    waves(&fleet(vec![live, swallows])).await;
    assert_eq!(work.started(), 3_200, "none ran twice");
}

#[tokio::test]
async fn beside_one_that_takes_calls_and_closes_idempotent_ones_succeed() {
    let work = Arc::new(Work::default());
    let live = endpoint(serve(&work, Identity::new()).await);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let closes = endpoint(listener.local_addr().expect("bound"));
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let client = fleet(vec![live, closes]);
    for _ in 0..50 {
        let calls: Vec<_> = (0..64).map(|_| call(&client, &GET, 0).spawn()).collect();
        for call in calls {
            call.await.expect("no panic").expect("another try, on the live one");
        }
    }
}

#[tokio::test]
async fn when_nothing_listens_anywhere_calls_fail_soon() {
    let client = fleet(vec![endpoint(dead().await), endpoint(dead().await)]);
    let start = Instant::now();
    for _ in 0..3 {
        let error = call(&client, &PUT, 0).await.expect_err("nothing listens");
        assert_eq!((error.code(), error.is_unsent()), (Code::Unavailable, true), "{error}");
    }
    assert!(start.elapsed() < PATIENCE / 2, "{:?}", start.elapsed());
}

/// A server, its statistics, and its endpoint.
async fn counted(work: &Arc<Work>) -> (Arc<Stats>, Endpoint) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = endpoint(listener.local_addr().expect("bound"));
    let server = Server::builder().add_service(Mounted(Arc::clone(work)));
    let stats = server.stats();
    tokio::spawn(server.serve_with_listener(listener, pending()));
    (stats, endpoint)
}

#[tokio::test]
async fn an_endpoint_that_is_given_twice_is_one_instance_with_two_connections() {
    let work = Arc::new(Work::default());
    let (stats, endpoint) = counted(&work).await;
    let client = FleetBuilder::default().endpoints([endpoint.clone(), endpoint]).expect("settings");
    assert_eq!(client.instances().len(), 1);
    for _ in 0..20 {
        call(&client, &PUT, 0).await.expect("answered");
    }
    assert_eq!((stats.snapshot().accepted, work.started()), (2, 20));
}

#[tokio::test]
async fn an_instance_has_as_many_connections_as_were_asked_for() {
    let work = Arc::new(Work::default());
    let (stats, endpoint) = counted(&work).await;
    let change = Change::Insert(InstanceKey::from("a"), endpoint);
    let changes = futures_util::stream::iter([Ok::<_, Status>(change)]);
    let client = FleetBuilder::default().connections(3).discover_endpoints(changes);
    for _ in 0..30 {
        call(&client, &PUT, 0).await.expect("answered");
    }
    assert_eq!((stats.snapshot().accepted, work.started()), (3, 30));
}

#[tokio::test]
async fn what_is_warmed_up_is_connected_before_its_first_call() {
    let work = Arc::new(Work::default());
    let (stats, endpoint) = counted(&work).await;
    let client = FleetBuilder::default().warm_up().connections(2).endpoints([endpoint]).expect("settings");
    let start = Instant::now();
    while stats.snapshot().accepted < 2 {
        assert!(start.elapsed() < PATIENCE, "nobody connects");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    call(&client, &PUT, 0).await.expect("answered");
    assert_eq!(stats.snapshot().accepted, 2);
}

/// A server that can be told to stop, and started again where it was.
struct Instance {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

impl Instance {
    async fn start(address: SocketAddr, work: &Arc<Work>) -> Self {
        let listener = TcpListener::bind(address).await.expect("the port is free");
        let address = listener.local_addr().expect("bound");
        let server = Server::builder().add_service(Mounted(Arc::clone(work)));
        let (stop, stopped) = oneshot::channel();
        let ended = tokio::spawn(async move {
            let told = async { drop(stopped.await) };
            server.serve_with_listener(listener, told).await.expect("served");
        });
        Self { address, stop, ended }
    }

    async fn restart(self, work: &Arc<Work>) -> Self {
        let _ = self.stop.send(());
        self.ended.await.expect("no panic");
        Self::start(self.address, work).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rolling_restarts_under_load_lose_no_call_and_run_none_twice() {
    const RESTARTS: usize = 12;
    let work = Arc::new(Work::default());
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut instances = Vec::new();
    for _ in 0..3 {
        instances.push(Instance::start(anywhere, &work).await);
    }
    let client = fleet(instances.iter().map(|instance| endpoint(instance.address)).collect());
    let (done, made) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let (client, done, made) = (client.clone(), Arc::clone(&done), Arc::clone(&made));
            tokio::spawn(async move {
                while !done.load(Ordering::SeqCst) {
                    call(&client, &PUT, 1).await?;
                    made.fetch_add(1, Ordering::SeqCst);
                }
                Ok::<_, Status>(())
            })
        })
        .collect();
    for number in 0..RESTARTS {
        let before = made.load(Ordering::SeqCst);
        let instance = instances.remove(0);
        instances.push(tokio::time::timeout(PATIENCE, instance.restart(&work)).await.expect("it drains"));
        let start = Instant::now();
        while made.load(Ordering::SeqCst) < before + 100 {
            assert!(start.elapsed() < PATIENCE, "calls go on after restart {number}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    done.store(true, Ordering::SeqCst);
    for caller in callers {
        caller.await.expect("no panic").expect("no call is lost");
    }
    assert_eq!(work.started(), made.load(Ordering::SeqCst), "none ran twice");
}

/// How long a call waits that nobody gave a time, and what it is told.
async fn wait_in_vain<S: Caller>(client: S) -> (Duration, Status) {
    let begun = tokio::time::Instant::now();
    let call = DynamicClient::new(client).call("/user/get", 7).into_future();
    let waited = tokio::time::timeout(Duration::from_secs(3_600), call).await;
    let status = waited.expect("it ends by itself").expect_err("no instance");
    (begun.elapsed(), status)
}

#[tokio::test(start_paused = true)]
async fn a_call_without_a_time_waits_no_longer_than_endpoints_say() {
    let silent = futures_util::stream::pending::<Result<Change<InstanceKey, Channel>, Status>>();
    let (took, status) = wait_in_vain(FleetBuilder::default().discover(silent)).await;
    assert_eq!((took.as_secs(), status.code()), (3, Code::DeadlineExceeded), "nothing was heard: {status}");
    assert!(status.is_unsent());

    let unreachable = endpoint(dead().await)
        .connect_with(|_| pending::<std::io::Result<TcpStream>>())
        .connect_timeout(Duration::from_secs(60))
        .timeout(Duration::from_millis(200));
    let fleet = fleet(vec![unreachable]);
    // The first call asks for the connection, the second waits for what comes of it.
    for _ in 0..2 {
        let (took, status) = wait_in_vain(fleet.clone()).await;
        assert_eq!((took.as_millis() / 10, status.code()), (20, Code::DeadlineExceeded), "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_waited_in_vain_is_told_what_keeps_instances_away() {
    let refused = || async { Err::<TcpStream, _>(std::io::Error::other("the cable is cut")) };
    let far = endpoint(dead().await).connect_with(move |_| refused()).timeout(Duration::from_millis(1));
    let peer = far.clone().connect_lazy().expect("settings").peer().to_owned();
    let fleet = fleet(vec![far]);
    let mut told = None;
    for _ in 0..100 {
        let (_, status) = wait_in_vain(fleet.clone()).await;
        // Now and then one comes to the endpoint itself, just as it may try again.
        if status.message().starts_with("no instance of the fleet was ready before the deadline") {
            told = Some(status);
            break;
        }
    }
    let status = told.expect("most pauses are longer than the time of a call");
    assert!(status.code() == Code::DeadlineExceeded && status.is_unsent());
    let text = status.to_string();
    assert!(text.contains(&peer) && text.contains("the cable is cut"), "{text}");
}

#[test]
fn an_address_that_is_none_is_named_once() {
    let error = FleetBuilder::default().connect_lazy(["127.0.0.1"]).expect_err("there is no port");
    assert_eq!(error.code(), Code::InvalidArgument);
    assert_eq!(
        error.message(),
        "\"127.0.0.1\" is no address of a server: there is no port; write \"127.0.0.1:9567\""
    );
}

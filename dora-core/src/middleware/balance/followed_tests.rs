use std::future::{Ready, ready};
use std::task::{Context, Poll};

use parking_lot::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{sleep, timeout};
use tower::{BoxError, Service, ServiceExt};

use super::*;
use crate::call::body::Body;
use crate::call::dora_code;
use crate::call::request::Request;
use crate::call::response::{Reply, Response};
use crate::discovery::directory::Directory;
use crate::discovery::discover::{Discover, Listing};
use crate::middleware::balance::fleet::Fleet;

/// A registry that a test speaks for.
struct Told(UnboundedReceiver<Result<Listing, BoxError>>);

impl Discover for Told {
    async fn next(&mut self) -> Result<Listing, BoxError> {
        match self.0.recv().await {
            Some(told) => told,
            None => std::future::pending().await,
        }
    }

    fn name(&self) -> String {
        "told".to_owned()
    }
}

type Tell = UnboundedSender<Result<Listing, BoxError>>;

/// A server that answers, and the calls that all of them had.
#[derive(Clone)]
struct Server(String, Arc<Mutex<Vec<String>>>);

impl Service<Request> for Server {
    type Response = Response;
    type Error = Status;
    type Future = Ready<Result<Response, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request) -> Self::Future {
        self.1.lock().push(self.0.clone());
        ready(Ok(Response::from(Reply::Accepted)))
    }
}

struct Setup {
    fleet: Fleet<Server>,
    tell: Tell,
    calls: Arc<Mutex<Vec<String>>>,
    connected: Arc<Mutex<Vec<String>>>,
}

fn setup() -> Setup {
    let (tell, told) = unbounded_channel();
    let calls = Arc::<Mutex<Vec<String>>>::default();
    let connected = Arc::<Mutex<Vec<String>>>::default();
    let (log, seen) = (Arc::clone(&calls), Arc::clone(&connected));
    let watch = Directory::new(Told(told)).group("shop").watch();
    let fleet = Fleet::builder().follow(watch, move |instance| {
        seen.lock().push(instance.id());
        match instance.address.starts_with("bad") {
            true => Err(Status::invalid_argument("no address")),
            false => Ok(vec![Server(instance.address.clone(), Arc::clone(&log))]),
        }
    });
    Setup { fleet, tell, calls, connected }
}

fn record(address: &str, generation: u64) -> InstanceRecord {
    let mut record = InstanceRecord::unknown(address).with_group("shop");
    record.generation = generation;
    record.started = generation;
    record
}

impl Setup {
    async fn list<const N: usize>(&self, records: [InstanceRecord; N]) {
        self.tell.send(Ok(records.into_iter().collect())).expect("it listens");
        // Time is paused: it passes when all tasks wait.
        sleep(Duration::from_millis(1)).await;
    }

    async fn call(&self) -> Result<Response, Status> {
        let request = Request::new(Body::message(0_i64));
        timeout(Duration::from_secs(60), self.fleet.clone().oneshot(request)).await.expect("it ends")
    }

    fn names(&self) -> Vec<String> {
        self.fleet.instances().iter().map(|instance| instance.name.to_string()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn instances_come_and_go_and_keep_their_connections() {
    let setup = setup();
    setup.list([record("b:1", 1), record("a:1", 1), record("bad", 1)]).await;
    assert_eq!(setup.names(), ["a:1", "b:1"], "one that cannot be called is passed over");
    setup.list([record("a:1", 1).with_weight(3), record("c:1", 1)]).await;
    assert_eq!(setup.names(), ["a:1", "c:1"]);
    assert_eq!(setup.fleet.instances()[0].weight, 3);
    let connected = |address: &str| {
        let connected = setup.connected.lock();
        connected.iter().filter(|id| id.starts_with(address)).count()
    };
    assert_eq!((connected("a:1"), connected("c:1")), (1, 1), "a new weight is no new connection");
    setup.list([record("a:1", 2), record("c:1", 1)]).await;
    assert_eq!(connected("a:1"), 2, "a later run is a new one");
    for _ in 0..20 {
        setup.call().await.expect("answered");
    }
    assert!(!setup.calls.lock().iter().any(|name| name == "b:1"));
}

#[tokio::test(start_paused = true)]
async fn an_empty_group_is_told_with_its_name_and_the_age_of_the_list() {
    let setup = setup();
    setup.list([InstanceRecord::unknown("a:1").with_group("admin")]).await;
    sleep(Duration::from_secs(7)).await;
    let error = setup.call().await.expect_err("nobody is there");
    assert_eq!(error.raw_code(), dora_code::NO_SERVER);
    assert!(error.is_unsent());
    let wanted = "there is no server can connect: group \"shop\" has no instances (list of 7 s ago; by told)";
    assert_eq!(error.message(), wanted);
}

#[tokio::test(start_paused = true)]
async fn ten_minutes_without_a_registry_fail_no_call() {
    let setup = setup();
    setup.list([record("a:1", 1), record("b:1", 1)]).await;
    for _ in 0..600 {
        setup.tell.send(Err("connection refused".into())).expect("it listens");
        sleep(Duration::from_secs(1)).await;
        setup.call().await.expect("the last good list is used");
    }
    let status = setup.fleet.directory().expect("it has one");
    assert!(status.age.expect("it was listed") >= Duration::from_secs(600));
    assert_eq!(status.registries[0].failure.as_deref(), Some("connection refused"));
    setup.list([record("a:1", 1), record("b:1", 1)]).await;
    assert!(setup.fleet.directory().expect("it has one").age.expect("listed") < Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn who_finds_no_registry_is_told_which() {
    let setup = setup();
    setup.tell.send(Err("connection refused".into())).expect("it listens");
    let error = setup.call().await.expect_err("nothing was ever listed");
    assert_eq!(error.raw_code(), dora_code::NO_SERVER);
    let wanted = "there is no server can connect: group \"shop\" was not listed yet (told cannot be asked: connection refused)";
    assert_eq!(error.message(), wanted);
}

#[tokio::test(start_paused = true)]
async fn the_registry_is_left_when_the_fleet_is_gone() {
    let Setup { fleet, tell, .. } = setup();
    sleep(Duration::from_millis(1)).await;
    drop(fleet);
    timeout(Duration::from_secs(5), tell.closed()).await.expect("nobody asks any more");
}

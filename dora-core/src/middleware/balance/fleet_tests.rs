use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::stream::BoxStream;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep};
use tower::ServiceExt;
use tower::discover::Change;

use super::*;
use crate::call::BoxFuture;
use crate::call::body::Body;
use crate::call::deadline::Deadline;
use crate::call::tried_peers::TriedPeers;
use crate::middleware::balance::builder::FleetBuilder;
use crate::middleware::balance::choose::Balance;
use crate::middleware::balance::fleet::Fleet;
use crate::middleware::balance::instance::InstanceKey;
use crate::middleware::breaker::policy::BreakerPolicy;
use crate::middleware::hedge::policy::HedgePolicy;
use crate::middleware::retry::policy::RetryPolicy;

/// An instance whose behaviour a test sets.
#[derive(Clone)]
struct Server {
    name: &'static str,
    state: Arc<ServerState>,
}

#[derive(Default)]
struct ServerState {
    calls: AtomicUsize,
    not_ready: AtomicBool,
    waker: Mutex<Option<std::task::Waker>>,
    takes_ms: AtomicUsize,
    error: Mutex<Option<Status>>,
}

impl Server {
    fn new(name: &'static str) -> Self {
        Self { name, state: Arc::default() }
    }

    fn calls(&self) -> usize {
        self.state.calls.load(Ordering::SeqCst)
    }

    fn fails_with(self, status: impl Into<Option<Status>>) -> Self {
        *self.state.error.lock().expect("no panic") = status.into();
        self
    }

    fn takes(self, time: Duration) -> Self {
        self.state.takes_ms.store(time.as_millis() as usize, Ordering::SeqCst);
        self
    }

    fn set_ready(&self, ready: bool) {
        self.state.not_ready.store(!ready, Ordering::SeqCst);
        if let Some(waker) = self.state.waker.lock().expect("no panic").take() {
            waker.wake();
        }
    }
}

impl Service<Request> for Server {
    type Response = Response;
    type Error = Status;
    type Future = BoxFuture<Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        if self.state.not_ready.load(Ordering::SeqCst) {
            *self.state.waker.lock().expect("no panic") = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request) -> Self::Future {
        self.state.calls.fetch_add(1, Ordering::SeqCst);
        let state = Arc::clone(&self.state);
        let name = self.name;
        Box::pin(async move {
            sleep(Duration::from_millis(state.takes_ms.load(Ordering::SeqCst) as u64)).await;
            let error = state.error.lock().expect("no panic").clone();
            match error {
                Some(status) => Err(status),
                None => Ok(Response::message(name.to_owned())),
            }
        })
    }
}

fn fleet(builder: FleetBuilder, servers: &[&Server]) -> Fleet<Server> {
    builder.instances(servers.iter().map(|server| (server.name, (*server).clone())))
}

fn request() -> Request {
    Request::new(Body::message(0_i64))
}

type ServerChange = Change<InstanceKey, Server>;

/// A stream of changes, and where to send them.
fn changes() -> (UnboundedSender<ServerChange>, BoxStream<'static, Result<ServerChange, Status>>) {
    let (sender, receiver) = unbounded_channel();
    let stream = futures_util::stream::unfold(receiver, |mut receiver| async move {
        let change = receiver.recv().await?;
        Some((Ok(change), receiver))
    });
    (sender, Box::pin(stream))
}

/// Without retries: what the choice of an instance does by itself.
fn once() -> FleetBuilder {
    Fleet::builder().retry(None)
}

async fn call(fleet: &Fleet<Server>) -> Result<Response, Status> {
    fleet.clone().oneshot(request()).await
}

fn unsent() -> Status {
    Status::unavailable("refused").unsent()
}

#[tokio::test(start_paused = true)]
async fn what_surely_never_left_goes_to_another_instance() {
    let (live, dead) = (Server::new("live"), Server::new("dead").fails_with(unsent()));
    let fleet = fleet(once().breaker(None), &[&live, &dead]);
    for _ in 0..1_000 {
        call(&fleet).await.expect("the live one answers");
    }
    assert_eq!(live.calls(), 1_000);
    assert!(dead.calls() < 20, "a failure counts as slow: {}", dead.calls());
}

#[tokio::test(start_paused = true)]
async fn what_may_have_run_is_not_made_again() {
    let server = Server::new("a").fails_with(Status::unavailable("reset"));
    let other = Server::new("b").fails_with(Status::unavailable("reset"));
    let error = call(&fleet(once(), &[&server, &other])).await.expect_err("one fails");
    assert_eq!(server.calls() + other.calls(), 1);
    assert!(["a", "b"].contains(&error.peer().expect("the instance is named")));
}

#[tokio::test(start_paused = true)]
async fn when_all_refuse_each_is_asked_once_and_the_last_one_tells() {
    let servers = ["a", "b", "c"].map(|name| Server::new(name).fails_with(unsent()));
    let error = call(&fleet(once(), &servers.each_ref())).await.expect_err("all refuse");
    assert_eq!(servers.each_ref().map(Server::calls), [1, 1, 1]);
    assert_eq!((error.message(), error.is_unsent()), ("refused", true));
}

#[tokio::test(start_paused = true)]
async fn calls_wait_for_an_instance_up_to_their_deadline() {
    let server = Server::new("a");
    server.set_ready(false);
    let fleet = fleet(once(), &[&server]);
    let waiting: Vec<_> = (0..10).map(|_| tokio::spawn(fleet.clone().oneshot(request()))).collect();
    let mut late = request();
    late.head_mut().set_deadline(Some(Deadline::after(Duration::from_secs(1))));
    let start = Instant::now();
    let error = fleet.clone().oneshot(late).await.expect_err("nobody is ready");
    assert_eq!((error.code(), error.is_unsent()), (Code::DeadlineExceeded, true));
    assert_eq!(start.elapsed().as_millis() / 10, 100);
    server.set_ready(true);
    for call in waiting {
        assert!(call.await.expect("no panic").is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn slow_instances_get_fewer_calls() {
    let quick = Server::new("quick").takes(Duration::from_millis(1));
    let slow = Server::new("slow").takes(Duration::from_millis(50));
    let fleet = fleet(once(), &[&quick, &slow]);
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let fleet = fleet.clone();
            tokio::spawn(async move {
                for _ in 0..100 {
                    call(&fleet).await.expect("answered");
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.expect("no panic");
    }
    assert!(slow.calls() < 100, "{} of 800", slow.calls());
    assert!(fleet.instances().iter().all(|instance| instance.in_flight == 0));
}

#[tokio::test(start_paused = true)]
async fn weights_share_the_calls_whatever_chooses() {
    for balance in [Balance::PowerOfTwo, Balance::RoundRobin, Balance::Random] {
        let (light, heavy) = (Server::new("light"), Server::new("heavy"));
        let instances = [
            (InstanceKey::from("light"), light.clone()),
            (InstanceKey::from("heavy").with_weight(3), heavy.clone()),
        ];
        let fleet = once().balance(balance.clone()).instances(instances);
        // Many at once, so that calls in flight tell the instances apart.
        for server in [&light, &heavy] {
            server.clone().takes(Duration::from_millis(10));
        }
        for _ in 0..20 {
            let calls: Vec<_> = (0..40).map(|_| tokio::spawn(fleet.clone().oneshot(request()))).collect();
            for call in calls {
                assert!(call.await.expect("no panic").is_ok());
            }
        }
        let share = heavy.calls() as f64 / 800.0;
        assert!((0.68..0.82).contains(&share), "{balance:?}: {share}");
    }
}

#[tokio::test(start_paused = true)]
async fn keys_stay_where_they_are_when_an_instance_goes() {
    let servers = ["a", "b", "c", "d"].map(Server::new);
    let homes = async |fleet: Fleet<Server>| -> HashMap<u32, String> {
        let mut homes = HashMap::new();
        for tenant in 0..400 {
            let mut call = request();
            call.metadata_mut().insert("tenant", tenant.to_string());
            let before: HashMap<_, _> = servers.iter().map(|server| (server.name, server.calls())).collect();
            fleet.clone().oneshot(call).await.expect("answered");
            let home = servers.iter().find(|server| server.calls() > before[server.name]);
            homes.insert(tenant, home.expect("one was called").name.to_owned());
        }
        homes
    };
    let builder = || once().balance(Balance::by_metadata("tenant"));
    let all = homes(fleet(builder(), &servers.each_ref())).await;
    assert_eq!(all, homes(fleet(builder(), &servers.each_ref())).await);
    for server in &servers {
        let share = all.values().filter(|home| *home == server.name).count();
        assert!((70..130).contains(&share), "{}: {share} of 400", server.name);
    }
    let without_d = homes(fleet(builder(), &[&servers[0], &servers[1], &servers[2]])).await;
    assert!(all.iter().all(|(tenant, home)| home == "d" || without_d[tenant] == *home));
    // As with one that is not there, while it is not ready.
    servers[3].set_ready(false);
    assert_eq!(homes(fleet(builder(), &servers.each_ref())).await, without_d);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_fails_is_held_back_but_not_half_of_the_fleet() {
    let good = ["a", "b", "c"].map(Server::new);
    let bad = Server::new("bad").fails_with(Status::internal("broken"));
    let builder = || {
        let policy = BreakerPolicy::new().consecutive_failures(3).open_for(Duration::from_secs(60));
        once().balance(Balance::RoundRobin).breaker(policy)
    };
    let one_bad = fleet(builder(), &[&good[0], &good[1], &good[2], &bad]);
    let mut failed = 0;
    for _ in 0..400 {
        failed += usize::from(call(&one_bad).await.is_err());
    }
    assert_eq!((failed, bad.calls()), (3, 3), "until its breaker opened");

    let mostly_bad = ["d", "e", "f"].map(|name| Server::new(name).fails_with(Status::internal("broken")));
    let shaken = fleet(builder(), &[&good[0], &mostly_bad[0], &mostly_bad[1], &mostly_bad[2]]);
    for _ in 0..400 {
        let _ = call(&shaken).await;
    }
    let calls = mostly_bad.each_ref().map(Server::calls);
    assert!(calls.iter().all(|calls| *calls > 50), "the fault is hardly theirs: {calls:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pinned_call_goes_there_or_nowhere() {
    let (a, b) = (Server::new("a"), Server::new("b").fails_with(unsent()));
    let fleet = fleet(once(), &[&a, &b]);
    for (name, code) in [("a", None), ("b", Some(Code::Unavailable)), ("c", Some(Code::Unavailable))] {
        let mut pinned = request();
        pinned.extensions_mut().insert(Pinned(name.into()));
        let result = fleet.clone().oneshot(pinned).await;
        assert_eq!(result.as_ref().err().map(Status::code), code, "{name}: {result:?}");
    }
    assert_eq!((a.calls(), b.calls()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn where_a_call_failed_is_the_last_choice() {
    let (a, b) = (Server::new("a"), Server::new("b"));
    let fleet = fleet(once(), &[&a, &b]);
    let tried = |names: &[&'static str]| {
        let mut tried = TriedPeers::default();
        names.iter().for_each(|name| tried.add(*name));
        let mut call = request();
        call.extensions_mut().insert(tried);
        call
    };
    for _ in 0..20 {
        fleet.clone().oneshot(tried(&["a"])).await.expect("answered");
    }
    assert_eq!((a.calls(), b.calls()), (0, 20));
    fleet.clone().oneshot(tried(&["a", "b"])).await.expect("better than nothing");
}

#[tokio::test(start_paused = true)]
async fn instances_come_and_go_while_calls_run() {
    let (changes, stream) = changes();
    let fleet = once().slow_start(Duration::ZERO).discover(stream);
    let first = tokio::spawn(fleet.clone().oneshot(request()));
    sleep(Duration::from_secs(1)).await;
    assert!(!first.is_finished(), "nothing is known yet");

    let a = Server::new("a").takes(Duration::from_secs(10));
    changes.send(Change::Insert("a".into(), a.clone())).expect("it listens");
    sleep(Duration::from_millis(1)).await;
    changes.send(Change::Remove("a".into())).expect("it listens");
    let b = Server::new("b");
    changes.send(Change::Insert("b".into(), b.clone())).expect("it listens");
    sleep(Duration::from_millis(1)).await;
    for _ in 0..10 {
        call(&fleet).await.expect("answered");
    }
    assert!(first.await.expect("no panic").is_ok(), "a call that it has is not lost with its instance");
    assert_eq!((a.calls(), b.calls()), (1, 10));

    changes.send(Change::Remove("b".into())).expect("it listens");
    sleep(Duration::from_millis(1)).await;
    let error = call(&fleet).await.expect_err("it is empty");
    assert_eq!(error.raw_code(), dora_code::NO_SERVER);
    drop(fleet);
    let _ = changes.send(Change::Insert("c".into(), Server::new("c")));
    tokio::time::timeout(Duration::from_secs(5), changes.closed()).await.expect("its task has ended");
}

#[tokio::test(start_paused = true)]
async fn one_that_has_come_begins_slowly() {
    let (old, new) = (Server::new("old"), Server::new("new"));
    let (changes, stream) = changes();
    let builder = once().balance(Balance::Random).slow_start(Duration::from_secs(100));
    let fleet = builder.discover(stream);
    changes.send(Change::Insert("old".into(), old.clone())).expect("it listens");
    sleep(Duration::from_secs(200)).await;
    changes.send(Change::Insert("new".into(), new.clone())).expect("it listens");
    sleep(Duration::from_secs(1)).await;
    for shares in [10..80, 120..280] {
        let before = new.calls();
        for _ in 0..400 {
            call(&fleet).await.expect("answered");
        }
        let calls = new.calls() - before;
        assert!(shares.contains(&calls), "{calls} of 400, not {shares:?}");
        sleep(Duration::from_secs(100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_whose_calls_are_given_up_is_not_quick() {
    let (live, hung) = (Server::new("live"), Server::new("hung").takes(Duration::from_secs(3600)));
    let live = live.takes(Duration::from_millis(1));
    let fleet = fleet(once().breaker(None), &[&live, &hung]);
    let mut lost = 0;
    // The timeout is a layer's, around the fleet: the request knows no deadline.
    for _ in 0..1_000 {
        let call = tokio::time::timeout(Duration::from_millis(100), call(&fleet));
        lost += u32::from(call.await.is_err());
    }
    assert!(lost < 20, "{lost} of 1000 calls were given to an instance that answers none");
    assert_eq!(fleet.instances().iter().map(|instance| instance.in_flight).sum::<usize>(), 0);
}

#[tokio::test(start_paused = true)]
async fn by_default_idempotent_calls_are_tried_again_elsewhere() {
    let live = Server::new("live");
    let broken = Server::new("broken").fails_with(Status::unavailable("reset"));
    let retry = RetryPolicy::new().budget(None);
    let builder = Fleet::builder().retry(retry).breaker(None).balance(Balance::RoundRobin);
    let fleet = fleet(builder, &[&live, &broken]);
    for idempotent in [true, false] {
        let before = (live.calls(), broken.calls());
        let mut failed = 0;
        for _ in 0..400 {
            let mut call = request();
            call.head_mut().set_idempotent(idempotent);
            failed += usize::from(fleet.clone().oneshot(call).await.is_err());
        }
        let broken = broken.calls() - before.1;
        assert!(broken > 0, "it was tried");
        assert_eq!(failed, if idempotent { 0 } else { broken });
        assert_eq!(live.calls() - before.0, if idempotent { 400 } else { 400 - broken });
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_is_known_by_what_its_errors_call_it() {
    // Named by hand, while the error says an address.
    let reset = Status::unavailable("reset").with_peer("10.0.0.1:9567".into());
    let (broken, live) = (Server::new("blue").fails_with(reset), Server::new("green"));
    let retry = RetryPolicy::new().budget(None);
    let builder = Fleet::builder().retry(retry).breaker(None).balance(Balance::RoundRobin);
    let fleet = fleet(builder, &[&broken, &live]);
    for number in 1..=100 {
        let mut call = request();
        call.head_mut().set_idempotent(true);
        fleet.clone().oneshot(call).await.expect("the other one answers");
        assert_eq!(live.calls(), number);
        assert!(broken.calls() <= number, "no call comes there twice");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_call_is_hedged_on_another_instance() {
    let servers = ["a", "b", "c"].map(|name| Server::new(name).takes(Duration::from_millis(100)));
    let policy = HedgePolicy::after(Duration::from_millis(10)).attempts(3).budget(None);
    let fleet = fleet(Fleet::builder().balance(Balance::Random).hedge(policy), &servers.each_ref());
    for number in 1..=20 {
        let mut call = request();
        call.head_mut().set_idempotent(true);
        fleet.clone().oneshot(call).await.expect("answered");
        assert_eq!(servers.each_ref().map(Server::calls), [number; 3], "each once for each call");
    }
    assert_eq!(fleet.instances().iter().map(|instance| instance.in_flight).sum::<usize>(), 0);
}

#[tokio::test(start_paused = true)]
async fn services_of_one_name_are_connections_of_one_instance() {
    let lanes = ["first", "second", "third"].map(Server::new);
    let fleet = once().instances(lanes.iter().map(|lane| ("a", lane.clone())));
    assert_eq!(fleet.instances().len(), 1);
    for _ in 0..30 {
        call(&fleet).await.expect("answered");
    }
    assert_eq!(lanes.each_ref().map(Server::calls), [10; 3], "they take turns");
    lanes[1].set_ready(false);
    for _ in 0..30 {
        call(&fleet).await.expect("answered");
    }
    assert_eq!(lanes[1].calls(), 10, "one that is not ready is passed over");
    lanes.iter().for_each(|lane| lane.set_ready(false));
    let waiting = tokio::spawn(fleet.clone().oneshot(request()));
    sleep(Duration::from_secs(1)).await;
    lanes[2].set_ready(true);
    assert!(waiting.await.expect("no panic").is_ok(), "any of them wakes who waits");
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_hangs_is_left_alone_at_once() {
    // How many of 4,000 calls come there, and how many fail.
    for (balance, hedged, most, failing) in [
        (Balance::PowerOfTwo, false, 20, 20),
        (Balance::PowerOfTwo, true, 20, 0),
        // Until its breaker opens, after a second of silence.
        (Balance::RoundRobin, true, 800, 0),
    ] {
        let good = ["a", "b"].map(|name| Server::new(name).takes(Duration::from_millis(2)));
        let hung = Server::new("hung").takes(Duration::from_millis(2));
        let hedge = HedgePolicy::after(Duration::from_millis(10)).budget(None);
        let builder = Fleet::builder().balance(balance.clone()).hedge(hedged.then_some(hedge));
        let fleet = fleet(builder, &[&good[0], &good[1], &hung]);
        let (mut calls, mut before) = (Vec::new(), 0);
        for number in 0..5_000 {
            if number == 1_000 {
                sleep(Duration::from_millis(50)).await; // all are answered so far
                before = hung.calls();
                hung.clone().takes(Duration::from_secs(3_600));
            }
            let mut call = request();
            call.head_mut().set_idempotent(true);
            // As whoever called keeps the deadline of a call.
            let call = tokio::time::timeout(Duration::from_secs(3), fleet.clone().oneshot(call));
            calls.push(tokio::spawn(call));
            sleep(Duration::from_millis(1)).await;
        }
        let mut failed = 0;
        for call in calls {
            failed += usize::from(!matches!(call.await.expect("no panic"), Ok(Ok(_))));
        }
        let given = hung.calls() - before;
        assert!(given <= most, "{balance:?}, hedged {hedged}: {given} calls came there");
        assert!(failed <= failing, "{balance:?}, hedged {hedged}: {failed} calls failed");
    }
}

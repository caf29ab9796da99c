//! Can a rule be walked around? The same call under each of its names, in each
//! form, mode and packing, through each way in: the layers see it every time.

#![allow(dead_code, deprecated, reason = "the goldens have more than is called, and a deprecated method")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dora::{
    Batch, Call, Caller, Channel, Code, Connections, DynamicClient, Endpoint, Incoming, InterceptLayer, Mode,
    Mount, Packer, Request, Response, Server, Serves, Status, value,
};
use tokio::sync::Semaphore;
use tower::Layer;
use tower::filter::FilterLayer;

mod users {
    dora::include_proto!("golden.options");
}

use users::users_client::UsersClient;
use users::users_descriptor;
use users::users_server::{Users, UsersServer};

/// The method that nobody may call.
const DENIED: &str = "/golden.options.Users/Count";
/// Another one, that all may.
const FREE: &str = "/golden.options.Users/Service";
/// Whatever the denied one is called.
const NAMES: [&str; 5] = [
    DENIED,
    "/user/count",
    "user.count",
    r"1.2::App\Rpc\Lib\UserInterface::count",
    r"1.2::App\Rpc\Lib\UserInterface::Count",
];
const FORMS: [Form; 5] = [Form::Typed, Form::Dynamic, Form::Tuple, Form::List, Form::Keyed];
const MODES: [Mode; 3] = [Mode::Wait, Mode::NoResult, Mode::Deferred];
const PACKERS: [Packer; 3] = [Packer::Php, Packer::Json, Packer::Protobuf];
/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a call is made.
#[derive(Clone, Copy, Debug)]
enum Form {
    Typed,
    Dynamic,
    Tuple,
    List,
    Keyed,
}

/// What was seen, by the layers and by the handlers.
struct Seen {
    methods: Mutex<Vec<String>>,
    denied_ran: AtomicUsize,
    free_ran: AtomicUsize,
    gate: Semaphore,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            methods: Mutex::default(),
            denied_ran: AtomicUsize::default(),
            free_ran: AtomicUsize::default(),
            gate: Semaphore::new(0),
        }
    }
}

impl Seen {
    fn times(&self, method: &str) -> usize {
        self.methods.lock().expect("no panic").iter().filter(|seen| *seen == method).count()
    }

    /// An interceptor that counts calls by method, as metrics do.
    fn counting(
        self: &Arc<Self>,
    ) -> InterceptLayer<impl Fn(Request) -> std::future::Ready<Intercepted> + use<>> {
        let seen = Arc::clone(self);
        InterceptLayer::new(move |request: Request| {
            seen.methods.lock().expect("no panic").push(request.method().to_string());
            std::future::ready(Ok(request))
        })
    }
}

type Intercepted = Result<Request, Status>;

impl Users for Seen {
    async fn count(&self, _: Request<()>) -> Result<Response<()>, Status> {
        self.denied_ran.fetch_add(1, Ordering::SeqCst);
        Ok(().into())
    }

    async fn service(&self, request: Request<()>) -> Result<Response<()>, Status> {
        if request.metadata().get("wait").is_some() {
            self.gate.acquire().await.expect("it is not closed").forget();
        }
        self.free_ran.fetch_add(1, Ordering::SeqCst);
        Ok(().into())
    }
}

/// The rule as anybody would write it on a server.
fn denying() -> FilterLayer<impl Fn(Request) -> Intercepted + Clone> {
    FilterLayer::new(|request: Request| match request.method().as_str() {
        DENIED => Err(Status::permission_denied("nobody counts")),
        _ => Ok(request),
    })
}

/// The service with layers of its own.
fn layered(seen: &Arc<Seen>) -> impl Mount + Caller + use<> {
    UsersServer::from_arc(Arc::clone(seen)).layer(denying()).layer(seen.counting())
}

/// Layers around all of a server.
fn server(
    seen: &Arc<Seen>,
) -> Server<impl Layer<dora::Router, Service = impl Serves + Sync + use<>> + use<>> {
    let service = UsersServer::from_arc(Arc::clone(seen));
    Server::builder().layer(seen.counting()).layer(denying()).add_service(service)
}

/// A channel over memory.
fn channel<S: Serves + Sync>(server: Connections<S>, packer: Packer) -> Channel {
    let endpoint = Endpoint::new("memory:1").expect("an address").packer(packer).timeout(PATIENCE);
    let endpoint = endpoint.connect_with(move |_| {
        let (near, far) = tokio::io::duplex(64 << 10);
        tokio::spawn(server.serve(Incoming::new(far)));
        async { Ok(near) }
    });
    endpoint.connect_lazy().expect("settings that fit")
}

/// Calls the denied method as `name`, and in a batch the free one beside it.
async fn ask<S: Caller>(service: &S, name: &'static str, form: Form, mode: Mode) -> Result<(), Status> {
    let call = || Call::<S, (), ()>::named(service.clone(), name, ());
    let free = || UsersClient::new(service.clone()).service(()).wait();
    let untyped = DynamicClient::new(service.clone());
    match form {
        Form::Typed => match mode {
            Mode::NoResult => call().no_result().await,
            Mode::Deferred => call().deferred().await?.await,
            _ => call().await,
        },
        Form::Dynamic => match mode {
            Mode::NoResult => untyped.call(name, value!([])).no_result().await,
            Mode::Deferred => untyped.call(name, value!([])).deferred().await?.await.map(drop),
            _ => untyped.call(name, value!([])).await.map(drop),
        },
        Form::Tuple => {
            let batch = Batch::new(service.clone()).call(free()).call(call());
            let (free, denied) = match mode {
                Mode::NoResult => return batch.no_result().await,
                Mode::Deferred => batch.deferred().await?.await?,
                _ => batch.send().await?,
            };
            free.expect("it is free");
            denied
        }
        Form::List => {
            let batch = call().batch().metadata("of", "two").call(call());
            let (first, second) = match mode {
                Mode::NoResult => return batch.no_result().await,
                Mode::Deferred => batch.deferred().await?.await?,
                _ => batch.send().await?,
            };
            first.and(second)
        }
        Form::Keyed => {
            let multi = untyped.multi().call("a", name, value!([])).call(7, FREE, value!([]));
            let mut results = match mode {
                Mode::NoResult => return multi.no_result().await,
                Mode::Deferred => multi.deferred().await?.await?,
                _ => multi.send().await?,
            };
            results.swap_remove(0).1.map(drop)
        }
    }
}

/// All of the table over `service`, whose layers forbid the method on the server's
/// end; each time with a note of the call.
async fn never_passes<S: Caller>(through: &str, service: &S, seen: &Seen) {
    for (name, form, mode) in table() {
        let before = seen.times(DENIED);
        let calls = if matches!(form, Form::List) { 2 } else { 1 };
        let asked = ask(service, name, form, mode).await;
        let case = format!("{through}: {name} in {form:?}, {mode:?}");
        match asked {
            // It is acknowledged before anybody decides; nothing runs.
            Ok(()) => assert_eq!(mode, Mode::NoResult, "{case}"),
            Err(status) => assert_eq!(status.code(), Code::PermissionDenied, "{case}: {status}"),
        }
        wait_until(&case, || seen.times(DENIED) == before + calls).await;
    }
    assert_eq!(seen.denied_ran.load(Ordering::SeqCst), 0, "{through}");
    // Those beside it went well: the typed ones at least, as the protobuf packing has
    // no form for the parameter of a dynamic one.
    let beside = NAMES.len() * MODES.len();
    wait_until(through, || seen.free_ran.load(Ordering::SeqCst) >= beside).await;
    let methods = seen.methods.lock().expect("no panic");
    let named_once = methods.iter().all(|method| method == DENIED || method == FREE);
    assert!(named_once, "{through}: metrics have one name for a method: {methods:?}");
}

fn table() -> impl Iterator<Item = (&'static str, Form, Mode)> {
    NAMES.into_iter().flat_map(|name| {
        FORMS.into_iter().flat_map(move |form| MODES.into_iter().map(move |mode| (name, form, mode)))
    })
}

async fn wait_until(case: &str, done: impl Fn() -> bool) {
    let start = std::time::Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "{case}: it takes too long");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_rule_of_a_service_is_not_walked_around_in_this_process() {
    let seen = Arc::new(Seen::default());
    never_passes("a service with layers", &layered(&seen), &seen).await;
    let seen = Arc::new(Seen::default());
    let mounted = Server::builder().add_service(layered(&seen)).into_service().expect("one service");
    never_passes("a server of it", &mounted, &seen).await;
    let seen = Arc::new(Seen::default());
    let whole = server(&seen).into_service().expect("one service");
    never_passes("a server with layers", &whole, &seen).await;
}

#[tokio::test]
async fn a_rule_of_a_server_is_not_walked_around_over_a_stream() {
    for packer in PACKERS {
        let seen = Arc::new(Seen::default());
        let server = server(&seen).connections().expect("one service");
        never_passes(&format!("a server, {packer}"), &channel(server, packer), &seen).await;
        let seen = Arc::new(Seen::default());
        let server = Server::builder().add_service(layered(&seen)).connections().expect("one service");
        never_passes(&format!("a service, {packer}"), &channel(server, packer), &seen).await;
    }
}

/// A layer that stands where the method is not known: around a client, or by hand
/// around a server. It asks all calls, each by all names of the method.
#[tokio::test]
async fn a_rule_over_all_calls_holds_around_a_client() {
    let rule = FilterLayer::new(|request: Request| {
        match request.calls().any(|call| call.is(&users_descriptor::COUNT)) {
            true => Err(Status::permission_denied("nobody counts")),
            false => Ok(request),
        }
    });
    let seen = Arc::new(Seen::default());
    let bare = UsersServer::from_arc(Arc::clone(&seen));
    let wire = Server::builder().add_service(bare.clone()).connections().expect("one service");
    let (by_hand, client) = (rule.layer(bare), rule.layer(channel(wire, Packer::Php)));
    for (name, form, mode) in table() {
        for asked in [ask(&by_hand, name, form, mode).await, ask(&client, name, form, mode).await] {
            let status = asked.expect_err(name);
            assert_eq!(status.code(), Code::PermissionDenied, "{name} in {form:?}, {mode:?}: {status}");
        }
    }
    assert_eq!(seen.denied_ran.load(Ordering::SeqCst) + seen.free_ran.load(Ordering::SeqCst), 0);
    UsersClient::new(client).service(()).wait().await.expect("it is free");
    UsersClient::new(by_hand).service(()).wait().await.expect("it is free");
}

/// A deadline holds whatever way a call takes, and who does not wait for a result
/// is acknowledged before the handler is done.
async fn is_timely<S: Caller>(through: &str, service: &S, seen: &Seen) {
    let users = UsersClient::new(service.clone());
    let held = || users.service(()).metadata("wait", "1");
    let soon = Duration::from_millis(50);
    let late = |status: Status| assert_eq!(status.code(), Code::DeadlineExceeded, "{through}: {status}");
    late(held().wait().timeout(soon).await.expect_err("it waits"));
    late(
        Call::<S, (), ()>::named(service.clone(), FREE, ())
            .metadata("wait", "1")
            .timeout(soon)
            .await
            .expect_err("it waits"),
    );
    let batch = held().wait().timeout(soon).batch().call(users.service(()).wait());
    let (held_up, free) = batch.send().await.expect("answered");
    late(held_up.expect_err("it waits"));
    free.expect("it does not wait");
    // Whoever looks at the clock first: the caller, or the server.
    let whole = held().wait().batch().timeout(soon).send().await;
    late(whole.map_or_else(|status| status, |(result,)| result.expect_err("it waits")));

    let ran = seen.free_ran.load(Ordering::SeqCst);
    held().no_result().timeout(PATIENCE).await.expect("acknowledged");
    let pending = held().deferred().timeout(PATIENCE).await.expect("acknowledged");
    held().wait().batch().no_result().await.expect("acknowledged");
    let results = held().wait().batch().deferred().await.expect("acknowledged");
    assert_eq!(seen.free_ran.load(Ordering::SeqCst), ran, "{through}: acknowledged first");
    // Those that were given up may still stand at the gate, where nothing tells.
    seen.gate.add_permits(64);
    pending.await.expect("it ran");
    results.await.expect("answered").0.expect("it ran");
    wait_until(through, || seen.free_ran.load(Ordering::SeqCst) >= ran + 4).await;
}

#[tokio::test]
async fn deadlines_and_modes_hold_through_every_way_in() {
    let seen = Arc::new(Seen::default());
    is_timely("a bare service", &UsersServer::from_arc(Arc::clone(&seen)), &seen).await;
    let seen = Arc::new(Seen::default());
    is_timely("a service with layers", &layered(&seen), &seen).await;
    let seen = Arc::new(Seen::default());
    is_timely("a server", &server(&seen).into_service().expect("one service"), &seen).await;
    for packer in PACKERS {
        let seen = Arc::new(Seen::default());
        let server = server(&seen).connections().expect("one service");
        is_timely(&format!("{packer}"), &channel(server, packer), &seen).await;
    }
}

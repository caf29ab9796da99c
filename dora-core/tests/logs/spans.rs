//! A span for each call, on both ends.

use std::collections::BTreeSet;
use std::time::Duration;

use dora_core::call::BoxFuture;
use dora_core::call::code::Code;
use dora_core::call::method::{Method, ServiceDescriptor};
use dora_core::call::mount::Mount;
use dora_core::call::request::Request;
use dora_core::call::response::Response;
use dora_core::call::slot::BoxSlot;
use dora_core::call::status::Status;
use dora_core::call::trace_context::TraceContext;
use dora_core::middleware::route::Router;
use dora_core::middleware::serves::Serves;
use dora_core::middleware::trace_context::TraceContextLayer;
use dora_core::pack::value::Value;
use dora_core::server::Server;
use dora_core::stub::call::Call;
use dora_core::stub::caller::Caller;
use dora_core::stub::dynamic::DynamicClient;
use dora_core::stub::serve::{call_in, slot};
use dora_core::transport::client::channel::Channel;
use dora_core::transport::client::endpoint::Endpoint;
use dora_core::transport::server::cost::Execution;
use tokio::net::TcpListener;
use tower::Layer as _;
use tracing::level_filters::LevelFilter;

use crate::capture::{Note, Notes, capture};

const MADE: &str = "dora::client::call";
const SERVED: &str = "dora::server::call";

static WORK: ServiceDescriptor = ServiceDescriptor::new("t.Work", &[&GET, &PUT]);
static GET: Method = Method::new(&WORK, "Get", "/t.Work/Get").with_aliases(&["/work/get"]);
static PUT: Method = Method::new(&WORK, "Put", "/t.Work/Put");

/// Logs, waits as many milliseconds as it is told, and logs again; under 0 it fails.
struct Work;

async fn work(request: Request<Value>) -> Result<Response<Value>, Status> {
    tracing::info!("begun");
    match request.body() {
        Value::Int(millis) if *millis < 0 => return Err(Status::not_found("nothing there")),
        Value::Int(millis) => tokio::time::sleep(Duration::from_millis(millis.unsigned_abs())).await,
        _ => {}
    }
    tracing::info!("done");
    Ok(request.into_body().into())
}

impl Mount for Work {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        &WORK
    }

    fn call(&self, _index: usize, request: Request) -> BoxFuture<Response> {
        call_in(slot(work), request)
    }

    fn slot(&self, _index: usize) -> Option<BoxSlot> {
        Some(slot(work))
    }
}

fn server() -> Server {
    Server::builder().add_service(Work).dynamic(work)
}

/// A channel to `server`, and where that is.
async fn channel<L, S>(server: Server<L>, change: impl FnOnce(Endpoint) -> Endpoint) -> (Channel, String)
where
    L: tower::Layer<Router, Service = S> + Send + 'static,
    S: Serves,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    tokio::spawn(server.serve_with_listener(listener, std::future::pending()));
    let endpoint = Endpoint::new(&*address).expect("an address");
    (change(endpoint).connect().await.expect("connects"), address)
}

fn call<S: Caller>(service: &S, method: &'static Method, millis: i64) -> Call<S, Value, Value> {
    Call::new(service.clone(), method, Value::Int(millis))
}

#[track_caller]
fn says(note: &Note, fields: &[(&str, &str)]) {
    for (name, value) in fields {
        assert_eq!(note.get(name), *value, "{name} of {note:#?}");
    }
    let micros: u64 = note.get("duration_us").parse().expect("a number");
    assert!(micros < 60_000_000, "{note:#?}");
    assert_eq!(note.level, tracing::Level::DEBUG, "a span is of the level that tower's are of");
}

/// Whom the call of a span was made to.
#[track_caller]
fn says_where(note: &Note, address: &str) {
    let (host, port) = address.rsplit_once(':').expect("a port");
    says(note, &[("server.address", host), ("server.port", port)]);
}

/// The only span of a target.
async fn only(notes: &Notes, target: &str) -> Note {
    let spans = notes.wait_for_spans(target, 1).await;
    assert_eq!(spans.len(), 1, "{spans:#?}");
    spans[0].clone()
}

#[tokio::test]
async fn a_call_has_a_span_on_both_ends_and_the_handler_logs_within() {
    let (notes, _guard) = capture(LevelFilter::DEBUG);
    let (channel, address) = channel(server(), Endpoint::php).await;
    // Parked: its second line is of a later poll.
    call(&channel, &GET, 20).await.expect("an answer");

    let made = only(&notes, MADE).await;
    assert_eq!(made.text, "call");
    let same = [
        ("rpc.method", "t.Work/Get"),
        ("mode", "wait"),
        ("packing", "php"),
        ("rpc.response.status_code", "Ok"),
    ];
    says(&made, &same);
    says_where(&made, &address);
    says(&made, &[("raw_code", ""), ("error.type", ""), ("otel.status_code", "")]);
    says(&made, &[("otel.kind", "client"), ("otel.name", "t.Work/Get"), ("rpc.system.name", "dora")]);
    let waited: u64 = made.get("duration_us").parse().expect("a number");
    assert!(waited >= 20_000, "{made:#?}");

    let served = only(&notes, SERVED).await;
    assert_eq!(served.text, "serve");
    says(&served, &same);
    says(
        &served,
        &[("network.peer.address", "127.0.0.1"), ("otel.kind", "server"), ("rpc.system.name", "dora")],
    );
    assert!(!address.ends_with(served.get("network.peer.port")), "{served:#?}");
    // PHP peers are called by the first legacy name.
    says(&served, &[("rpc.method_original", "/work/get")]);
    assert!(served.within.is_empty(), "another connection has nothing to do with the caller's span");
    for line in ["begun", "done"] {
        assert_eq!(notes.event(line).within, ["serve t.Work/Get"]);
    }
}

#[tokio::test]
async fn a_failed_call_says_its_codes_and_names_are_the_peers_own() {
    let (notes, _guard) = capture(LevelFilter::DEBUG);
    let (channel, _) = channel(server(), Endpoint::protobuf).await;
    let status = call(&channel, &PUT, -1).await.expect_err("it fails");
    assert_eq!(status.code(), Code::NotFound);
    let codes = [
        ("rpc.response.status_code", "NotFound"),
        ("error.type", "NotFound"),
        ("raw_code", "100205"),
        ("packing", "protobuf"),
    ];
    let made = only(&notes, MADE).await;
    says(&made, &codes);
    says(&made, &[("otel.status_code", "ERROR")]);
    let served = only(&notes, SERVED).await;
    says(&served, &codes);
    // The server did what it should.
    says(&served, &[("otel.status_code", "")]);
    says(&served, &[("rpc.method", "t.Work/Put"), ("rpc.method_original", "")]);
}

#[tokio::test]
async fn a_batch_is_one_span_where_it_is_made_and_one_for_each_call_where_it_is_served() {
    let (notes, _guard) = capture(LevelFilter::DEBUG);
    let (channel, address) = channel(server(), Endpoint::php).await;
    let calls = channel.batch().call(call(&channel, &GET, 0)).call(call(&channel, &PUT, -1));
    let (get, put) = calls.send().await.expect("answered");
    assert!(get.is_ok() && put.is_err());

    let made = only(&notes, MADE).await;
    assert_eq!(made.text, "batch");
    says(&made, &[("calls", "2"), ("failed", "1"), ("mode", "wait"), ("rpc.response.status_code", "Ok")]);
    says_where(&made, &address);
    says(&made, &[("packing", "php")]);
    let served = notes.wait_for_spans(SERVED, 2).await;
    let how: BTreeSet<_> =
        served.iter().map(|span| (span.get("rpc.method"), span.get("rpc.response.status_code"))).collect();
    assert_eq!(how, BTreeSet::from([("t.Work/Get", "Ok"), ("t.Work/Put", "NotFound")]));
    served.iter().for_each(|span| says(span, &[("packing", "php"), ("mode", "wait")]));
}

#[tokio::test]
async fn a_deferred_call_keeps_its_span_until_the_result_is_there() {
    let (notes, _guard) = capture(LevelFilter::DEBUG);
    let (channel, address) = channel(server(), Endpoint::php).await;
    let pending = call(&channel, &PUT, -1).deferred().await.expect("accepted");
    assert!(notes.spans(MADE).is_empty(), "its result is not there");
    pending.await.expect_err("it fails");
    let how = [("mode", "deferred"), ("rpc.response.status_code", "NotFound"), ("rpc.method", "t.Work/Put")];
    says(&only(&notes, MADE).await, &how);
    says_where(&only(&notes, MADE).await, &address);
    says(&only(&notes, SERVED).await, &how);
    // Given up: neither is it said to have gone well.
    drop(call(&channel, &GET, 60_000).deferred().await.expect("accepted"));
    let spans = notes.wait_for_spans(MADE, 2).await;
    says(&spans[1], &[("rpc.response.status_code", "Cancelled"), ("rpc.method", "t.Work/Get")]);
}

#[tokio::test]
async fn a_call_without_a_result_ends_here_with_its_acknowledgement() {
    let (notes, _guard) = capture(LevelFilter::DEBUG);
    let (channel, _) = channel(server(), Endpoint::php).await;
    call(&channel, &PUT, -1).no_result().await.expect("accepted");
    says(&only(&notes, MADE).await, &[("mode", "no_result"), ("rpc.response.status_code", "Ok")]);
    // How it went in truth is known where it ran.
    says(&only(&notes, SERVED).await, &[("mode", "no_result"), ("rpc.response.status_code", "NotFound")]);
}

#[tokio::test]
async fn a_call_that_is_a_task_logs_within_its_span_too() {
    let (notes, _guard) = capture(LevelFilter::DEBUG);
    let (channel, _) = channel(server().execution(Execution::Spawned), Endpoint::php).await;
    call(&channel, &GET, 5).await.expect("an answer");
    for line in ["begun", "done"] {
        assert_eq!(notes.event(line).within, ["serve t.Work/Get"]);
    }
}

#[tokio::test]
async fn in_this_process_the_served_span_stands_in_the_callers() {
    let (notes, _guard) = capture(LevelFilter::DEBUG);
    let service = server().into_service().expect("no name twice");
    call(&service, &GET, 0).await.expect("an answer");
    let (made, served) = (only(&notes, MADE).await, only(&notes, SERVED).await);
    says(&made, &[("rpc.response.status_code", "Ok"), ("server.address", ""), ("packing", "")]);
    says(
        &served,
        &[("rpc.response.status_code", "Ok"), ("network.peer.address", "this process"), ("packing", "")],
    );
    assert_eq!(served.within, ["call t.Work/Get"]);
    assert_eq!(notes.event("begun").within, ["serve t.Work/Get", "call t.Work/Get"]);
    // In a task of its own, too.
    call(&service, &PUT, 0).deferred().await.expect("accepted").await.expect("an answer");
    let served = notes.wait_for_spans(SERVED, 2).await;
    assert_eq!(served[1].within, ["call t.Work/Put"]);
}

#[tokio::test]
async fn a_name_that_no_service_has_is_told_as_it_was_called() {
    let (notes, _guard) = capture(LevelFilter::DEBUG);
    let (channel, _) = channel(server(), |endpoint| endpoint).await;
    DynamicClient::new(channel).call("/odd\nname", 0).await.expect("an answer");
    for target in [MADE, SERVED] {
        says(
            &only(&notes, target).await,
            &[("rpc.method", "/odd\\nname"), ("packing", "php"), ("rpc.response.status_code", "Ok")],
        );
    }
}

#[tokio::test]
async fn the_spans_of_both_ends_are_of_one_trace_where_layers_carry_it() {
    let (notes, _guard) = capture(LevelFilter::DEBUG);
    let (channel, _) = channel(server().layer(TraceContextLayer::server()), Endpoint::php).await;
    let client = TraceContextLayer::client().layer(channel);
    let here = TraceContext::root();
    here.clone().scope(call(&client, &GET, 5).into_future()).await.expect("an answer");
    let (made, served) = (only(&notes, MADE).await, only(&notes, SERVED).await);
    let trace = format!("{:032x}", here.trace_id());
    says(&made, &[("trace_id", &trace), ("parent_span_id", &format!("{:016x}", here.span_id()))]);
    says(&served, &[("trace_id", &trace), ("parent_span_id", made.get("span_id"))]);
    assert_eq!(served.get("span_id").len(), 16, "{served:#?}");
}

#[tokio::test]
async fn a_call_that_is_given_up_or_late_says_so() {
    let (notes, _guard) = capture(LevelFilter::DEBUG);
    let (channel, _) = channel(server(), Endpoint::php).await;
    let late = call(&channel, &GET, 60_000).timeout(Duration::from_millis(20)).await;
    assert_eq!(late.expect_err("it is late").code(), Code::DeadlineExceeded);
    says(&only(&notes, MADE).await, &[("rpc.response.status_code", "DeadlineExceeded")]);
    says(&only(&notes, SERVED).await, &[("rpc.response.status_code", "DeadlineExceeded")]);
    let given_up = tokio::time::timeout(Duration::from_millis(20), call(&channel, &GET, 60_000));
    assert!(given_up.await.is_err());
    says(&notes.wait_for_spans(MADE, 2).await[1], &[("rpc.response.status_code", "Cancelled")]);
}

#[tokio::test]
async fn nobody_who_listens_to_less_gets_a_span() {
    let (notes, _guard) = capture(LevelFilter::INFO);
    let (channel, _) = channel(server(), Endpoint::php).await;
    call(&channel, &GET, 0).await.expect("an answer");
    assert!(notes.event("done").within.is_empty());
}

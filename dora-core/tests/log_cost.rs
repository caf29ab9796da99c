//! What logs and spans cost while nobody listens: no allocation, and next to no
//! room in the futures of calls. A test binary of its own, with an allocator that
//! counts for each thread.

use std::future::{Future, Ready, pending, ready};
use std::mem::size_of_val;
use std::pin::pin;
use std::task::{Context, Waker};

use allocation_counter::measure;
use dora_core::call::body::Body;
use dora_core::call::packer::Packer;
use dora_core::call::request::Request;
use dora_core::call::response::Response;
use dora_core::call::status::Status;
use dora_core::middleware::catch_panic::CatchPanicLayer;
use dora_core::middleware::trace::TraceLayer;
use dora_core::pack::value::Value;
use dora_core::server::Server;
use dora_core::stub::caller::Caller;
use dora_core::stub::dynamic::DynamicClient;
use dora_core::transport::client::endpoint::Endpoint;
use tokio::net::TcpListener;
use tower::{Layer, Service, service_fn};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

const CALLS: u64 = 1000;

/// Runs `work` with somebody who listens down to `level`.
fn heard<T>(level: LevelFilter, work: impl FnOnce() -> T) -> T {
    tracing::subscriber::with_default(Registry::default().with(level), work)
}

fn request() -> Request {
    Request::new(Body::packed(Packer::Php, Default::default()))
}

fn answer(_: Request) -> Ready<Result<Response, Status>> {
    ready(Ok(Response::accepted()))
}

/// Allocations of one call through `service`.
fn allocations<S>(mut service: S) -> u64
where
    S: Service<Request, Response = Response, Error = Status>,
{
    let request = request();
    let counted = measure(|| {
        let mut call = pin!(service.call(request));
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    });
    counted.count_total
}

#[test]
fn a_layer_of_spans_takes_a_words_room() {
    let (bare, traced) = (service_fn(answer), TraceLayer.layer(service_fn(answer)));
    let (mut bare, mut traced) = (bare, traced);
    let (bare, traced) = (bare.call(request()), traced.call(request()));
    let more = size_of_val(&traced) - size_of_val(&bare);
    assert!(more <= size_of::<usize>(), "{more} bytes");
}

async fn calls<S: Caller>(client: &DynamicClient<S>, calls: u64) {
    for _ in 0..calls {
        client.call("/echo", 1).await.expect("an echo");
    }
}

/// Allocations of so many calls over TCP, both ends, one after the other.
fn over_tcp() -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let client = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let echo = |request: Request<Value>| async { Ok::<_, Status>(request.into_body()) };
        tokio::spawn(Server::builder().dynamic(echo).serve_with_listener(listener, pending()));
        let channel = Endpoint::new(address).expect("an address").php().connect().await.expect("it listens");
        let client = DynamicClient::new(channel);
        // What is made once is there then.
        calls(&client, CALLS).await;
        client
    });
    measure(|| runtime.block_on(calls(&client, CALLS))).count_total
}

/// One test for all: whoever listens leaves marks in the process, so nobody may
/// have listened before.
#[test]
fn nothing_is_allocated_for_spans_and_logs_while_nobody_listens() {
    let bare = || service_fn(answer);
    let without = allocations(bare());
    assert_eq!(allocations(TraceLayer.layer(bare())), without, "no subscriber at all");
    assert_eq!(allocations(CatchPanicLayer.layer(bare())), without, "no subscriber at all");
    let nobody = over_tcp();
    println!("{} allocations per call, both ends", nobody as f64 / CALLS as f64);

    heard(LevelFilter::INFO, || {
        assert_eq!(allocations(TraceLayer.layer(bare())), without, "one who listens to less");
        let info = over_tcp();
        // A timer now and then.
        assert!(info.abs_diff(nobody) < CALLS / 20, "{nobody} for nobody, {info} with one who listens");
    });
    heard(LevelFilter::DEBUG, || {
        assert!(allocations(TraceLayer.layer(bare())) > without, "else nothing is counted here");
        let debug = over_tcp();
        assert!(debug > nobody + 2 * CALLS, "else nothing is counted here: {nobody}, {debug}");
    });
}

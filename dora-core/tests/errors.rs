//! Errors name the party that is at fault, over real connections.

use std::error::Error;
use std::future::pending;
use std::sync::LazyLock;

use dora_core::call::BoxFuture;
use dora_core::call::batch::CallKey;
use dora_core::call::body::{BatchCall, Body};
use dora_core::call::code::Code;
use dora_core::call::method::{Method, ServiceDescriptor};
use dora_core::call::mount::Mount;
use dora_core::call::packer::Packer;
use dora_core::call::request::Request;
use dora_core::call::response::{Reply, Response};
use dora_core::call::status::{Origin, Status};
use dora_core::pack::value::Value;
use dora_core::server::Server;
use dora_core::stub::call::Call;
use dora_core::stub::serve::{unary, unknown_method};
use dora_core::transport::client::channel::Channel;
use dora_core::transport::client::endpoint::Endpoint;
use dora_core::value;
use prost_types::{Duration, Timestamp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tower::ServiceExt;

static CLOCK: ServiceDescriptor = ServiceDescriptor::new("t.Clock", &[&TYPED, &ANY]);
static TYPED: Method = Method::new(&CLOCK, "Typed", "/t.Clock/Typed");
static ANY: Method = Method::new(&CLOCK, "Any", "/t.Clock/Any");

/// A service whose first method has types, and whose second takes any value and
/// answers with a message.
struct Clock;

impl Mount for Clock {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        &CLOCK
    }

    fn call(&self, index: usize, request: Request) -> BoxFuture<Response> {
        let now = || Timestamp { seconds: 7, nanos: 5 };
        match index {
            0 => Box::pin(unary(request, async move |_: Request<Duration>| {
                Ok::<Response<Timestamp>, Status>(now().into())
            })),
            1 => Box::pin(unary(request, async move |_: Request<Value>| {
                Ok::<Response<Timestamp>, Status>(now().into())
            })),
            _ => unknown_method(index, request),
        }
    }
}

/// A channel to a server of the clock, and a dynamic handler beside it.
async fn channel(packer: Packer) -> Channel {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let dynamic = |request: Request<Value>| async move { Ok(request.into_body()) };
    let server = Server::builder().add_service(Clock).dynamic(dynamic);
    tokio::spawn(server.serve_with_listener(listener, pending()));
    let endpoint = Endpoint::new(address.to_string()).expect("host:port").packer(packer);
    endpoint.connect().await.expect("it listens")
}

#[tokio::test]
async fn an_answer_that_does_not_decode_is_the_servers_fault() {
    for packer in [Packer::Php, Packer::Json] {
        let channel = channel(packer).await;
        let call: Call<_, Value, Timestamp> = Call::named(channel.clone(), "/echo", value!([1, 2]));
        let status = call.await.expect_err("a list is no timestamp");
        assert_eq!((status.code(), status.origin()), (Code::DataLoss, Origin::Server), "{status}");
        assert_eq!(status.peer(), Some(channel.peer()));
        assert!(status.message().contains("/echo"), "{status}");
        assert!(status.source().and_then(Error::source).is_some(), "the cause is kept: {status:?}");
    }
}

#[tokio::test]
async fn a_dynamic_call_of_a_typed_method_over_protobuf_says_what_to_use() {
    let channel = channel(Packer::Protobuf).await;
    let call = channel.dynamic().call(TYPED.path(), value!({ "seconds" => 3 }));
    let status = call.await.expect_err("the server has types");
    assert_eq!((status.code(), status.origin()), (Code::InvalidArgument, Origin::Service), "{status}");
    assert_eq!(status.peer(), Some(channel.peer()));
    assert!(status.message().contains("send it as PHP or JSON"), "{status}");
    let status = channel.dynamic().call(ANY.path(), value!(1)).await.expect_err("the answer has a type");
    assert_eq!((status.code(), status.origin()), (Code::DataLoss, Origin::Server), "{status}");
    assert_eq!(status.peer(), Some(channel.peer()));
    assert!(status.message().contains("call with PHP or JSON packing"), "{status}");
}

/// A server that answers each request with `body`, under its guid.
async fn answering(body: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    tokio::spawn(async move {
        let (mut peer, _) = listener.accept().await.expect("a client");
        loop {
            // A length, and behind it a guid and the body.
            let length = peer.read_u32().await.expect("a frame");
            let mut frame = vec![0; length as usize];
            peer.read_exact(&mut frame).await.expect("a frame");
            peer.write_u32(32 + body.len() as u32).await.expect("a client");
            peer.write_all(&frame[..32]).await.expect("a client");
            peer.write_all(body).await.expect("a client");
        }
    });
    address
}

#[tokio::test]
async fn a_packet_that_does_not_decode_says_what_it_should_have_answered() {
    for body in [&b"a:3:{broken"[..], b"nothing that is known", b"{\"code\":0,", b"\x1f\x8bno gzip"] {
        let channel = Endpoint::new(answering(body).await).expect("host:port").php().connect_lazy();
        let channel = channel.expect("settings");
        let status = channel.dynamic().call("/user/get", 7).await.expect_err("that is no answer");
        assert_eq!((status.code(), status.origin()), (Code::DataLoss, Origin::Connection), "{status}");
        assert!(status.message().starts_with("/user/get: the answer "), "{status}");
        assert_eq!(status.peer(), Some(channel.peer()));
        assert!(!status.is_unsent());
    }
}

#[tokio::test]
async fn a_batch_with_a_key_twice_is_refused_before_it_is_sent() {
    for packer in [Packer::Php, Packer::Json, Packer::Protobuf] {
        let channel = channel(packer).await;
        let batch = |keys: [&str; 3]| {
            let calls = keys.into_iter().map(|key| {
                let (mut head, ()) = Request::new(()).into_parts();
                head.set_method("/echo");
                BatchCall::new(key.into(), head, Body::message(value!(1)))
            });
            channel.clone().oneshot(Request::batch_of(calls.collect()))
        };
        let status = batch(["user", "orders", "user"]).await.expect_err("PHP would drop the first one");
        assert_eq!((status.code(), status.origin()), (Code::InvalidArgument, Origin::Local), "{status}");
        assert!(status.message().contains(r#"the key "user""#) && status.is_unsent(), "{status}");
        batch(["user", "orders", "bill"]).await.expect("each has a key of its own");
    }
}

/// What nobody may read in a log.
static SECRET: LazyLock<Value> = LazyLock::new(|| value!({ "password" => "hunter2" }));

#[tokio::test]
async fn debug_shows_no_parameter_and_no_result() {
    let mut bytes = Vec::new();
    dora_core::pack::php::encode(&SECRET, &mut bytes);
    let packed = || Body::packed(Packer::Php, bytes.clone().into());
    let batch = || {
        let bodies = [Body::message(SECRET.clone()), packed()];
        let calls = bodies.into_iter().map(|body| BatchCall::new(CallKey::Int(0), Box::default(), body));
        Request::batch_of(calls.collect())
    };
    let shown = [
        format!("{:?}", Request::new(SECRET.clone())),
        format!("{:?}", Request::new(Body::message(SECRET.clone()))),
        format!("{:?}", Request::new(packed())),
        format!("{:?} {:?}", batch(), batch().body()),
        format!("{:?}", Response::new(SECRET.clone())),
        format!("{:?} {:?}", Response::message(SECRET.clone()), Reply::from(packed())),
        format!("{:?}", Call::<_, Value, Value>::named((), "/a", SECRET.clone())),
    ];
    for shown in shown {
        assert!(!shown.is_empty() && !shown.contains("hunter2") && !shown.contains("password"), "{shown}");
        // As bytes either.
        assert!(!shown.contains("104, 117, 110"), "{shown}");
    }
}

/// What a server's connections to others say names addresses within: not for its callers.
#[tokio::test]
async fn callers_are_not_told_which_servers_a_server_calls() {
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("bound");
    let inner = Endpoint::new(closed.to_string()).expect("an address").connect_lazy().expect("settings");
    let handler = move |request: Request<Value>| {
        let inner = inner.clone();
        async move {
            let called = inner.dynamic().call("/inner", value!(1)).await;
            match request.method().as_str() {
                "/words" => called.map_err(|status| status.with_message("come back later")),
                _ => called,
            }
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let server = Server::builder().dynamic(handler.clone());
    tokio::spawn(server.serve_with_listener(listener, pending()));
    let outer = Endpoint::new(address.to_string()).expect("an address").connect_lazy().expect("settings");
    let batch = outer.dynamic().multi().call("a", "/a", value!(1)).send().await.expect("answered");
    let of_batch = batch.into_iter().map(|(_, result)| result.expect_err("the inner call fails"));
    let alone = outer.dynamic().call("/a", value!(1)).await.expect_err("the inner call fails");
    for status in of_batch.chain([alone]) {
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        assert_eq!(status.message(), "a server that this one calls cannot be reached");
    }
    let own = outer.dynamic().call("/words", value!(1)).await.expect_err("the inner call fails");
    assert_eq!(own.message(), "come back later");
    // Within the process nothing is kept back.
    let service = Server::builder().dynamic(handler).into_service().expect("a service");
    let here = dora_core::stub::dynamic::DynamicClient::new(service).call("/a", value!(1)).await;
    let here = here.expect_err("the inner call fails");
    assert!(here.message().contains(&closed.to_string()), "{here}");
}

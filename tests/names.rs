//! What a program names: in struct fields, in bounds, in signatures, for a mock made
//! by hand. Whatever stands in a signature of the facade has a name there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use dora::bytes::Bytes;
use dora::value::{Field, IntoIter, Iter, KeyRef, PhpString, ValueError, Visibility};
use dora::{
    Accept, Address, AddressError, Append, Array, Awaited, Batch, BatchCall, BatchEntry, BatchFuture,
    BatchPart, BatchResults, Body, BoxError, BoxFuture, Call, CallFuture, CallKey, Caller, Calls, Channel,
    ChannelState, Closed, Code, Connection, Connections, Control, Deadline, Deferred, DeferredResponse,
    DuplicateName, DynamicClient, Endpoint, Execution, Extensions, Generation, Guid, InProcess, Incoming,
    Intercept, InterceptLayer, IntoRequest, Joins, Key, Layered, Limits, ListenError, Message, Metadata,
    Method, MethodName, Methods, Mode, Mount, Multi, MultiResults, NoResult, Object, Observer, OrStatus,
    Origin, PackError, PackMessage, Packed, Packer, PacketKind, PacketOrigin, Peer, Pending, Reply, Request,
    RequestHead, RequestOrigin, Response, Results, Router, ServeError, Server, Serves, ServiceDescriptor,
    Snapshot, Stacked, Stats, Status, Traffic, Value, Wait, When, WhenLayer, dora_code, prost_types, value,
};
use tower::layer::util::Identity;
use tower::{Layer, service_fn};

/// Names each type where programs hold it.
#[allow(dead_code, clippy::type_complexity, reason = "it is the names that count")]
struct Program<S: Caller> {
    client: DynamicClient<S>,
    channel: (Channel, ChannelState, Endpoint, Address),
    calls: (Call<S, Value, Value>, Call<S, Value, (), NoResult>, Call<S, (), Value, Deferred>),
    running: (CallFuture<S, Value, Value, Wait>, BatchFuture<S, (Result<Value, Status>,)>),
    later: (Pending<Value>, DeferredResponse, BoxFuture<Response>),
    batches: (Batch<S>, Batch<S, Vec<Result<Value, Status>>>, Multi<S>, MultiResults),
    parts: (Box<RequestHead>, Body, Packed, BatchCall, BatchEntry, BatchPart, CallKey, MethodName),
    said: (Metadata, Option<Deadline>, Mode, Extensions, Option<RequestOrigin>, Peer, PacketOrigin),
    origin: (Connection, PacketKind, Guid, Generation, Packer),
    answer: (Reply, BatchResults, Origin, Code),
    declared: (&'static Method, &'static ServiceDescriptor),
    server: (Server<Identity>, Connections<Stacked<Router>>, InProcess<Stacked<Router>>),
    settings: (Limits, Control, Execution),
    layered: (Layered<S>, Methods<S>, Intercept<fn(), S>, When<fn(), S, S>),
    watched: (Arc<Stats>, Snapshot, Closed, Traffic, Box<dyn Observer>, Incoming),
    errors: (AddressError, ServeError, ListenError, DuplicateName, PackError, ValueError, BoxError),
    values: (Array, Key, Object, PhpString, Bytes, Visibility, IntoIter),
    borrowed: (Calls<'static>, Iter<'static>, KeyRef<'static>, Field<'static>),
    google: (prost_types::Timestamp, prost_types::Duration),
}

/// Code that is generic over what it calls through.
async fn greet<S: Caller>(service: &S, name: &str) -> Result<Value, Status> {
    DynamicClient::new(service.clone()).call("/greet", name).await
}

/// Code that is generic over what is awaited, and over what goes into a batch.
async fn awaited<S: Caller, M: Awaited<Value>>(call: Call<S, Value, Value, M>) -> Result<M::Output, Status> {
    call.await
}

async fn with_one_more<S: Caller, T, C>(batch: Batch<S, T>, call: C) -> Result<C::Next, Status>
where
    C: Joins<S, T, Next: Results>,
{
    batch.call(call).send().await
}

/// Code that is generic over messages.
fn packed<M: Message + PackMessage>(message: &M) -> Result<Vec<u8>, PackError> {
    let mut bytes = Vec::new();
    message.pack(Packer::Json, &mut bytes)?;
    Ok(bytes)
}

/// A function that gives a server with layers, or takes what it listens on.
fn server() -> Server<impl Layer<Router, Service = impl Serves>> {
    let noting = InterceptLayer::new(|request: Request| async move { Ok(request) });
    let quick = WhenLayer::all(|method: &'static Method| method.is_idempotent(), Identity::new());
    Server::builder()
        .layer(noting)
        .layer(quick)
        .dynamic(|request: Request<Value>| async move { Ok::<_, Status>(request.into_body()) })
}

async fn serve<A: Accept, M: Mount>(listener: A, service: M) -> Result<(), ServeError> {
    Server::builder().add_service(service).serve_with_listener(listener, std::future::ready(())).await
}

fn longer<T: Append<Value>>(_: T) -> Option<T::Next> {
    None
}

fn asks<T>(request: impl IntoRequest<T>) -> Request<T> {
    request.into_request()
}

#[tokio::test]
async fn a_program_names_all_that_it_uses_from_the_facade() {
    // A mock made by hand: answers by name, from a map.
    let answers = Arc::new(HashMap::from([("/greet", value!("Hello"))]));
    let mock = service_fn(move |request: Request<Body>| {
        let answer = answers.get(request.method().as_str()).cloned();
        async move {
            let answer = answer.or_status(Code::NotFound)?;
            Ok::<_, Status>(Response::<Reply>::message(answer))
        }
    });
    assert_eq!(greet(&mock, "Ada").await.expect("it is there"), value!("Hello"));

    let service = server().into_service().expect("one service at most");
    let client = DynamicClient::new(service.clone());
    assert_eq!(awaited(client.call("/a", 1)).await.expect("an echo"), value!(1));
    let batch = Batch::new(service.clone()).call(client.call("/a", 1));
    let (one, two) = with_one_more(batch, client.call("/b", 2)).await.expect("answered");
    assert_eq!((one.expect("an echo"), two.expect("an echo")), (value!(1), value!(2)));

    assert_eq!(packed(&value!([1])).expect("an array"), b"[1]");
    assert_eq!(asks(7).into_body(), 7);
    assert!(longer(()).is_none());
    assert_eq!(Status::raw(dora_code::TIMEOUT, "late").code(), Code::DeadlineExceeded);
    let _ = serve::<tokio::net::TcpListener, Layered<InProcess<Stacked<Router>>>>;
}

#[tokio::test]
async fn nothing_that_is_printed_shows_a_parameter() {
    let secret = || value!({ "password" => "sesame" });
    let service = server().into_service().expect("one service at most");
    let seen = Arc::new(Mutex::new(String::new()));
    call_over_a_wire(secret(), Arc::clone(&seen)).await;
    let client = DynamicClient::new(service.clone());
    let call = || client.call("/login", secret());
    let mut request = Request::new(Body::message(secret()));
    request.head_mut().set_method("/login");
    let printed = [
        format!("{:?}", call()),
        format!("{:?}", call().no_result()),
        format!("{:?}", Batch::new(service.clone()).call(call())),
        format!("{:?}", Batch::new(service.clone()).list::<Value>()),
        format!("{:?}", client.multi().call("key", "/login", secret())),
        format!("{:?}", Request::new(secret())),
        format!("{:?}", request.clone()),
        format!(
            "{:?}",
            Request::batch_of(vec![BatchCall::new(
                CallKey::from("key"),
                Box::new(request.head().clone()),
                request.body().clone(),
            )])
        ),
        format!("{:?}", call().response().await.expect("an echo")),
        format!("{:?}", Response::<Reply>::message(secret())),
        format!("{:?}", Reply::message(secret())),
        format!("{:?}", call().deferred().await.expect("accepted")),
        seen.lock().expect("no panic").clone(),
        format!("{:?}", Body::packed(Packer::Json, Bytes::from_static(b"\"sesame\""))),
    ];
    for text in printed {
        assert!(!text.contains("sesame") && !text.contains("password"), "{text}");
    }
}

/// What a handler sees that prints its request, and where it came from.
async fn call_over_a_wire(param: Value, seen: Arc<Mutex<String>>) {
    let server = Server::builder().dynamic(move |request: Request<Value>| {
        let packet = request.origin().and_then(RequestOrigin::packet).expect("it came in a packet");
        assert!(packet.raw.is_some(), "all of it is there");
        *seen.lock().expect("no panic") = format!("{request:?} {:?} {packet:?}", request.origin());
        async { Ok::<_, Status>(Value::Null) }
    });
    let server = server.connections().expect("no service at all");
    let endpoint = Endpoint::new("memory:1").expect("an address").php().connect_with(move |_| {
        let (near, far) = tokio::io::duplex(1 << 10);
        tokio::spawn(server.serve(Incoming::new(far)));
        async { Ok(near) }
    });
    let client = DynamicClient::new(endpoint.connect_lazy().expect("settings that fit"));
    client.call("/login", param).await.expect("answered");
}

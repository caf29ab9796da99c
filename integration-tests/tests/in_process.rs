//! Generated clients directly on generated servers: no port, nothing packed.

#![allow(dead_code, deprecated, reason = "the goldens have more than is called, and a deprecated method")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dora::{Batch, Caller, Code, InterceptLayer, Mode, Request, Response, Status, Value, value};
use tower::ServiceExt;
use tower::timeout::Timeout;

mod greeter {
    dora::include_proto!("golden.client");
}

mod users {
    dora::include_proto!("golden.options");
}

use greeter::HelloRequest;
use greeter::greeter_client::GreeterClient;
use greeter::greeter_server::{Greeter, GreeterServer};
use users::users_client::UsersClient;
use users::users_server::{Users, UsersServer};

/// Greets, and notes how it was asked.
#[derive(Default)]
struct Noting {
    asked: Mutex<Vec<(String, Mode, bool)>>,
}

impl Noting {
    fn note<T>(&self, request: &Request<T>) {
        assert_eq!(*request.peer(), dora::Peer::InProcess, "it came over no wire");
        let head = request.head();
        let asked = (head.method().to_string(), head.mode(), head.deadline().is_some());
        self.asked.lock().expect("no panic").push(asked);
    }
}

impl Greeter for Noting {
    async fn hello(&self, request: Request<HelloRequest>) -> Result<Response<String>, Status> {
        self.note(&request);
        match &*request.body().name {
            "" => Err(Status::raw(1231, "who?")),
            "nobody" => panic!("the text of a panic is for the log"),
            name => Ok(format!("Hello {name}").into()),
        }
    }

    async fn r#move(&self, _: Request<HelloRequest>) -> Result<Response<HelloRequest>, Status> {
        std::future::pending().await
    }
}

impl Users for Noting {
    async fn count(&self, request: Request<()>) -> Result<Response<()>, Status> {
        self.note(&request);
        Ok(().into())
    }

    async fn service(&self, request: Request<()>) -> Result<Response<()>, Status> {
        self.note(&request);
        Ok(().into())
    }
}

fn ada() -> HelloRequest {
    HelloRequest { name: "Ada".into() }
}

#[tokio::test]
async fn every_mode_works_without_a_wire() {
    let client = GreeterClient::new(GreeterServer::new(Noting::default()));
    assert_eq!(client.hello(ada()).await.expect("greeted"), "Hello Ada");
    client.hello(ada()).no_result().await.expect("accepted");
    let pending = client.hello(ada()).deferred().await.expect("accepted");
    assert_eq!(pending.await.expect("greeted"), "Hello Ada");
    let status = client.hello(HelloRequest::default()).await.expect_err("it has no name");
    assert_eq!((status.raw_code(), status.message()), (1231, "who?"));
}

#[tokio::test]
async fn options_of_the_proto_reach_the_server() {
    let server = Arc::new(Noting::default());
    let client = UsersClient::new(UsersServer::from_arc(server.clone()));
    client.count(()).wait().await.expect("counted");
    client.count(()).await.expect("accepted").await.expect("counted");
    client.service(()).await.expect("accepted");
    // It is acknowledged before it runs.
    while server.asked.lock().expect("no panic").len() < 3 {
        tokio::task::yield_now().await;
    }
    let asked = std::mem::take(&mut *server.asked.lock().expect("no panic"));
    let count = "/golden.options.Users/Count".to_owned();
    assert_eq!(
        asked,
        [
            (count.clone(), Mode::Wait, true),
            // How long its caller waits for the acknowledgement does not bind it.
            (count, Mode::Deferred, false),
            ("/golden.options.Users/Service".to_owned(), Mode::NoResult, false)
        ]
    );
}

#[tokio::test]
async fn a_panic_of_a_handler_is_its_calls_status() {
    let bare = GreeterServer::new(Noting::default());
    let panics_itself = InterceptLayer::new(|request: Request| async move {
        assert!(request.metadata().get("trip").is_none(), "a layer that trips");
        Ok(request)
    });
    let layered = bare.clone().layer(panics_itself);
    let whole = dora::Server::builder().add_service(bare.clone()).into_service().expect("one service");
    check_panics(bare).await;
    check_panics(layered.clone()).await;
    check_panics(whole).await;
    let status = GreeterClient::new(layered).hello(ada()).metadata("trip", "1").await;
    assert_eq!(status.expect_err("the layer panics").code(), Code::Internal);
}

/// As over a connection: the same status in every mode, and the rest of a batch
/// goes well.
async fn check_panics<S: Caller>(service: S) {
    let client = GreeterClient::new(service.clone());
    let trips = || client.hello(HelloRequest { name: "nobody".into() });
    let check = |status: Status| {
        assert_eq!((status.code(), status.message()), (Code::Internal, "the handler panicked"));
    };
    check(trips().await.expect_err("it panics"));
    let batch = Batch::new(service).call(trips()).call(client.hello(ada()));
    let (tripped, greeted) = batch.send().await.expect("answered");
    check(tripped.expect_err("it panics"));
    assert_eq!(greeted.expect("greeted"), "Hello Ada");
    trips().no_result().await.expect("accepted");
    let pending = trips().deferred().await.expect("accepted");
    check(pending.await.expect_err("it panics"));
}

#[tokio::test]
async fn a_server_is_called_by_any_of_its_names_and_with_values_too() {
    let methods = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&methods);
    let noting = InterceptLayer::new(move |request: Request| {
        let beside = request.batch().map(|batch| batch.calls().iter().map(|call| call.method.to_string()));
        noted.lock().expect("no panic").push((request.method().to_string(), beside.map(Vec::from_iter)));
        async { Ok(request) }
    });
    let bare = UsersServer::new(Noting::default());
    let users = dora::DynamicClient::new(bare.clone());
    let layered = dora::DynamicClient::new(bare.layer(noting));
    let path = "/golden.options.Users/Count";
    let names = [
        "/user/count",
        "user.count",
        path,
        r"1.2::App\Rpc\Lib\UserInterface::count",
        r"1.2::App\Rpc\Lib\UserInterface::Count",
    ];
    for name in names {
        assert_eq!(users.call(name, value!([])).await.expect(name), value!([]));
        assert_eq!(layered.call(name, value!([])).await.expect(name), value!([]));
        let mut results = layered.multi().call("a", name, value!([])).send().await.expect(name);
        assert_eq!(results.remove(0).1.expect(name), value!([]));
        let one = |beside| (path.to_owned(), beside);
        let noted = std::mem::take(&mut *methods.lock().expect("no panic"));
        assert_eq!(noted, [one(None), one(Some(vec![path.to_owned()]))], "{name}");
    }
    let status = users.call("/user/other", Value::Null).await.expect_err("there is none");
    assert_eq!(status.code(), Code::Unimplemented);
    let greeter = dora::DynamicClient::new(GreeterServer::new(Noting::default()));
    let hello = greeter.call("/golden.client.Greeter/Hello", value!({ "name" => "Ada" })).await;
    assert_eq!(hello.expect("greeted"), value!("Hello Ada"));
    let wrong = greeter.call("/golden.client.Greeter/Hello", value!({ "name" => [1] })).await;
    let wrong = wrong.expect_err("a list is no name");
    assert_eq!(wrong.code(), Code::InvalidArgument);
    assert!(wrong.message().contains("name"), "{wrong}");
}

#[tokio::test(start_paused = true)]
async fn layers_of_tower_stand_between() {
    let slow = Timeout::new(GreeterServer::new(Noting::default()), Duration::from_secs(1));
    let status = GreeterClient::new(slow).r#move(ada()).await.expect_err("it never ends");
    assert_eq!(status.code(), Code::DeadlineExceeded);
    let renamed = GreeterServer::new(Noting::default()).map_response(|mut response: Response<_>| {
        response.metadata_mut().append("via", "layer");
        response
    });
    let response = GreeterClient::new(renamed).hello(ada()).response().await.expect("greeted");
    assert_eq!(response.metadata().get("via"), Some("layer"));
}

//! Generated mocks: told what will be called, and how to answer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use dora::{Code, Endpoint, Response, Server, Status};

mod greeter {
    dora::include_proto!("golden.client");
}

use greeter::HelloRequest;
use greeter::greeter_client::GreeterClient;
use greeter::greeter_mock::{MockGreeter, MockGreeterHandle};
use greeter::greeter_server::GreeterServer;

fn mocked() -> (GreeterClient<GreeterServer<MockGreeter>>, MockGreeterHandle) {
    let (mock, handle) = MockGreeter::new();
    (GreeterClient::new(GreeterServer::new(mock)), handle)
}

fn asked(n: u32) -> HelloRequest {
    HelloRequest { name: n.to_string() }
}

/// What `f` panics with.
fn panic_of(f: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(f)).expect_err("it panics");
    *panic.downcast::<String>().expect("with a message")
}

#[tokio::test(start_paused = true)]
async fn calls_are_answered_in_their_order() {
    let (greeter, mut handle) = mocked();
    handle
        .expect_hello(|request| Ok(format!("Hello {}", request.body().name)))
        .expect_hello(|_| Err(Status::raw(1231, "it stands")))
        .expect_hello(|_| {
            Box::pin(async {
                tokio::time::sleep(Duration::from_secs(5)).await;
                let mut response = Response::from("late".to_owned());
                response.metadata_mut().append("by", "5s");
                Ok(response)
            })
        });
    handle.expect_move(|request| Ok(request.into_body()));

    assert_eq!(greeter.hello(asked(3)).await.unwrap(), "Hello 3");
    assert_eq!(greeter.hello(asked(4)).await.unwrap_err().raw_code(), 1231);
    assert_eq!(greeter.r#move(asked(7)).await.unwrap(), asked(7));
    let late = greeter.hello(asked(5)).timeout(Duration::from_secs(9)).response().await.unwrap();
    assert_eq!((late.body().as_str(), late.metadata().get("by")), ("late", Some("5s")));
    handle.verify();
}

#[tokio::test]
async fn a_call_that_does_not_come_fails_the_test() {
    let (greeter, mut handle) = mocked();
    for _ in 0..3 {
        handle.expect_hello(|_| Ok(String::new()));
    }
    handle.expect_move(|_| Ok(asked(0)));
    greeter.hello(asked(1)).await.unwrap();
    let message = panic_of(|| drop(handle));
    assert!(message.contains("expected 2 more calls of /golden.client.Greeter/Hello"), "{message}");
    assert!(message.contains("expected a call of /golden.client.Greeter/Move, and none came"), "{message}");
}

#[tokio::test]
async fn a_call_that_nobody_expects_fails_and_fails_the_test() {
    let (greeter, mut handle) = mocked();
    handle.expect_hello(|_| Ok(String::new()));
    greeter.hello(asked(1)).await.unwrap();
    let status = greeter.hello(asked(2)).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("expects no call of /golden.client.Greeter/Hello"), "{status}");
    let message = panic_of(|| handle.verify());
    assert!(message.contains("expects no call of /golden.client.Greeter/Hello, and one came"), "{message}");
}

#[tokio::test]
async fn an_assertion_within_an_expectation_fails_the_test() {
    let (greeter, mut handle) = mocked();
    handle.expect_hello(|request| {
        assert_eq!(request.body().name, "1", "it is asked for the first");
        Ok(String::new())
    });
    // Whoever calls may expect an error, and be content with this one.
    assert_eq!(greeter.hello(asked(2)).await.unwrap_err().code(), Code::Internal);
    let message = panic_of(|| handle.verify());
    assert_eq!(message, "an expected call of /golden.client.Greeter/Hello panicked");
}

#[tokio::test]
async fn a_mock_serves_a_port_too() {
    let (mock, mut handle) = MockGreeter::new();
    handle.expect_hello(|request| Ok(request.into_body().name));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = Server::builder().add_service(GreeterServer::new(mock));
    let server = tokio::spawn(server.serve_with_listener(listener, std::future::pending()));
    let greeter = GreeterClient::new(Endpoint::new(address).unwrap().connect().await.unwrap());
    assert_eq!(greeter.hello(asked(9)).await.unwrap(), "9");
    server.abort();
}

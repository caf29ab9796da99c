//! The golden files of dora-codegen compile, and a client that they hold talks
//! to a server that they hold.

#![allow(dead_code, reason = "compiled for the most part, not called")]

mod client {
    dora::include_proto!("golden.client");
}

mod messages {
    dora::include_proto!("golden.messages");
}

mod oneof {
    dora::include_proto!("golden.oneof");
}

mod options {
    dora::include_proto!("golden.options");
}

mod server {
    dora::include_proto!("golden.server");
}

use client::HelloRequest;
use client::greeter_client::GreeterClient;
use client::greeter_server::{Greeter, GreeterServer};
use dora::{Request, Response, Status};

struct Polite;

impl Greeter for Polite {
    async fn hello(&self, request: Request<HelloRequest>) -> Result<Response<String>, Status> {
        Ok(format!("Hello {}", request.body().name).into())
    }

    async fn r#move(&self, _: Request<HelloRequest>) -> Result<Response<HelloRequest>, Status> {
        Err(Status::unimplemented("I shall not be moved"))
    }
}

#[tokio::test]
async fn a_client_calls_a_server_in_its_own_process() {
    let greeter = GreeterClient::new(GreeterServer::new(Polite));
    let request = HelloRequest { name: "Dora".into() };
    assert_eq!(greeter.hello(request.clone()).await.unwrap(), "Hello Dora");
    let status = greeter.r#move(request).await.unwrap_err();
    assert_eq!(status.message(), "I shall not be moved");
}

#[test]
fn options_reach_the_descriptor() {
    use options::users_descriptor::{COUNT, SERVICE, SERVICE_};

    assert_eq!(SERVICE.version(), "1.2");
    assert_eq!(SERVICE.group(), Some("accounts"));
    assert_eq!(SERVICE.interface(), Some("App\\Rpc\\Lib\\UserInterface"));
    assert_eq!(SERVICE.methods().len(), 2);
    assert_eq!(COUNT.aliases(), ["/user/count", "user.count"]);
    assert_eq!(COUNT.timeout(), Some(std::time::Duration::from_millis(500)));
    assert_eq!(COUNT.mode(), dora::Mode::Deferred);
    assert_eq!(SERVICE.methods()[1].path(), SERVICE_.path());
    assert_eq!(SERVICE_.path(), "/golden.options.Users/Service");
    assert!(SERVICE.methods()[1].is_idempotent());
}

//! The typed reference service, in Rust.

use std::net::SocketAddr;
use std::time::Duration;

use dora::{Control, Endpoint, Generation, Request, Response, Server, Status};
use dora_integration_tests::raw::{self, Dialect};
use tokio::net::TcpListener;

use crate::reference::reference_server::{Reference, ReferenceServer};
use crate::reference::{Api, BigRequest, Kinds, SleepReply, SleepRequest, TaskReply, Word};

/// Serves on a free port until the runtime ends. The generation of a peer is
/// told by its frames; signing is configured.
pub(crate) async fn start(dialect: &Dialect) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let mut server = Server::builder().add_service(ReferenceServer::new(Typed)).control(Control::enabled());
    if let Some(salt) = &dialect.salt {
        server = server.salt(salt);
    }
    if dialect.gzip {
        server = server.gzip();
    }
    tokio::spawn(server.serve_with_listener(listener, std::future::pending()));
    address
}

/// How a Rust client speaks to a PHP server of `dialect`.
pub(crate) fn endpoint(address: SocketAddr, dialect: &Dialect) -> Endpoint {
    let mut endpoint = Endpoint::new(address.to_string()).expect("an address").php();
    endpoint = endpoint.generation(match dialect.generation {
        raw::Generation::Guid => Generation::Guid,
        raw::Generation::Plain => Generation::Plain,
        raw::Generation::Bare => Generation::Bare,
    });
    if let Some(salt) = &dialect.salt {
        endpoint = endpoint.salt(salt);
    }
    if dialect.gzip {
        endpoint = endpoint.gzip();
    }
    endpoint
}

struct Typed;

impl Reference for Typed {
    async fn echo(&self, request: Request<Kinds>) -> Result<Response<Kinds>, Status> {
        Ok(request.into_body().into())
    }

    async fn task(&self, request: Request<Word>) -> Result<Response<TaskReply>, Status> {
        let packet = request.origin().and_then(dora::RequestOrigin::packet);
        let packet = packet.ok_or_else(|| Status::internal("it came in no packet"))?;
        Ok(TaskReply {
            r#type: packet.kind.word().into(),
            guid: packet.guid.to_string(),
            protocol: "tcp".into(),
            api: Some(Api { name: request.called_as().to_string(), param: Some(request.body().clone()) }),
        }
        .into())
    }

    async fn throw(&self, _: Request<()>) -> Result<Response<()>, Status> {
        Err(Status::raw(1231, "asbddddfds"))
    }

    async fn throw_cn(&self, _: Request<()>) -> Result<Response<()>, Status> {
        Err(Status::raw(-42, "业务异常: 库存不足"))
    }

    async fn die(&self, _: Request<()>) -> Result<Response<()>, Status> {
        panic!("the handler dies")
    }

    async fn sleep(&self, request: Request<SleepRequest>) -> Result<Response<SleepReply>, Status> {
        let us = request.body().us;
        tokio::time::sleep(Duration::from_micros(us.unsigned_abs())).await;
        Ok(SleepReply { slept: us }.into())
    }

    async fn big(&self, request: Request<BigRequest>) -> Result<Response<String>, Status> {
        let n = usize::try_from(request.body().n).map_err(|_| Status::out_of_range("n"))?;
        Ok("D".repeat(n).into())
    }
}

//! Dora as its README shows it.

use std::net::SocketAddr;

use anyhow::Context;
use dora::limit::{AdaptivePolicy, ConcurrencyLimitLayer, Priority};
use dora::tls::{ClientTls, Identity, ServerTls, Trust};
use dora::{Caller, Channel, Endpoint, Fleet, Request, Response, Server, Status};
use tokio::net::TcpListener;

use self::generated::EchoMessage as Message;
use self::generated::echo_client::EchoClient;
use self::generated::echo_server::{Echo, EchoServer};
use super::{CERTIFICATE, CERTIFIED, Connection, KEY, Peer};
use crate::message::EchoMessage;
use crate::work;

pub(crate) mod generated {
    include!(concat!(env!("OUT_DIR"), "/dora/bench.v1.rs"));
}

/// A server of the echo.
pub(crate) fn server() -> Server {
    Server::builder().add_service(EchoServer::new(Service))
}

pub(crate) struct Dora;

impl Peer for Dora {
    type Connection = EchoClient;

    async fn serve(listener: TcpListener) -> anyhow::Result<()> {
        server().serve_with_listener(listener, std::future::pending()).await.context("dora serves")
    }

    async fn connect(addr: SocketAddr) -> anyhow::Result<Self::Connection> {
        Ok(EchoClient::new(Endpoint::new(addr.to_string())?.connect().await?))
    }
}

/// The same with the client's whole stack: retries, the choice of an instance, its breaker.
pub(crate) struct DoraStack;

impl Peer for DoraStack {
    const VARIANT: bool = true;

    type Connection = EchoClient<Fleet<Channel>>;

    async fn serve(listener: TcpListener) -> anyhow::Result<()> {
        Dora::serve(listener).await
    }

    async fn connect(addr: SocketAddr) -> anyhow::Result<Self::Connection> {
        Ok(EchoClient::new(Channel::balance([addr.to_string()])?))
    }
}

/// The same, with what a server has by one more line: an adaptive limit that heeds priorities.
pub(crate) struct DoraLimited;

impl Peer for DoraLimited {
    const VARIANT: bool = true;

    type Connection = EchoClient<Fleet<Channel>>;

    async fn serve(listener: TcpListener) -> anyhow::Result<()> {
        Server::builder()
            .layer(ConcurrencyLimitLayer::adaptive(AdaptivePolicy::new()).priority(Priority::of))
            .add_service(EchoServer::new(Service))
            .serve_with_listener(listener, std::future::pending())
            .await
            .context("dora serves")
    }

    async fn connect(addr: SocketAddr) -> anyhow::Result<Self::Connection> {
        DoraStack::connect(addr).await
    }
}

/// The same over TLS.
pub(crate) struct DoraTls;

impl Peer for DoraTls {
    const VARIANT: bool = true;

    type Connection = EchoClient;

    async fn serve(listener: TcpListener) -> anyhow::Result<()> {
        Server::builder()
            .tls(ServerTls::new(Identity::from_pem(CERTIFICATE, KEY)?))
            .add_service(EchoServer::new(Service))
            .serve_with_listener(listener, std::future::pending())
            .await
            .context("dora serves")
    }

    async fn connect(addr: SocketAddr) -> anyhow::Result<Self::Connection> {
        let tls = ClientTls::new(Trust::from_pem(CERTIFICATE)?).server_name(CERTIFIED)?;
        Ok(EchoClient::new(Endpoint::new(addr.to_string())?.tls(tls).connect().await?))
    }
}

impl<S> Connection for EchoClient<S>
where
    S: Caller<Future: Send> + Send + Sync + 'static,
{
    async fn echo(&mut self, message: EchoMessage) -> anyhow::Result<EchoMessage> {
        // The same fields under another name: moved, not copied.
        let EchoMessage { text, number, first, second, third, payload } = message;
        let message = Message { text, number, first, second, third, payload };
        let Message { text, number, first, second, third, payload } = EchoClient::echo(self, message).await?;
        Ok(EchoMessage { text, number, first, second, third, payload })
    }
}

struct Service;

impl Echo for Service {
    async fn echo(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        work::burn();
        Ok(request.into_body().into())
    }
}

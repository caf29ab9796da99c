//! Dora's door for Swoft, called by Dora's own client of it.

use std::net::SocketAddr;

use anyhow::Context;
use dora::swoft::{Swoft as Door, SwoftChannel, SwoftEndpoint};
use dora::{Request, Response, Server, Status};
use tokio::net::TcpListener;

use self::generated::EchoMessage as Message;
use self::generated::echo_client::EchoClient;
use self::generated::echo_server::{Echo, EchoServer};
use super::{Connection, Peer};
use crate::{message::EchoMessage, work};

mod generated {
    include!(concat!(env!("OUT_DIR"), "/dora/bench.swoft.v1.rs"));
}

/// Swoft 2.x: one call at a time on a connection.
pub(crate) struct Swoft;

impl Peer for Swoft {
    const MULTIPLEXED: bool = false;
    const VARIANT: bool = true;

    type Connection = SwoftConnection;

    async fn serve(listener: TcpListener) -> anyhow::Result<()> {
        let own = TcpListener::bind("127.0.0.1:0").await?;
        Server::builder()
            .add_service(EchoServer::new(Service))
            .door_with_listener(listener, Door::v2())
            .serve_with_listener(own, std::future::pending())
            .await
            .context("dora serves")
    }

    async fn connect(addr: SocketAddr) -> anyhow::Result<Self::Connection> {
        let endpoint = SwoftEndpoint::new(addr.to_string())?.max_connections(1);
        Ok(SwoftConnection(EchoClient::new(endpoint.channel())))
    }
}

#[derive(Clone)]
pub(crate) struct SwoftConnection(EchoClient<SwoftChannel>);

impl Connection for SwoftConnection {
    async fn echo(&mut self, message: EchoMessage) -> anyhow::Result<EchoMessage> {
        let EchoMessage { text, number, first, second, third, payload } = message;
        let message = Message { text, number, first, second, third, payload };
        let Message { text, number, first, second, third, payload } = self.0.echo(message).await?;
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

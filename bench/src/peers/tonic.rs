//! tonic as its documentation shows it.

use std::net::SocketAddr;

use anyhow::Context;
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status,
    transport::{
        Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Server, ServerTlsConfig,
        server::TcpIncoming,
    },
};

use super::{CERTIFICATE, CERTIFIED, Connection, KEY, Peer};
use crate::{
    message::{
        EchoMessage,
        generated::{
            echo_client::EchoClient,
            echo_server::{Echo, EchoServer},
        },
    },
    work,
};

pub(crate) struct Tonic;

impl Peer for Tonic {
    type Connection = EchoClient<Channel>;

    async fn serve(listener: TcpListener) -> anyhow::Result<()> {
        Server::builder()
            .add_service(EchoServer::new(Service))
            .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
            .await
            .context("tonic serves")
    }

    async fn connect(addr: SocketAddr) -> anyhow::Result<Self::Connection> {
        let channel = Endpoint::from_shared(format!("http://{addr}"))?.tcp_nodelay(true).connect().await?;
        Ok(EchoClient::new(channel))
    }
}

/// The same over TLS.
pub(crate) struct TonicTls;

impl Peer for TonicTls {
    const VARIANT: bool = true;

    type Connection = EchoClient<Channel>;

    async fn serve(listener: TcpListener) -> anyhow::Result<()> {
        Server::builder()
            .tls_config(ServerTlsConfig::new().identity(Identity::from_pem(CERTIFICATE, KEY)))?
            .add_service(EchoServer::new(Service))
            .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
            .await
            .context("tonic serves")
    }

    async fn connect(addr: SocketAddr) -> anyhow::Result<Self::Connection> {
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(CERTIFICATE));
        let endpoint = Endpoint::from_shared(format!("https://{addr}"))?.tcp_nodelay(true);
        Ok(EchoClient::new(endpoint.tls_config(tls.domain_name(CERTIFIED))?.connect().await?))
    }
}

impl Connection for EchoClient<Channel> {
    async fn echo(&mut self, message: EchoMessage) -> anyhow::Result<EchoMessage> {
        Ok(EchoClient::echo(self, message).await?.into_inner())
    }
}

struct Service;

#[tonic::async_trait]
impl Echo for Service {
    async fn echo(&self, request: Request<EchoMessage>) -> Result<Response<EchoMessage>, Status> {
        work::burn();
        Ok(Response::new(request.into_inner()))
    }
}

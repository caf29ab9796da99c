//! tarpc in the best configuration that was found for it: handlers polled by their connection's
//! task (`for_each_concurrent`) instead of spawned one by one as documented, bincode, queues that
//! hold every outstanding call, and `TCP_NODELAY`. The framing keeps its default buffers of 8 KiB:
//! ones of 64 KiB cost it about a third of its calls at 1024 outstanding, made no clear difference
//! at 64, and may help it with payloads of 64 KiB.

use std::net::SocketAddr;

use anyhow::Context as _;
use futures_util::StreamExt;
use tarpc::{
    client, context,
    serde_transport::Transport,
    server::{self, Channel},
    tokio_serde::formats::Bincode,
};
use tokio::net::{TcpListener, TcpStream};

use self::service::{EchoService, EchoServiceClient};
use super::{Connection, Peer};
use crate::{message::EchoMessage, work};

const QUEUE: usize = 4096;

#[allow(missing_docs, reason = "the macro writes items without docs")]
mod service {
    use crate::message::EchoMessage;

    #[tarpc::service]
    pub trait EchoService {
        async fn echo(message: EchoMessage) -> EchoMessage;
    }
}

pub(crate) struct Tarpc;

impl Peer for Tarpc {
    type Connection = EchoServiceClient;

    async fn serve(listener: TcpListener) -> anyhow::Result<()> {
        let config = server::Config { pending_response_buffer: QUEUE };
        loop {
            let (stream, _) = listener.accept().await.context("accept")?;
            let channel = config.clone().channel(transport(stream)?);
            let requests = channel.execute(Service.serve());
            tokio::spawn(requests.for_each_concurrent(None, |response| response));
        }
    }

    async fn connect(addr: SocketAddr) -> anyhow::Result<Self::Connection> {
        let mut config = client::Config::default();
        config.max_in_flight_requests = QUEUE;
        config.pending_request_buffer = QUEUE;
        let stream = TcpStream::connect(addr).await?;
        Ok(EchoServiceClient::new(config, transport(stream)?).spawn())
    }
}

impl Connection for EchoServiceClient {
    async fn echo(&mut self, message: EchoMessage) -> anyhow::Result<EchoMessage> {
        Ok(EchoServiceClient::echo(self, context::current(), message).await?)
    }
}

#[derive(Clone)]
struct Service;

impl EchoService for Service {
    async fn echo(self, _: context::Context, message: EchoMessage) -> EchoMessage {
        work::burn();
        message
    }
}

type TcpTransport<In, Out> = Transport<TcpStream, In, Out, Bincode<In, Out>>;

fn transport<In, Out>(stream: TcpStream) -> anyhow::Result<TcpTransport<In, Out>>
where
    In: for<'de> serde::Deserialize<'de>,
    Out: serde::Serialize,
{
    stream.set_nodelay(true)?;
    Ok(Transport::from((stream, Bincode::default())))
}

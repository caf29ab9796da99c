//! One HTTP client for all servers of it: the same requests, made in the same way.

use std::{net::SocketAddr, sync::Arc};

use anyhow::ensure;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, StatusCode,
    client::conn::{http1, http2},
    header::{CONTENT_TYPE, HOST},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, sync::Mutex};

/// One connection of HTTP/1.1, kept alive: one request at a time.
#[derive(Clone)]
pub(crate) struct Http1(Arc<Mutex<http1::SendRequest<Full<Bytes>>>>);

/// One connection of HTTP/2, begun with its preface.
#[derive(Clone)]
pub(crate) struct Http2(http2::SendRequest<Full<Bytes>>);

/// What can post a body and wait for the one that answers it.
pub(crate) trait Post: Clone + Send + Sync + Sized + 'static {
    /// Whether it carries several requests at once.
    const MULTIPLEXED: bool;

    /// Opens a connection.
    fn connect(addr: SocketAddr) -> impl Future<Output = anyhow::Result<Self>> + Send;

    /// Posts `body` of this type to `path`.
    fn post(
        &mut self,
        path: &'static str,
        kind: &'static str,
        body: Vec<u8>,
    ) -> impl Future<Output = anyhow::Result<Bytes>> + Send;
}

impl Post for Http1 {
    const MULTIPLEXED: bool = false;

    async fn connect(addr: SocketAddr) -> anyhow::Result<Self> {
        let (sender, connection) = http1::handshake(TokioIo::new(stream(addr).await?)).await?;
        tokio::spawn(connection);
        Ok(Self(Arc::new(Mutex::new(sender))))
    }

    async fn post(&mut self, path: &'static str, kind: &'static str, body: Vec<u8>) -> anyhow::Result<Bytes> {
        let mut sender = self.0.lock().await;
        sender.ready().await?;
        let request = Request::post(path).header(HOST, "localhost").header(CONTENT_TYPE, kind);
        answered(sender.send_request(request.body(Full::from(body))?).await?).await
    }
}

impl Post for Http2 {
    const MULTIPLEXED: bool = true;

    async fn connect(addr: SocketAddr) -> anyhow::Result<Self> {
        let io = TokioIo::new(stream(addr).await?);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    async fn post(&mut self, path: &'static str, kind: &'static str, body: Vec<u8>) -> anyhow::Result<Bytes> {
        self.0.ready().await?;
        let request = Request::post(format!("http://localhost{path}")).header(CONTENT_TYPE, kind);
        answered(self.0.send_request(request.body(Full::from(body))?).await?).await
    }
}

async fn stream(addr: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn answered(response: hyper::Response<hyper::body::Incoming>) -> anyhow::Result<Bytes> {
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    ensure!(status == StatusCode::OK, "{status}: {}", body.escape_ascii());
    Ok(body)
}

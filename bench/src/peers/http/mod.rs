//! HTTP with JSON: Dora's doors and axum, called by one and the same client.

mod client;
mod json;

use std::{marker::PhantomData, net::SocketAddr};

use ::axum::{Json as Axum, Router, routing::post};
use anyhow::{Context, ensure};
use dora::{connect::Connect, http::Forms};
use serde::Deserialize;
use tokio::net::TcpListener;

use self::client::{Http1, Http2, Post};
use self::json::Json;
use super::{Connection, Peer, dora::server};
use crate::{message::EchoMessage, work};

/// The method's path, at axum too.
const PATH: &str = "/bench.v1.Echo/Echo";
const JSON: &str = "application/json";

/// axum with serde's JSON, as its documentation shows it.
pub(crate) struct AxumJson<P>(PhantomData<P>);

/// Dora's door for Connect's JSON.
pub(crate) struct DoraJson<P>(PhantomData<P>);

/// Dora's door for the forms of PHP's Dora-RPC.
pub(crate) struct DoraForms;

pub(crate) type AxumHttp1 = AxumJson<Http1>;
pub(crate) type AxumHttp2 = AxumJson<Http2>;
pub(crate) type DoraHttp1 = DoraJson<Http1>;
pub(crate) type DoraHttp2 = DoraJson<Http2>;

impl<P: Post> Peer for AxumJson<P> {
    const MULTIPLEXED: bool = P::MULTIPLEXED;
    const VARIANT: bool = true;

    type Connection = JsonConnection<P>;

    async fn serve(listener: TcpListener) -> anyhow::Result<()> {
        async fn echo(Axum(message): Axum<Json>) -> Axum<Json> {
            work::burn();
            Axum(message)
        }
        let listener = ::axum::serve::ListenerExt::tap_io(listener, |stream| drop(stream.set_nodelay(true)));
        ::axum::serve(listener, Router::new().route(PATH, post(echo))).await.context("axum serves")
    }

    async fn connect(addr: SocketAddr) -> anyhow::Result<Self::Connection> {
        Ok(JsonConnection(P::connect(addr).await?))
    }
}

impl<P: Post> Peer for DoraJson<P> {
    const MULTIPLEXED: bool = P::MULTIPLEXED;
    const VARIANT: bool = true;

    type Connection = JsonConnection<P>;

    async fn serve(listener: TcpListener) -> anyhow::Result<()> {
        through(listener, Connect::new()).await
    }

    async fn connect(addr: SocketAddr) -> anyhow::Result<Self::Connection> {
        Ok(JsonConnection(P::connect(addr).await?))
    }
}

impl Peer for DoraForms {
    const MULTIPLEXED: bool = false;
    const VARIANT: bool = true;

    type Connection = FormConnection;

    async fn serve(listener: TcpListener) -> anyhow::Result<()> {
        through(listener, Forms::new()).await
    }

    async fn connect(addr: SocketAddr) -> anyhow::Result<Self::Connection> {
        Ok(FormConnection(Http1::connect(addr).await?))
    }
}

/// Serves through `door` alone on `listener`; Dora's own wire has a port that nobody knows.
pub(super) async fn through(listener: TcpListener, door: impl dora::door::Door) -> anyhow::Result<()> {
    let own = TcpListener::bind("127.0.0.1:0").await?;
    let server = server().door_with_listener(listener, door);
    server.serve_with_listener(own, std::future::pending()).await.context("dora serves")
}

/// A connection on which the message goes as JSON.
#[derive(Clone)]
pub(crate) struct JsonConnection<P>(P);

impl<P: Post> Connection for JsonConnection<P> {
    async fn echo(&mut self, message: EchoMessage) -> anyhow::Result<EchoMessage> {
        let body = serde_json::to_vec(&Json::from(message))?;
        let answer = self.0.post(PATH, JSON, body).await?;
        Ok(serde_json::from_slice::<Json>(&answer)?.into())
    }
}

/// A connection on which the message goes in a form.
#[derive(Clone)]
pub(crate) struct FormConnection(Http1);

/// As much of a packet as is looked at.
#[derive(Deserialize)]
struct Packet {
    code: i64,
    data: Results,
}

#[derive(Deserialize)]
struct Results {
    one: Answer,
}

#[derive(Deserialize)]
struct Answer {
    code: i64,
    data: Json,
}

impl Connection for FormConnection {
    async fn echo(&mut self, message: EchoMessage) -> anyhow::Result<EchoMessage> {
        let param = serde_json::to_string(&Json::from(message))?;
        let params = format!(r#"{{"guid":"1","api":{{"one":{{"name":"{PATH}","param":{param}}}}}}}"#);
        let params: String = url::form_urlencoded::byte_serialize(params.as_bytes()).collect();
        let body = format!("guid=1&params={params}").into_bytes();
        let answer = self.0.post("/api/multisync", "application/x-www-form-urlencoded", body).await?;
        let packet: Packet = serde_json::from_slice(&answer)?;
        ensure!((packet.code, packet.data.one.code) == (0, 0), "{}", answer.escape_ascii());
        Ok(packet.data.one.data.into())
    }
}

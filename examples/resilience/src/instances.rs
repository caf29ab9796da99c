//! Servers that die and come back.

use std::net::SocketAddr;
use std::time::Duration;

use dora::{Request, Response, Server, Status};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::prices::prices_server::{Prices, PricesServer};
use crate::prices::{GetPriceRequest, Price};

struct Till {
    instance: &'static str,
}

impl Prices for Till {
    async fn get_price(&self, _: Request<GetPriceRequest>) -> Result<Response<Price>, Status> {
        tokio::time::sleep(Duration::from_millis(3)).await;
        Ok(Price { cents: 1999, source: self.instance.into() }.into())
    }
}

/// A server, as far as it lives.
pub struct Instance {
    pub name: &'static str,
    pub address: SocketAddr,
    server: Option<JoinHandle<()>>,
}

impl Instance {
    pub async fn start(name: &'static str) -> anyhow::Result<Self> {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut instance = Self { name, address: anywhere, server: None };
        instance.revive().await?;
        Ok(instance)
    }

    /// It is gone with its connections and all calls that it has.
    pub fn die(&mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
        }
    }

    /// It is started again where it was.
    pub async fn revive(&mut self) -> anyhow::Result<()> {
        let listener = TcpListener::bind(self.address).await?;
        self.address = listener.local_addr()?;
        let server = Server::builder().add_service(PricesServer::new(Till { instance: self.name }));
        self.server = Some(tokio::spawn(async move {
            if let Err(error) = server.serve_with_listener(listener, std::future::pending()).await {
                eprintln!("{error}");
            }
        }));
        Ok(())
    }
}

/// Answers when no instance does: the same trait, in this process.
#[derive(Clone)]
pub struct LastKnown;

impl Prices for LastKnown {
    async fn get_price(&self, request: Request<GetPriceRequest>) -> Result<Response<Price>, Status> {
        match request.body().item.as_str() {
            "engine" => Ok(Price { cents: 1899, source: "fallback".into() }.into()),
            item => Err(Status::unavailable(format!("no price of {item} is known"))),
        }
    }
}

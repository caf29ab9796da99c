//! The upper bound: the Dora frame around prost messages and no framework at all. No routing, no
//! deadlines, no metadata, no limits worth the name; what is left is what a framework on this wire
//! can at best reach.
//!
//! The server has one task per connection, which answers every frame that one read brought and
//! writes once. The client has one task per connection beside its callers; see [`client`].

mod client;
mod frame;

use std::net::SocketAddr;

use anyhow::Context;
use bytes::BytesMut;
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
};

use self::{
    client::Client,
    frame::{Decoder, Output},
};
use super::Peer;

pub(crate) struct Limit;

impl Peer for Limit {
    type Connection = Client;

    async fn serve(listener: TcpListener) -> anyhow::Result<()> {
        loop {
            let (stream, _) = listener.accept().await.context("accept")?;
            stream.set_nodelay(true)?;
            tokio::spawn(answer(stream));
        }
    }

    async fn connect(addr: SocketAddr) -> anyhow::Result<Self::Connection> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Client::new(stream))
    }
}

async fn answer(mut stream: TcpStream) -> anyhow::Result<()> {
    let mut input = Decoder::default();
    let mut output = Output::default();
    loop {
        stream.readable().await?;
        if stream.read_buf(&mut input.room()).await? == 0 {
            return Ok(());
        }
        while let Some(frame) = input.next()? {
            let guid = frame.guid;
            output.push(&guid, None, frame.message()?)?;
        }
        while !output.try_write(&stream)? {
            stream.writable().await?;
        }
        input.release();
        output.release();
    }
}

/// Empties `buffer` and gives its memory back.
fn release(buffer: &mut BytesMut) {
    *buffer = BytesMut::new();
}

//! Not an RPC system: length-prefixed bytes, one at a time on a connection, no messages decoded.
//! It shows what tokio and the kernel cost by themselves.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context;
use bytes::{Buf, BufMut, BytesMut};
use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Mutex,
};

use super::{Connection, Peer};
use crate::message::EchoMessage;

const LENGTH: usize = 4;
const MAX_FRAME: usize = 8 * 1024 * 1024;
const READ_CHUNK: usize = 64 * 1024;

pub(crate) struct Raw;

impl Peer for Raw {
    const MULTIPLEXED: bool = false;

    type Connection = RawConnection;

    async fn serve(listener: TcpListener) -> anyhow::Result<()> {
        loop {
            let (stream, _) = listener.accept().await.context("accept")?;
            stream.set_nodelay(true)?;
            tokio::spawn(echo_bytes(stream));
        }
    }

    async fn connect(addr: SocketAddr) -> anyhow::Result<Self::Connection> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let buffer = BytesMut::new();
        Ok(RawConnection(Arc::new(Mutex::new((stream, buffer)))))
    }
}

#[derive(Clone)]
pub(crate) struct RawConnection(Arc<Mutex<(TcpStream, BytesMut)>>);

impl Connection for RawConnection {
    async fn echo(&mut self, message: EchoMessage) -> anyhow::Result<EchoMessage> {
        let mut locked = self.0.lock().await;
        let (stream, buffer) = &mut *locked;
        let length = message.encoded_len();
        buffer.clear();
        buffer.reserve(LENGTH.saturating_add(length));
        buffer.put_u32(u32::try_from(length)?);
        message.encode(buffer)?;
        stream.write_all(buffer).await?;
        buffer.clear();
        read_frame(stream, buffer).await?.context("server closed")?;
        Ok(message)
    }
}

async fn echo_bytes(mut stream: TcpStream) -> anyhow::Result<()> {
    let mut buffer = BytesMut::new();
    while let Some(frame) = read_frame(&mut stream, &mut buffer).await? {
        stream.write_all(&buffer[..frame]).await?;
        buffer.advance(frame);
    }
    Ok(())
}

/// Reads until `buffer` holds a frame and says how long it is, length field included.
async fn read_frame(stream: &mut TcpStream, buffer: &mut BytesMut) -> anyhow::Result<Option<usize>> {
    let mut wanted = LENGTH;
    loop {
        if let Some(mut length) = buffer.get(..LENGTH) {
            wanted = LENGTH.saturating_add(length.get_u32() as usize);
            anyhow::ensure!(wanted <= MAX_FRAME, "frame of {wanted} bytes");
            if buffer.len() >= wanted {
                return Ok(Some(wanted));
            }
        }
        if buffer.is_empty() {
            // An idle connection holds no buffer.
            *buffer = BytesMut::new();
            stream.readable().await?;
        }
        buffer.reserve(READ_CHUNK.max(wanted.saturating_sub(buffer.len())));
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

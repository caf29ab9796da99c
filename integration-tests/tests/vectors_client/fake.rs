//! A server that says what real ones said.

use std::net::{SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};

use dora_integration_tests::raw::{Dialect, Peer};

/// A server run by a script.
pub(crate) struct Fake<T> {
    pub(crate) address: SocketAddr,
    script: JoinHandle<T>,
}

impl<T: Send + 'static> Fake<T> {
    /// Accepts one connection, runs `script` on it, and then waits for the other
    /// end to close.
    pub(crate) fn run(script: impl FnOnce(&mut Peer) -> T + Send + 'static) -> Self {
        Self::listen(move |listener| {
            let mut peer = Peer::accept(listener).expect("a client");
            let result = script(&mut peer);
            peer.expect_close().expect("the client closes first");
            result
        })
    }

    /// Runs `script`, which accepts as many connections as it likes.
    pub(crate) fn listen(script: impl FnOnce(&TcpListener) -> T + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        Self { address, script: thread::spawn(move || script(&listener)) }
    }

    /// What the script came to. The client must be gone.
    pub(crate) async fn end(self) -> T {
        // The connection is closed by a task of this runtime, which must not be blocked.
        let joined = tokio::task::spawn_blocking(|| self.script.join()).await;
        joined.expect("it waits").unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// The guid and the body of the next request.
pub(crate) fn next_request(peer: &mut Peer, dialect: &Dialect) -> ([u8; 32], Vec<u8>) {
    let frame = peer.frame().expect("a request");
    open_request(&frame, dialect)
}

/// The guid and the body of a request's frame.
pub(crate) fn open_request(frame: &[u8], dialect: &Dialect) -> ([u8; 32], Vec<u8>) {
    let (guid, body) = dialect.open(frame).expect("a frame of this dialect");
    let guid = if guid.is_empty() { guid_in(&body) } else { guid };
    (guid.try_into().expect("32 bytes"), body)
}

/// The guid in a body of the plain generation.
fn guid_in(body: &[u8]) -> Vec<u8> {
    let value = dora_integration_tests::serialized::read(body).expect("a value");
    match value.get("guid") {
        Some(dora_integration_tests::exact::Exact::Str(guid)) => guid.clone(),
        other => panic!("no guid: {other:?}"),
    }
}

/// `bytes` with every `from` replaced by `to`.
pub(crate) fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, tail)) = rest.split_first() {
        if let Some(tail) = rest.strip_prefix(from) {
            replaced.extend(to);
            rest = tail;
        } else {
            replaced.push(*first);
            rest = tail;
        }
    }
    replaced
}

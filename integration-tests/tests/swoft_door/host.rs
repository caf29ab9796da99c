//! The server under test, and a peer by hand.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use dora_integration_tests::process::{Process, binary};
use dora_integration_tests::raw::PATIENCE;
use serde_json::Value;

/// Ends a frame of 2.x.
pub(crate) const V2: &str = "\r\n\r\n";
/// Ends one of 1.x.
pub(crate) const V1: &str = "\r\n";

/// The `legacy-server` example, as a process.
pub(crate) struct LegacyServer {
    pub(crate) v2: SocketAddr,
    pub(crate) v1: SocketAddr,
    pub(crate) process: Process,
}

impl LegacyServer {
    pub(crate) fn start() -> Self {
        let path = binary("legacy-server").expect("it builds");
        let mut command = Command::new(path);
        for port in ["--tcp", "--swoft", "--swoft-v1"] {
            command.args([port, "127.0.0.1:0"]);
        }
        let mut process = Process::spawn(&mut command).expect("it starts");
        let line = process.line(PATIENCE).expect("a line").unwrap_or_default();
        let address = |name: &str| {
            let (_, rest) = line.split_once(name)?;
            rest.split(' ').next()?.parse().ok()
        };
        let (Some(v2), Some(v1)) = (address(" swoft "), address(" swoft-v1 ")) else {
            panic!("it said {line:?} and {}", process.errors());
        };
        Self { v2, v1, process }
    }
}

/// A connection.
pub(crate) struct Peer {
    stream: TcpStream,
    end: &'static str,
    read: Vec<u8>,
}

impl Peer {
    pub(crate) fn connect(address: SocketAddr, end: &'static str) -> Self {
        let stream = TcpStream::connect(address).expect("it accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        Self { stream, end, read: Vec::new() }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        // A server that answers before it has read all may have closed: the answer tells.
        let _ = self.stream.write_all(bytes);
    }

    /// The next frame, or `None` when the connection is closed.
    pub(crate) fn frame_or_close(&mut self) -> Option<Value> {
        let end = self.end.as_bytes();
        loop {
            if let Some(place) = self.read.windows(end.len()).position(|bytes| bytes == end) {
                let frame: Vec<_> = self.read.drain(..place + end.len()).collect();
                let text = std::str::from_utf8(&frame[..place]).expect("text");
                return Some(
                    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text:?}")),
                );
            }
            let mut bytes = [0; 16 << 10];
            match self.stream.read(&mut bytes) {
                Ok(0) => return None,
                Ok(count) => self.read.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("{error}; so far {}", self.read.escape_ascii()),
            }
        }
    }

    pub(crate) fn frame(&mut self) -> Value {
        self.frame_or_close().expect("an answer")
    }

    /// Sends a request, its end mark too, and gives what is answered.
    pub(crate) fn ask(&mut self, request: &str) -> Value {
        let end = self.end;
        self.send(format!("{request}{end}").as_bytes());
        self.frame()
    }

    pub(crate) fn expect_close(&mut self) {
        assert_eq!(self.frame_or_close(), None, "closed");
    }
}

/// A request of 2.x for the reference service.
pub(crate) fn call(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"1.0::App\\Rpc\\Lib\\DemoInterface::{method}","params":{params}}}"#)
}

/// One of 1.x.
pub(crate) fn first(method: &str, params: &str) -> String {
    format!(
        r#"{{"interface":"App\\Lib\\DemoInterface","version":"0","method":"{method}","params":{params}}}"#
    )
}

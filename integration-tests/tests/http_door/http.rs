//! HTTP by hand: what a test says is what is sent.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};

use dora_integration_tests::raw::PATIENCE;
use serde_json::Value;

/// A connection.
pub(crate) struct Peer {
    stream: TcpStream,
    read: Vec<u8>,
}

/// An answer.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in small letters.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Reads a whole answer from the beginning of `bytes`, and says how long it is.
    pub(crate) fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).expect("a head of text");
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().expect("a status");
        let headers: BTreeMap<_, _> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let length = headers.get("content-length").map_or(0, |length| length.parse().expect("a length"));
        let body = bytes.get(end + 4..end + 4 + length)?.to_vec();
        Some((Self { status, headers, body }, end + 4 + length))
    }

    pub(crate) fn json(&self) -> Value {
        let body = String::from_utf8_lossy(&self.body);
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error} in {body:?}"))
    }
}

impl Peer {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("it accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        Self { stream, read: Vec::new() }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        // A server that answers before it has read all may have closed: the answer tells.
        let _ = self.stream.write_all(bytes);
    }

    pub(crate) fn finish_sending(&mut self) {
        self.stream.shutdown(Shutdown::Write).expect("it stands");
    }

    /// The next answer, or `None` when the connection is closed without one.
    pub(crate) fn answer_or_close(&mut self) -> Option<Answer> {
        loop {
            if let Some((answer, length)) = Answer::parse(&self.read) {
                self.read.drain(..length);
                return Some(answer);
            }
            let mut bytes = [0; 16 << 10];
            match self.stream.read(&mut bytes) {
                Ok(0) => return None,
                Ok(count) => self.read.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("{error}; so far {}", self.read.escape_ascii()),
            }
        }
    }

    pub(crate) fn answer(&mut self) -> Answer {
        self.answer_or_close().expect("an answer")
    }

    pub(crate) fn expect_close(&mut self) {
        assert_eq!(self.answer_or_close(), None, "closed");
    }
}

/// A post of a form.
pub(crate) fn post(path: &str, params: &Value, headers: &str) -> Vec<u8> {
    let params = encoded(&params.to_string());
    form(path, &format!("guid=1&params={params}"), headers)
}

/// A post of this body, as a form.
pub(crate) fn form(path: &str, body: &str, headers: &str) -> Vec<u8> {
    let kind = "Content-Type: application/x-www-form-urlencoded";
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: here\r\n{kind}\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// Percent-encodes all bytes but letters and digits.
pub(crate) fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

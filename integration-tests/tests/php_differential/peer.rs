//! One long-lived `php` process that serializes and unserializes for us.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

pub(crate) struct Php {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
}

impl Php {
    pub(crate) fn start() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/php_differential/peer.php");
        let mut child = Command::new("php")
            .args(["-n", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("these tests need PHP 7.1 or newer on the path: `apt-get install php-cli` ({error})")
            });
        Self {
            stdin: child.stdin.take().expect("stdin is piped"),
            stdout: child.stdout.take().expect("stdout is piped"),
            child,
        }
    }

    /// What PHP serializes after unserializing `bytes`; `None` if it refuses.
    pub(crate) fn unserialize(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        self.asked(b'U', bytes)
    }

    /// What PHP's `json_encode` makes of serialized `bytes`; `None` if it refuses.
    pub(crate) fn json_encode(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        self.asked(b'J', bytes)
    }

    fn asked(&mut self, command: u8, bytes: &[u8]) -> Option<Vec<u8>> {
        let answer = self.ask(command, bytes);
        match answer.split_first() {
            Some((b'1', bytes)) => Some(bytes.to_vec()),
            Some((b'0', [])) => None,
            _ => panic!("php answered {}", answer.escape_ascii()),
        }
    }

    /// A value that PHP made up and serialized.
    pub(crate) fn generate(&mut self, seed: u32) -> Vec<u8> {
        self.ask(b'G', seed.to_string().as_bytes())
    }

    fn ask(&mut self, command: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len() + 1).expect("a short payload");
        let mut request = length.to_be_bytes().to_vec();
        request.push(command);
        request.extend_from_slice(payload);
        self.stdin.write_all(&request).expect("php reads");
        let mut head = [0; 4];
        self.stdout.read_exact(&mut head).expect("php answers");
        let mut answer = vec![0; u32::from_be_bytes(head) as usize];
        self.stdout.read_exact(&mut answer).expect("php answers");
        answer
    }
}

impl Drop for Php {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

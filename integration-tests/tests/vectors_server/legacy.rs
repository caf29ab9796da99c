//! The server under test, and what it answers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;

use dora::{Control, Server};
use dora_integration_tests::exact::Exact;
use dora_integration_tests::over::{self, Over, over};
use dora_integration_tests::process::{Process, binary};
use dora_integration_tests::raw::{Dialect, PATIENCE, Peer, gunzip};
use dora_integration_tests::serialized;
use dora_integration_tests::vectors::Recording;

use crate::api;

/// The `legacy-server` example, as a process.
pub(crate) struct LegacyServer {
    address: SocketAddr,
    host: Host,
}

/// Where it runs.
enum Host {
    /// In a process of its own, which ends with this.
    Process(Box<Process>),
    /// Here, until the tests end: for what no other process can be reached over.
    Here,
}

/// An answer, taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The guid in the header; empty in the plain generation.
    pub(crate) guid: Vec<u8>,
    /// Whether the body was compressed.
    pub(crate) zipped: bool,
    /// The body, inflated.
    pub(crate) body: Vec<u8>,
}

impl LegacyServer {
    /// Starts it for peers of `dialect` (its generation is not looked at).
    pub(crate) fn start(dialect: &Dialect) -> Self {
        let path = binary("legacy-server").expect("it builds");
        let mut command = Command::new(path);
        command.args(["--tcp", "127.0.0.1:0"]);
        if let Some(salt) = &dialect.salt {
            let salt = str::from_utf8(salt).expect("a salt of text");
            command.args(["--sign", "--salt", salt]);
        }
        if dialect.gzip {
            command.arg("--gzip");
        }
        let mut process = Process::spawn(&mut command).expect("it starts");
        let line = process.line(PATIENCE).expect("a line").unwrap_or_default();
        let address = line.strip_prefix("ready: tcp ").and_then(|address| address.parse().ok());
        let address = address.unwrap_or_else(|| panic!("it said {line:?} and {}", process.errors()));
        Self { address, host: Host::Process(Box::new(process)) }
    }

    /// The same within this process, over what this run goes over.
    fn within(dialect: &Dialect) -> Self {
        let control = Control::with_reload(|| ());
        let mut server = Server::builder().dynamic(api::call).control(control);
        if let Some(salt) = &dialect.salt {
            server = server.salt(salt);
        }
        if dialect.gzip {
            server = server.gzip();
        }
        Self { address: over::serve(server), host: Host::Here }
    }

    /// The process of one that has its own.
    pub(crate) fn process(&mut self) -> &mut Process {
        match &mut self.host {
            Host::Process(process) => process,
            Host::Here => panic!("it runs within this process"),
        }
    }

    pub(crate) fn connect(&self) -> Peer {
        Peer::connect(self.address).unwrap_or_else(|error| match &self.host {
            Host::Process(process) => panic!("{error}: {}", process.errors()),
            Host::Here => panic!("{error}"),
        })
    }

    /// A good call on a connection of its own.
    pub(crate) fn assert_alive(&self, dialect: &Dialect, case: &str) {
        assert_usable(&mut self.connect(), dialect, case);
    }
}

/// One server for each setting of the recordings, started when it is first used.
#[derive(Default)]
pub(crate) struct Servers(BTreeMap<(bool, bool), LegacyServer>);

impl Servers {
    pub(crate) fn of(&mut self, recording: &Recording) -> &LegacyServer {
        let key = (recording.signed, recording.compressed);
        let dialect = dialect_of(recording);
        self.0.entry(key).or_insert_with(|| match over() {
            Over::Tcp => LegacyServer::start(&dialect),
            _ => LegacyServer::within(&dialect),
        })
    }
}

/// Whether a recording is replayed in this run: over something else than TCP those
/// of one PHP version are enough, as the others differ within bodies.
pub(crate) fn is_replayed(recording: &Recording) -> bool {
    over() == Over::Tcp || !recording.file.contains("php71")
}

/// What the peers of a recording were set to.
pub(crate) fn dialect_of(recording: &Recording) -> Dialect {
    let salt = recording.signed.then(|| recording.salt.clone());
    Dialect { salt, gzip: recording.compressed, ..Dialect::GUID }
}

/// A good call on this connection: its answer comes next.
pub(crate) fn assert_usable(peer: &mut Peer, dialect: &Dialect, case: &str) {
    const GUID: &[u8; 32] = b"00112233445566778899aabbccddeeff";
    let body = request(GUID, "W_S", &single("/t/echo", "s:5:\"alive\";"));
    peer.send(&dialect.frame(GUID, &body)).unwrap_or_else(|error| panic!("{case}: {error:#}"));
    let frame = peer.frame().unwrap_or_else(|error| panic!("{case}: {error:#}"));
    let answer = Answer::open(dialect, &frame);
    assert_eq!(answer.value().at(&["data", "data"]), Some(&"alive".into()), "{case}");
}

/// A request body around a serialized `api`.
pub(crate) fn request(guid: &[u8], kind: &str, api: &str) -> Vec<u8> {
    let mut body = format!("a:3:{{s:3:\"api\";{api}s:4:\"guid\";s:{}:\"", guid.len()).into_bytes();
    body.extend(guid);
    body.extend(format!("\";s:4:\"type\";s:{}:\"{kind}\";}}", kind.len()).into_bytes());
    body
}

/// The serialized `api` of one call.
pub(crate) fn single(name: &str, param: &str) -> String {
    keyed(&[("one", name, param)])
}

/// The serialized `api` of calls under keys.
pub(crate) fn keyed(calls: &[(&str, &str, &str)]) -> String {
    let call = |(key, name, param): &(&str, &str, &str)| {
        format!(
            "s:{}:\"{key}\";a:2:{{s:4:\"name\";s:{}:\"{name}\";s:5:\"param\";{param}}}",
            key.len(),
            name.len()
        )
    };
    format!("a:{}:{{{}}}", calls.len(), calls.iter().map(call).collect::<String>())
}

impl Answer {
    pub(crate) fn open(dialect: &Dialect, frame: &[u8]) -> Self {
        let packed = Dialect { gzip: false, ..dialect.clone() };
        let (guid, body) = packed.open(frame).expect("a whole frame with a right signature");
        let zipped = body.starts_with(&[0x1f, 0x8b]);
        let body = if zipped { gunzip(&body).expect("gzip") } else { body };
        Self { guid, zipped, body }
    }

    pub(crate) fn value(&self) -> Exact {
        serialized::read(&self.body).expect("a serialized body")
    }

    pub(crate) fn code(&self) -> Option<i64> {
        match self.value().get("code") {
            Some(Exact::Int(code)) => Some(*code),
            _ => None,
        }
    }

    pub(crate) fn message(&self) -> String {
        match self.value().get("msg") {
            Some(Exact::Str(text)) => String::from_utf8_lossy(text).into_owned(),
            other => panic!("no msg: {other:?}"),
        }
    }

    /// Checks that the packet as a whole was refused.
    pub(crate) fn assert_refused(&self, code: i64, case: &str) {
        let value = self.value();
        assert_eq!(self.code(), Some(code), "{case}: {value:?}");
        assert_eq!(value.get("data"), Some(&Exact::Array(Vec::new())), "{case}");
        assert!(!self.message().is_empty(), "{case}");
    }
}

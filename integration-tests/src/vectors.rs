//! The frames recorded from real PHP Dora-RPC systems.
//!
//! `vectors/dora-php/README.md` describes the files, and that of
//! `vectors/dora-php-old` the older generations. Loading checks every length and
//! hash that a file states about itself.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::read::{GzDecoder, ZlibDecoder};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::exact::Exact;
use crate::raw::{Dialect, Generation};
use crate::serialized;

/// One file: a run of recorded cases between the same two programs.
#[derive(Debug)]
pub struct Recording {
    /// The file's name, such as `client-plain.php82.json`.
    pub file: String,
    /// Whether frames carry a checksum.
    pub signed: bool,
    /// Whether the PHP peers were set to compress.
    pub compressed: bool,
    /// What the checksum covers after the body.
    pub salt: Vec<u8>,
    /// The generation of the peers.
    pub generation: Generation,
    /// The cases, in the order they were run.
    pub cases: Vec<Case>,
}

/// One recorded case.
#[derive(Debug)]
pub struct Case {
    /// The same name is the same case in every file.
    pub name: String,
    /// What the case shows.
    pub comment: String,
    /// What happened, in the order the last bytes came.
    pub exchange: Vec<Event>,
    /// What the PHP client's calls came to (`client-*` files).
    pub calls: Vec<Call>,
    /// Whether the server closed the connection (`raw-*` files).
    pub closed_by_server: Option<bool>,
}

/// One thing that happened on a connection.
#[derive(Debug)]
pub struct Event {
    /// The number of the connection within the case.
    pub conn: u32,
    /// Milliseconds since the recorder started; unknown for bytes left over.
    pub at_ms: Option<u64>,
    /// What happened.
    pub what: What,
}

/// See [`Event`].
#[derive(Debug)]
pub enum What {
    /// Bytes went over the wire.
    Bytes(Box<Sent>),
    /// The connection was closed.
    Close {
        /// Who closed first.
        by: Side,
        /// With RST.
        reset: bool,
    },
}

/// Bytes that went over the wire: a whole frame, unless `partial`.
#[derive(Debug)]
pub struct Sent {
    /// Who sent them.
    pub from: Side,
    /// The bytes, length field included.
    pub bytes: Vec<u8>,
    /// A good request sent to see if the connection still works, or its answer.
    pub follow_up: bool,
    /// The bytes never became a whole frame.
    pub partial: bool,
    /// What PHP 8.2 made of them.
    pub decoded: Decoded,
}

/// A frame as PHP decoded it.
#[derive(Debug)]
pub struct Decoded {
    /// The length field.
    pub header_len: u32,
    /// The bytes where the header has its guid; fewer than 32 if cut short. Without
    /// a guid there, what the body says.
    pub guid: Vec<u8>,
    /// Whether the checksum fits; `None` when unsigned.
    pub crc_ok: Option<bool>,
    /// The body, decompressed; `None` when it could not be.
    pub serialized: Option<Vec<u8>>,
    /// The value of the body; `None` when it is none, or was too big to record.
    pub value: Option<Exact>,
}

/// One call of the PHP client.
#[derive(Debug)]
pub struct Call {
    /// `single`, `multi`, `async`, `stat` or `reload`.
    pub call: String,
    /// What it came to.
    pub outcome: Outcome,
}

/// See [`Call`].
#[derive(Debug)]
pub enum Outcome {
    /// The call returned this.
    Returned(Exact),
    /// It returned something too big to record: the length of `serialize()` of it.
    ReturnedLarge(u64),
    /// It threw an exception.
    Threw {
        /// The exception's class.
        class: String,
        /// Its code.
        code: i64,
        /// Its message.
        message: String,
    },
}

/// An end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that connected.
    Client,
    /// The one that listened.
    Server,
}

impl Case {
    /// The frames and fragments in order, without the closing of connections.
    pub fn sent(&self) -> impl Iterator<Item = &Sent> {
        self.exchange.iter().filter_map(|event| match &event.what {
            What::Bytes(sent) => Some(&**sent),
            What::Close { .. } => None,
        })
    }
}

/// Loads all recordings of the newest generation, in the order of their names.
///
/// # Errors
///
/// When a file cannot be read, or does not hold what it says it holds.
pub fn load_all() -> anyhow::Result<Vec<Recording>> {
    load_folder(NEW)
}

/// The same of the older ones.
///
/// # Errors
///
/// As [`load_all`].
pub fn load_old() -> anyhow::Result<Vec<Recording>> {
    load_folder(OLD)
}

/// Loads one recording of the newest generation by its file name.
///
/// # Errors
///
/// As [`load_all`].
pub fn load(file: &str) -> anyhow::Result<Recording> {
    load_file(NEW, file)
}

const NEW: &str = "dora-php";
const OLD: &str = "dora-php-old";

fn load_folder(folder: &str) -> anyhow::Result<Vec<Recording>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(path_of(folder))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".json") {
            files.push(name);
        }
    }
    files.sort();
    files.iter().map(|file| load_file(folder, file)).collect()
}

fn load_file(folder: &str, file: &str) -> anyhow::Result<Recording> {
    let path = path_of(folder).join(file);
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let mut json = serde_json::Deserializer::from_str(&text);
    // A recorded value nests 120 arrays, each three levels of JSON.
    json.disable_recursion_limit();
    let raw = RawFile::deserialize(&mut json).with_context(|| file.to_owned())?;
    let flags = raw.meta.flags;
    let generation = match raw.meta.peer.generation.as_deref() {
        None => Generation::Guid,
        Some("plain" | "plain0415") => Generation::Plain,
        Some("sss" | "phalcon" | "july2015") => Generation::Bare,
        Some(other) => anyhow::bail!("{file}: unknown generation {other}"),
    };
    let dialect = flags.dialect(generation);
    let case = |case: RawCase| {
        let name = case.name.clone();
        case.check(&dialect).with_context(|| format!("{file}, case {name}"))
    };
    Ok(Recording {
        file: file.to_owned(),
        signed: flags.signed,
        compressed: flags.compressed,
        salt: flags.salt.clone().into_bytes(),
        generation,
        cases: raw.cases.into_iter().map(case).collect::<Result<_, _>>()?,
    })
}

fn path_of(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(folder)
}

#[derive(Deserialize)]
struct RawFile {
    meta: RawMeta,
    cases: Vec<RawCase>,
}

#[derive(Deserialize)]
struct RawMeta {
    peer: RawPeer,
    flags: RawFlags,
}

#[derive(Deserialize)]
struct RawPeer {
    generation: Option<String>,
}

#[derive(Deserialize)]
struct RawFlags {
    #[serde(rename = "SW_DATASIGEN_FLAG")]
    signed: bool,
    #[serde(rename = "SW_DATACOMPRESS_FLAG")]
    compressed: bool,
    #[serde(rename = "SW_DATASIGEN_SALT")]
    salt: String,
}

impl RawFlags {
    fn dialect(&self, generation: Generation) -> Dialect {
        let salt = self.signed.then(|| self.salt.clone().into_bytes());
        Dialect { generation, salt, gzip: self.compressed }
    }
}

#[derive(Deserialize)]
struct RawCase {
    name: String,
    comment: String,
    exchange: Vec<RawEvent>,
    #[serde(default)]
    calls: Vec<RawCall>,
    closed_by_server: Option<bool>,
}

#[derive(Deserialize)]
struct RawEvent {
    conn: u32,
    at_ms: Option<u64>,
    event: Option<String>,
    by: Option<String>,
    #[serde(default)]
    reset: bool,
    dir: Option<String>,
    len: Option<usize>,
    hex: Option<String>,
    zlib_b64: Option<String>,
    sha256: Option<String>,
    #[serde(default)]
    follow_up: bool,
    #[serde(default)]
    partial: bool,
    decoded: Option<RawDecoded>,
}

#[derive(Deserialize)]
struct RawDecoded {
    header_len: u32,
    guid_field: Option<Value>,
    crc_ok: Option<bool>,
    gunzip_ok: Option<bool>,
    serialized: Option<Value>,
    serialized_len: Option<usize>,
    serialized_sha256: Option<String>,
    value: Option<Value>,
}

#[derive(Deserialize)]
struct RawCall {
    call: String,
    returns: Option<Value>,
    throws: Option<RawThrow>,
}

#[derive(Deserialize)]
struct RawThrow {
    class: String,
    code: i64,
    message: String,
}

impl RawCase {
    fn check(self, dialect: &Dialect) -> anyhow::Result<Case> {
        let event = |(at, event): (usize, RawEvent)| {
            event.check(dialect).with_context(|| format!("event {at} of the exchange"))
        };
        Ok(Case {
            exchange: self.exchange.into_iter().enumerate().map(event).collect::<Result<_, _>>()?,
            calls: self.calls.into_iter().map(RawCall::check).collect::<Result<_, _>>()?,
            name: self.name,
            comment: self.comment,
            closed_by_server: self.closed_by_server,
        })
    }
}

impl RawEvent {
    fn check(self, dialect: &Dialect) -> anyhow::Result<Event> {
        let what = if let Some(event) = &self.event {
            ensure!(event == "close", "unknown event {event}");
            What::Close { by: side(self.by.as_deref(), "client", "server")?, reset: self.reset }
        } else {
            let bytes = self.bytes()?;
            let decoded = match self.decoded {
                Some(decoded) => decoded.check(&bytes, dialect)?,
                None if dialect.has_guid() => anyhow::bail!("no `decoded`"),
                None => Decoded::of(&bytes, dialect),
            };
            What::Bytes(Box::new(Sent {
                from: side(self.dir.as_deref(), "c2s", "s2c")?,
                decoded,
                bytes,
                follow_up: self.follow_up,
                partial: self.partial,
            }))
        };
        Ok(Event { conn: self.conn, at_ms: self.at_ms, what })
    }

    fn bytes(&self) -> anyhow::Result<Vec<u8>> {
        let bytes = if let Some(hex) = &self.hex {
            const_hex::decode(hex)?
        } else {
            let packed = self.zlib_b64.as_ref().context("no bytes")?;
            let packed = BASE64_STANDARD.decode(packed)?;
            let mut bytes = Vec::new();
            ZlibDecoder::new(&packed[..]).read_to_end(&mut bytes)?;
            same_sha256(&bytes, self.sha256.as_deref())?;
            bytes
        };
        ensure!(Some(bytes.len()) == self.len, "the length differs");
        Ok(bytes)
    }
}

impl Decoded {
    /// What the recorder left to the reader: frames of the older generations.
    fn of(frame: &[u8], dialect: &Dialect) -> Self {
        let length = frame.first_chunk().map_or(0, |field| u32::from_be_bytes(*field));
        let body = dialect.open(frame).ok().map(|(_, body)| body);
        let serialized = body.filter(|body| serialized::read(body).is_ok());
        let guid = serialized.as_deref().map_or_else(Vec::new, guid_in);
        Self { header_len: length, guid, crc_ok: None, serialized, value: None }
    }
}

/// The guid that a body names.
fn guid_in(serialized: &[u8]) -> Vec<u8> {
    match serialized::read(serialized).as_ref().map(|value| value.get("guid")) {
        Ok(Some(Exact::Str(guid))) => guid.clone(),
        _ => Vec::new(),
    }
}

impl RawDecoded {
    fn check(self, frame: &[u8], dialect: &Dialect) -> anyhow::Result<Decoded> {
        let value = self.value.as_ref().map(Exact::from_notation).transpose()?;
        let serialized = self.serialized(frame, dialect)?;
        let guid = match (&self.guid_field, &serialized) {
            (Some(guid), _) => bytes_of(guid)?,
            (None, Some(serialized)) if !dialect.has_guid() => guid_in(serialized),
            (None, _) => Vec::new(),
        };
        Ok(Decoded { header_len: self.header_len, guid, crc_ok: self.crc_ok, serialized, value })
    }

    fn serialized(&self, frame: &[u8], dialect: &Dialect) -> anyhow::Result<Option<Vec<u8>>> {
        if let Some(serialized) = &self.serialized {
            return bytes_of(serialized).map(Some);
        }
        let Some(length) = self.serialized_len else {
            return Ok(None);
        };
        let header = 4 + if dialect.salt.is_some() { 4 } else { 0 } + if dialect.has_guid() { 32 } else { 0 };
        let body = frame.get(header..).context("no body")?;
        let mut serialized = Vec::new();
        if self.gunzip_ok == Some(true) {
            GzDecoder::new(body).read_to_end(&mut serialized)?;
        } else {
            serialized.extend_from_slice(body);
        }
        ensure!(serialized.len() == length, "the length of the body differs");
        same_sha256(&serialized, self.serialized_sha256.as_deref())?;
        Ok(Some(serialized))
    }
}

impl RawCall {
    fn check(self) -> anyhow::Result<Call> {
        let outcome = match (self.returns, self.throws) {
            (None, Some(throws)) => {
                Outcome::Threw { class: throws.class, code: throws.code, message: throws.message }
            }
            (Some(value), None) => match value["serialized_len"].as_u64() {
                Some(length) => Outcome::ReturnedLarge(length),
                None => Outcome::Returned(Exact::from_notation(&value)?),
            },
            _ => anyhow::bail!("a call must return or throw"),
        };
        Ok(Call { call: self.call, outcome })
    }
}

fn side(word: Option<&str>, client: &str, server: &str) -> anyhow::Result<Side> {
    match word {
        Some(word) if word == client => Ok(Side::Client),
        Some(word) if word == server => Ok(Side::Server),
        _ => anyhow::bail!("neither {client} nor {server}: {word:?}"),
    }
}

fn bytes_of(notation: &Value) -> anyhow::Result<Vec<u8>> {
    match Exact::from_notation(notation)? {
        Exact::Str(bytes) => Ok(bytes),
        other => anyhow::bail!("not a string: {other:?}"),
    }
}

fn same_sha256(bytes: &[u8], stated: Option<&str>) -> anyhow::Result<()> {
    let stated = stated.context("no sha256")?;
    ensure!(const_hex::encode(Sha256::digest(bytes)) == stated, "the sha256 differs");
    Ok(())
}

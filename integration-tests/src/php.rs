//! The PHP client and server in `php/`, as processes.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use crate::exact::Exact;
use crate::process::Process;
use crate::raw::{Dialect, PATIENCE};
use crate::vectors::Outcome;

/// `php/server.php`, killed when dropped.
#[derive(Debug)]
pub struct PhpServer {
    process: Process,
    address: SocketAddr,
}

impl PhpServer {
    /// Starts it on a free port of this machine and waits until it listens.
    ///
    /// # Errors
    ///
    /// When PHP is missing, or the server does not start.
    pub fn start(dialect: &Dialect) -> anyhow::Result<Self> {
        Self::start_on(0, dialect)
    }

    /// As [`start`](Self::start), on this port: of a server that was there before.
    ///
    /// # Errors
    ///
    /// When PHP is missing, or the port is taken.
    pub fn start_on(port: u16, dialect: &Dialect) -> anyhow::Result<Self> {
        Self::run(port, dialect, Original::default())
    }

    /// As [`start`](Self::start), one of the originals of [`Dialect::BARE`].
    ///
    /// # Errors
    ///
    /// When PHP is missing, or the server does not start.
    pub fn start_of(original: Original, dialect: &Dialect) -> anyhow::Result<Self> {
        Self::run(0, dialect, original)
    }

    fn run(port: u16, dialect: &Dialect, original: Original) -> anyhow::Result<Self> {
        let mut command = script("server.php", dialect)?;
        command.args(["--of", original.word()]);
        let mut process = Process::spawn(command.args(["--port", &port.to_string()]))?;
        let line = process.line(PATIENCE)?.unwrap_or_default();
        let port = line.strip_prefix("listening ");
        let Some(port) = port.and_then(|port| port.parse().ok()) else {
            bail!("it said {line:?} and:\n{}", process.errors());
        };
        Ok(Self { process, address: SocketAddr::from(([127, 0, 0, 1], port)) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its warnings and errors so far; a sound run has none.
    #[must_use]
    pub fn errors(&self) -> String {
        self.process.errors()
    }
}

/// The originals from before June 2016, which differ in what they leave unanswered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Original {
    /// The last one.
    #[default]
    June2016,
    /// DoraPhalcon's copy.
    Phalcon,
    /// One of the first.
    July2015,
}

impl Original {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::June2016, Self::Phalcon, Self::July2015];

    const fn word(self) -> &'static str {
        match self {
            Self::June2016 => "june2016",
            Self::Phalcon => "phalcon",
            Self::July2015 => "july2015",
        }
    }
}

/// `php/client.php` against a server: its dialect and settings.
#[derive(Clone, Debug)]
pub struct PhpClient {
    /// The server.
    pub address: SocketAddr,
    /// What both are configured to speak.
    pub dialect: Dialect,
    /// Which of the originals of its generation it is.
    pub of: Original,
    /// How long it waits for an answer; 3 s by default.
    pub timeout: Duration,
}

impl PhpClient {
    /// A client with the settings of the original.
    #[must_use]
    pub fn new(address: SocketAddr, dialect: Dialect) -> Self {
        Self { address, dialect, of: Original::default(), timeout: Duration::from_secs(3) }
    }

    /// Runs calls one after the other on one connection, as `php/client.php`
    /// describes them, and returns what each came to.
    ///
    /// # Errors
    ///
    /// When PHP is missing, or the script fails or says anything unasked.
    pub fn run(&self, calls: &Value) -> anyhow::Result<Vec<Outcome>> {
        let lines = self.run_script("client.php", calls.to_string().as_bytes())?;
        lines.iter().map(|line| outcome(line).with_context(|| line.clone())).collect()
    }

    /// Runs a script of `php/` that takes the options of `client.php`, and
    /// returns the lines it printed.
    ///
    /// # Errors
    ///
    /// When PHP is missing, or the script fails or says anything unasked.
    pub fn run_script(&self, name: &str, input: &[u8]) -> anyhow::Result<Vec<String>> {
        let mut command = script(name, &self.dialect)?;
        command
            .args(["--of", self.of.word()])
            .args(["--host", &self.address.ip().to_string()])
            .args(["--port", &self.address.port().to_string()])
            .args(["--timeout", &self.timeout.as_secs_f64().to_string()]);
        let mut process = Process::spawn(&mut command)?;
        process.feed(input)?;
        let mut lines = Vec::new();
        while let Some(line) = process.line(self.timeout + PATIENCE)? {
            lines.push(line);
        }
        let status = process.wait(PATIENCE)?;
        let errors = process.errors();
        ensure!(status.success() && errors.is_empty(), "{name}: {status}\n{}\n{errors}", lines.join("\n"));
        Ok(lines)
    }
}

/// `php/steady.php`: PHP's client, calling a group of servers without a pause
/// longer than asked for. Killed when dropped.
#[derive(Debug)]
pub struct PhpGroup(Process);

/// What a [`PhpGroup`]'s calls came to since it was steady.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct Tally {
    /// Calls made.
    pub calls: u64,
    /// Those whose first layer has a code that is not 0, after all retries.
    pub failed: u64,
    /// How often each of these codes.
    pub codes: std::collections::BTreeMap<i64, u64>,
    /// Milliseconds from the first failure to the last one.
    pub ms: u64,
    /// Answers that were another call's.
    pub wrong: u64,
}

impl PhpGroup {
    /// Starts it, with these further options of the script, and waits until each
    /// server has answered it.
    ///
    /// # Errors
    ///
    /// When PHP is missing, or a server does not answer.
    pub fn start(servers: &[SocketAddr], dialect: &Dialect, options: &[(&str, u64)]) -> anyhow::Result<Self> {
        let servers: Vec<_> = servers.iter().map(ToString::to_string).collect();
        let mut command = script("steady.php", dialect)?;
        command.args(["--servers", &servers.join(",")]);
        for (name, value) in options {
            command.args([&format!("--{name}"), &value.to_string()]);
        }
        let mut process = Process::spawn(&mut command)?;
        let line = process.line(PATIENCE)?;
        ensure!(line.as_deref() == Some("steady"), "it said {line:?} and:\n{}", process.errors());
        Ok(Self(process))
    }

    /// Lets it make its last 200 calls, and returns what all came to.
    ///
    /// # Errors
    ///
    /// When it does not end, or says anything unasked.
    pub fn end(mut self) -> anyhow::Result<Tally> {
        self.0.feed(&[])?;
        let line = self.0.line(3 * PATIENCE)?.unwrap_or_default();
        let status = self.0.wait(PATIENCE)?;
        let errors = self.0.errors();
        ensure!(status.success() && errors.is_empty(), "{status}\n{line}\n{errors}");
        serde_json::from_str(&line).with_context(|| line.clone())
    }
}

fn outcome(line: &str) -> anyhow::Result<Outcome> {
    let mut json = serde_json::Deserializer::from_str(line);
    json.disable_recursion_limit();
    let result: Value = serde::Deserialize::deserialize(&mut json)?;
    if let Some(returns) = result.get("returns") {
        return Ok(Outcome::Returned(Exact::from_notation(returns)?));
    }
    let throws = &result["throws"];
    let text = |field: &str| throws[field].as_str().map(str::to_owned);
    Ok(Outcome::Threw {
        class: text("class").context("no class")?,
        code: throws["code"].as_i64().context("no code")?,
        message: text("message").context("no message")?,
    })
}

fn script(name: &str, dialect: &Dialect) -> anyhow::Result<Command> {
    let there = Command::new("php").arg("--version").stdout(Stdio::null()).status();
    ensure!(
        there.is_ok_and(|status| status.success()),
        "these tests need PHP: run `cargo xtask test`, which installs it, \
         or install it yourself (Debian, Ubuntu: apt-get install php-cli)"
    );
    let mut command = Command::new("php");
    command
        .args(["-d", "display_errors=stderr", "-d", "error_reporting=-1"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("php").join(name));
    command.args(["--generation", dialect.generation.word()]);
    if let Some(salt) = &dialect.salt {
        let salt = str::from_utf8(salt).context("a salt that is no text")?;
        command.args(["--sign", "--salt", salt]);
    }
    if dialect.gzip {
        command.arg("--gzip");
    }
    Ok(command)
}

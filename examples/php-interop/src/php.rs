//! The scripts in `php/`, as processes.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

/// `php/server.php`. Ended by [`stop`](Self::stop), or when it is dropped.
pub(crate) struct Server {
    process: Child,
    pub(crate) address: String,
}

impl Server {
    /// Starts it on a free port, and waits until it listens.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let mut process = script("server.php")?.arg("127.0.0.1:0").stdout(Stdio::piped()).spawn()?;
        let stdout = process.stdout.take().context("no output of server.php")?;
        let mut lines = BufReader::new(stdout).lines();
        let line = timeout(PATIENCE, lines.next_line()).await??.unwrap_or_default();
        let address = line.strip_prefix("listening on ");
        let address = address.with_context(|| format!("server.php does not listen; it said {line:?}"))?;
        Ok(Self { process, address: address.to_owned() })
    }

    /// Ends it, and waits for its end.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        Ok(self.process.kill().await?)
    }
}

/// Runs `php/client.php` against a server; its output goes to ours.
pub(crate) async fn run_client(server: SocketAddr) -> anyhow::Result<()> {
    let mut client =
        script("client.php")?.arg(server.ip().to_string()).arg(server.port().to_string()).spawn()?;
    let status = timeout(PATIENCE, client.wait()).await.context("client.php does not end")??;
    ensure!(status.success(), "client.php failed: {status}");
    Ok(())
}

/// Fails with what to install where there is no PHP.
pub(crate) async fn require() -> anyhow::Result<()> {
    let mut php = Command::new("php");
    match php.arg("--version").stdout(Stdio::null()).status().await {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => bail!("`php --version` failed: {status}"),
        Err(error) => bail!(
            "cannot run `php`: {error}\n\
             This example runs PHP scripts. Install PHP 8 for the command line:\n\
             - Debian, Ubuntu: apt-get install php-cli\n\
             - macOS: brew install php\n\
             - others: https://www.php.net/downloads"
        ),
    }
}

fn script(name: &str) -> anyhow::Result<Command> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("php").join(name);
    ensure!(path.exists(), "{} is gone since this was built", path.display());
    let mut command = Command::new("php");
    command.arg(path).stdin(Stdio::null()).kill_on_drop(true);
    Ok(command)
}

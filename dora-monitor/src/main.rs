//! Keeps files of servers current: the library's `dora::discovery::Monitor` as a program.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use dora::discovery::{Monitor, Target};
use tracing_subscriber::EnvFilter;

/// Looks who is announced in a registry of Dora, and keeps files current with it: for PHP
/// clients and others that read nothing else.
///
/// Files are replaced as a whole. They stay as they are while the registry cannot be
/// asked, and when this program ends, which it does at SIGTERM and Ctrl-C.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Where servers are announced: `redis://10.0.0.1:6379`, `etcd://10.0.0.1,10.0.0.2/dora`,
    /// `dns://shop.internal:9567`, `file:///etc/dora/servers.json`, or addresses. Instances
    /// of all groups are taken
    // Parsed later: clap would show what it does not understand, passwords included.
    #[arg(env = "DORA_TARGET", hide_env_values = true)]
    target: String,

    /// A file to keep; may be given several times. `.php` is for PHP clients, `.json` and
    /// `.toml` are for targets `file:///..`
    #[arg(short, long = "file", value_name = "PATH", required = true)]
    files: Vec<PathBuf>,

    /// Write a list that did not change so often, in seconds, while the registry confirms it
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    refresh: u64,

    /// Do not believe a list that may lack somebody for so long, in seconds, at least the lease
    /// of the servers: an empty one, and at the start all, where a file stands already
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(..=86_400))]
    hold: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_default_env().or_else(|_| EnvFilter::try_new("info"))?;
    let colours = io::stderr().is_terminal();
    tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(colours).with_env_filter(filter).init();

    let signal = dora::shutdown_signal();
    let target = Target::new(&arguments.target)?;
    let mut monitor = Monitor::new(target.all_groups())
        .refresh(Duration::from_secs(arguments.refresh))
        .hold(Duration::from_secs(arguments.hold));
    for file in arguments.files {
        monitor = monitor.file(file)?;
    }
    tracing::info!(target: "dora::monitor", registry = %target, "looking");
    monitor.run(signal).await.context("the monitor ends")
}

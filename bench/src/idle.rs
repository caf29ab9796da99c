//! The memory of a server with many connections on which nothing happens.

use std::{num::NonZeroUsize, thread, time::Duration};

use anyhow::{Context, ensure};
use clap::Args;

use crate::{
    peers::PeerName,
    process::{Process, Server},
    system,
};

/// How long opening all connections may take.
const OPEN: Duration = Duration::from_secs(120);

#[derive(Args)]
pub(crate) struct IdleArgs {
    /// Whom to compare.
    #[arg(long, value_delimiter = ',', default_values_t = PeerName::plain())]
    peers: Vec<PeerName>,
    /// Connections, one call on each.
    #[arg(long, default_value = "10000")]
    connections: NonZeroUsize,
    /// Seconds to rest before memory is looked at.
    #[arg(long, default_value_t = 2.0)]
    rest: f64,
}

pub(crate) fn idle(args: &IdleArgs) -> anyhow::Result<()> {
    println!("| peer | idle connections | server KiB/connection |\n| --- | ---: | ---: |");
    for &peer in &args.peers {
        let bytes = measure(peer, args).with_context(|| peer.to_string())?;
        let connections = args.connections;
        println!("| {peer} | {connections} | {:.1} |", bytes / 1024.0);
    }
    Ok(())
}

/// The growth of the server in bytes per connection.
fn measure(peer: PeerName, args: &IdleArgs) -> anyhow::Result<f64> {
    let server = Server::start(peer, [])?;
    let command = ["hold".to_owned(), peer.to_string(), format!("--addr={}", server.addr())];
    let mut holder = Process::start(&command)?;
    let mut resident_with = |connections: usize| {
        holder.write_line(&connections.to_string())?;
        let held: usize = holder.read_line(OPEN)?.parse()?;
        ensure!(held == connections, "{held} connections instead of {connections}");
        thread::sleep(Duration::try_from_secs_f64(args.rest)?);
        system::resident_bytes(server.id())
    };
    let all = args.connections.get();
    // A first few bring in code pages, threads and heaps, which are no connection's.
    let few = all / 100;
    let before = resident_with(few)?;
    let after = resident_with(all)?;
    Ok(after.saturating_sub(before) as f64 / (all - few) as f64)
}

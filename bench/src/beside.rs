//! A light client beside a heavy one: what it sees of a server, and of a worker, that somebody
//! else keeps busy.

use anyhow::Context;
use clap::Args;

use crate::{
    compare::{CommonArgs, in_turn, start_load},
    load::Measured,
    matrix::Point,
    peers::PeerName,
    process::Server,
};

/// How much longer than the light load the heavy one lasts: it begins first and ends last.
const AROUND: f64 = 1.0;

#[derive(Args)]
pub(crate) struct BesideArgs {
    /// What the heavy client has outstanding, on one connection.
    #[arg(long, default_value_t = 1024)]
    outstanding: usize,
    /// Bytes of payload in each message.
    #[arg(long, default_value_t = 64)]
    payload: usize,
    #[command(flatten)]
    common: CommonArgs,
}

pub(crate) fn beside(args: &BesideArgs) -> anyhow::Result<()> {
    let Point { payload, .. } = heavy(args);
    println!("One call at a time, beside {} outstanding on another connection:\n", args.outstanding);
    let light = Point { payload, concurrency: 1, connections: 1 };
    let peers = args.common.peers.iter().copied().filter(|peer| peer.is_multiplexed());
    let common = CommonArgs { peers: peers.collect(), ..args.common };
    in_turn(&common, &[light], |peer, light| measure(args, peer, light))
}

fn heavy(args: &BesideArgs) -> Point {
    Point { payload: args.payload, concurrency: args.outstanding, connections: 1 }
}

/// What the light client of one run has measured, while the heavy one loads the same server.
fn measure(args: &BesideArgs, peer: PeerName, light: Point) -> anyhow::Result<Measured> {
    let CommonArgs { seconds, warmup, .. } = args.common;
    let server = Server::start(peer, [])?;
    let around = seconds + warmup + AROUND;
    let heavy = start_load(&server, peer, heavy(args), (AROUND, around), []).context("the heavy client")?;
    let measured = start_load(&server, peer, light, (warmup + AROUND / 2.0, seconds), [])?.measured();
    drop(heavy);
    measured.context("the light client")
}

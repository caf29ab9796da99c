//! Runs of all peers in turn, so that what drifts on the machine drifts for all of them.

use std::{num::NonZeroUsize, time::Duration};

use anyhow::Context;
use clap::Args;

use crate::{
    load::Measured,
    matrix::{self, Point},
    peers::PeerName,
    process::{Process, Server},
    report::{self, Row},
    system,
};

/// What a run may take beyond the time that it loads.
const SLACK: Duration = Duration::from_secs(20);

#[derive(Args)]
pub(crate) struct CompareArgs {
    /// Fewer points.
    #[arg(long)]
    quick: bool,
    /// The points, each `payload:concurrency/connections`.
    #[arg(long, value_delimiter = ',')]
    matrix: Vec<Point>,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Args)]
pub(crate) struct OneCoreArgs {
    /// The core that both processes share; the first one if not given.
    #[arg(long)]
    core: Option<usize>,
    /// Bytes of payload in each message.
    #[arg(long, default_value_t = 64)]
    payload: usize,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Args)]
struct CommonArgs {
    /// Whom to compare; ratios are those of the first one to each other.
    #[arg(long, value_delimiter = ',', default_values_t = PeerName::all())]
    peers: Vec<PeerName>,
    /// Runs of each peer at each point; medians are told.
    #[arg(long, default_value = "5")]
    rounds: NonZeroUsize,
    /// How long each run measures.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// How many seconds each run loads before that.
    #[arg(long, default_value_t = 0.5)]
    warmup: f64,
}

pub(crate) fn compare(args: &CompareArgs) -> anyhow::Result<()> {
    let points = match (args.matrix.as_slice(), args.quick) {
        ([], true) => matrix::quick(),
        ([], false) => matrix::full(),
        (points, _) => points.to_vec(),
    };
    run(&args.common, &points, None)
}

pub(crate) fn one_core(args: &OneCoreArgs) -> anyhow::Result<()> {
    let core = match args.core {
        Some(core) => core,
        None => system::first_core()?,
    };
    let point = Point { payload: args.payload, concurrency: 1, connections: 1 };
    run(&args.common, &[point], Some(core))
}

fn run(args: &CommonArgs, points: &[Point], core: Option<usize>) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for &point in points {
        let peers = args.peers.iter().copied();
        let mut runs: Vec<_> = peers
            .filter(|peer| peer.is_multiplexed() || point.concurrency == point.connections)
            .map(|peer| (peer, Vec::new()))
            .collect();
        for round in 1..=args.rounds.get() {
            for (peer, measured) in &mut runs {
                let one = measure(args, *peer, point, core).with_context(|| format!("{peer} at {point}"))?;
                eprintln!("{point} {peer} {round}: {:.0}/s", one.calls_per_second);
                measured.push(one);
            }
        }
        rows.extend(runs.into_iter().map(|(peer, runs)| Row { point, peer, runs }));
    }
    println!("{}", report::medians(&rows));
    if let Some(&first) = args.peers.first() {
        println!("{}", report::ratios(&rows, first));
    }
    Ok(())
}

/// One run, with a server and a client of its own.
fn measure(args: &CommonArgs, peer: PeerName, point: Point, core: Option<usize>) -> anyhow::Result<Measured> {
    let server = Server::start(peer, core)?;
    let mut command = vec![
        "load".to_owned(),
        peer.to_string(),
        format!("--addr={}", server.addr()),
        format!("--server-pid={}", server.id()),
        format!("--payload={}", point.payload),
        format!("--concurrency={}", point.concurrency),
        format!("--connections={}", point.connections),
        format!("--seconds={}", args.seconds),
        format!("--warmup={}", args.warmup),
    ];
    command.extend(core.map(|core| format!("--core={core}")));
    let load = Process::start(&command)?;
    let time = Duration::try_from_secs_f64(args.seconds + args.warmup)?;
    let line = load.read_line(time.saturating_add(SLACK))?;
    Ok(serde_json::from_str(&line)?)
}

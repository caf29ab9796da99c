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
    /// Microseconds that each handler computes (of `dora`, `tarpc` and `tonic`).
    #[arg(long)]
    work: Option<u64>,
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
pub(crate) struct CommonArgs {
    /// Whom to compare; ratios are those of the first one to each other.
    #[arg(long, value_delimiter = ',', default_values_t = PeerName::plain())]
    pub(crate) peers: Vec<PeerName>,
    /// Runs of each peer at each point; medians are told.
    #[arg(long, default_value = "5")]
    pub(crate) rounds: NonZeroUsize,
    /// How long each run measures.
    #[arg(long, default_value_t = 3.0)]
    pub(crate) seconds: f64,
    /// How many seconds each run loads before that.
    #[arg(long, default_value_t = 0.5)]
    pub(crate) warmup: f64,
}

/// What all processes of a run are told beside the load.
#[derive(Default)]
struct Setting {
    /// The one core for both.
    core: Option<usize>,
    /// Microseconds that each handler computes.
    work: Option<u64>,
}

pub(crate) fn compare(args: &CompareArgs) -> anyhow::Result<()> {
    let points = match (args.matrix.as_slice(), args.quick) {
        ([], true) => matrix::quick(),
        ([], false) => matrix::full(),
        (points, _) => points.to_vec(),
    };
    run(&args.common, &points, &Setting { work: args.work, ..Setting::default() })
}

pub(crate) fn one_core(args: &OneCoreArgs) -> anyhow::Result<()> {
    let core = match args.core {
        Some(core) => core,
        None => system::first_core()?,
    };
    let point = Point { payload: args.payload, concurrency: 1, connections: 1 };
    run(&args.common, &[point], &Setting { core: Some(core), ..Setting::default() })
}

fn run(args: &CommonArgs, points: &[Point], setting: &Setting) -> anyhow::Result<()> {
    in_turn(args, points, |peer, point| measure(args, peer, point, setting))
}

/// Has peers take turns at being measured, round by round, and prints the tables.
pub(crate) fn in_turn(
    args: &CommonArgs,
    points: &[Point],
    measure: impl Fn(PeerName, Point) -> anyhow::Result<Measured>,
) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for &point in points {
        let peers = args.peers.iter().copied();
        let mut runs: Vec<_> = peers
            .filter(|peer| peer.is_multiplexed() || point.concurrency == point.connections)
            .map(|peer| (peer, Vec::new()))
            .collect();
        for round in 1..=args.rounds.get() {
            for (peer, measured) in &mut runs {
                let one = measure(*peer, point).with_context(|| format!("{peer} at {point}"))?;
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
fn measure(args: &CommonArgs, peer: PeerName, point: Point, setting: &Setting) -> anyhow::Result<Measured> {
    let core = setting.core.map(|core| format!("--core={core}"));
    let work = setting.work.map(|micros| format!("--work={micros}"));
    let server = Server::start(peer, core.iter().chain(&work).cloned())?;
    start_load(&server, peer, point, (args.warmup, args.seconds), core)?.measured()
}

/// A load that runs.
pub(crate) struct Load {
    process: Process,
    time: Duration,
}

/// Starts to load `server`.
pub(crate) fn start_load(
    server: &Server,
    peer: PeerName,
    point: Point,
    (warmup, seconds): (f64, f64),
    further: impl IntoIterator<Item = String>,
) -> anyhow::Result<Load> {
    let mut command = vec![
        "load".to_owned(),
        peer.to_string(),
        format!("--addr={}", server.addr()),
        format!("--server-pid={}", server.id()),
        format!("--payload={}", point.payload),
        format!("--concurrency={}", point.concurrency),
        format!("--connections={}", point.connections),
        format!("--seconds={seconds}"),
        format!("--warmup={warmup}"),
    ];
    command.extend(further);
    let time = Duration::try_from_secs_f64(seconds + warmup)?;
    Ok(Load { process: Process::start(&command)?, time })
}

impl Load {
    /// Waits for its end, and for what it has measured.
    pub(crate) fn measured(self) -> anyhow::Result<Measured> {
        let line = self.process.read_line(self.time.saturating_add(SLACK))?;
        Ok(serde_json::from_str(&line)?)
    }
}

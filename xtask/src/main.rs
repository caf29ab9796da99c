//! Tasks of the Dora workspace: `cargo xtask help` lists them.
//!
//! Every step prints the command it runs, so that it can be repeated by hand.
//! Nothing but `apt-get` touches the network, and only when a program that the build
//! or the tests need is missing.

mod needs;
mod step;
mod tally;

use std::env;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, bail};

use crate::step::Step;
use crate::tally::Tally;

const HELP: &str = "\
Tasks of the Dora workspace

Usage: cargo xtask <task>

Tasks:
  test         install what the tests need, then run all tests and doc tests
  ci           fmt, clippy and docs without a warning, then test
  needs        install the programs that building and testing everything needs
  bench [..]   run the benchmarks; everything after `bench` is handed to them
  help         this page
";

/// The benchmarks pull in the peers they are compared with and are no part of a
/// test run.
const BENCH_PACKAGE: &str = "dora-bench";

fn main() -> ExitCode {
    match run(env::args().skip(1).collect()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Vec<String>) -> anyhow::Result<ExitCode> {
    env::set_current_dir(workspace_root()?).context("cannot enter the workspace")?;
    match args.split_first() {
        Some((task, [])) if task == "test" => test(),
        Some((task, [])) if task == "ci" => ci(),
        Some((task, [])) if task == "needs" => needs::provide().map(|()| ExitCode::SUCCESS),
        Some((task, rest)) if task == "bench" => bench(rest),
        Some((task, [])) if ["help", "--help", "-h"].contains(&task.as_str()) => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        Some((task, _)) => bail!("`{}` is no task\n\n{HELP}", task.escape_debug()),
        None => bail!("name a task\n\n{HELP}"),
    }
}

/// Runs every test, also after one has failed. The last line of the output sums
/// all runners up.
fn test() -> anyhow::Result<ExitCode> {
    let start = Instant::now();
    needs::provide()?;
    let mut tally = Tally::default();
    let outcome = Step::cargo(["test", "--workspace", "--exclude", BENCH_PACKAGE])
        .args(["--all-features", "--no-fail-fast"])
        .run_reading(|line| tally.read(line));
    if let Err(error) = outcome {
        eprintln!("error: {error:#}");
        tally.run_failed();
    }
    println!("\n{}\n{tally}", tally.details(start.elapsed()));
    Ok(if tally.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn ci() -> anyhow::Result<ExitCode> {
    // With all features the client of etcd is built, whose build script runs protoc.
    needs::provide()?;
    Step::cargo(["fmt", "--all", "--check"]).run()?;
    Step::cargo(["clippy", "--workspace", "--all-targets", "--all-features"])
        .args(["--", "-D", "warnings"])
        .run()?;
    Step::cargo(["doc", "--no-deps", "--workspace", "--all-features"])
        .env("RUSTDOCFLAGS", "-D warnings")
        .run()?;
    test()
}

fn bench(args: &[String]) -> anyhow::Result<ExitCode> {
    let run =
        Step::cargo(["run", "--package", BENCH_PACKAGE, "--profile", "bench-lto"]).args(["--"]).args(args);
    run.run()?;
    Ok(ExitCode::SUCCESS)
}

fn workspace_root() -> anyhow::Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the package has no parent folder")
}

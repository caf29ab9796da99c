//! Tasks of the Dora workspace: `cargo xtask help` lists them.
//!
//! Every step prints the command it runs, so that it can be repeated by hand.
//! Nothing but `apt-get` touches the network, and only when a program that the
//! tests need is missing.

mod needs;
mod step;

use std::env;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use crate::step::Step;

const HELP: &str = "\
Tasks of the Dora workspace

Usage: cargo xtask <task>

Tasks:
  test         install what the tests need, then run all tests and doc tests
  ci           fmt, clippy and docs without a warning, then test
  bench [..]   run the benchmarks; everything after `bench` is handed to them
  help         this page
";

/// The benchmarks pull in the peers they are compared with and are no part of a
/// test run.
const BENCH_PACKAGE: &str = "dora-bench";

fn main() -> ExitCode {
    match run(env::args().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Vec<String>) -> anyhow::Result<()> {
    env::set_current_dir(workspace_root()?).context("cannot enter the workspace")?;
    match args.split_first() {
        Some((task, [])) if task == "test" => test(),
        Some((task, [])) if task == "ci" => ci(),
        Some((task, rest)) if task == "bench" => bench(rest),
        Some((task, [])) if ["help", "--help", "-h"].contains(&task.as_str()) => {
            print!("{HELP}");
            Ok(())
        }
        Some((task, _)) => bail!("`{}` is no task\n\n{HELP}", task.escape_debug()),
        None => bail!("name a task\n\n{HELP}"),
    }
}

fn test() -> anyhow::Result<()> {
    needs::provide()?;
    Step::cargo(["test", "--workspace", "--exclude", BENCH_PACKAGE]).args(["--all-features"]).run()?;
    for manifest in standalone_examples()? {
        Step::cargo(["test", "--all-features", "--manifest-path", &manifest]).run()?;
    }
    Ok(())
}

fn ci() -> anyhow::Result<()> {
    Step::cargo(["fmt", "--all", "--check"]).run()?;
    Step::cargo(["clippy", "--workspace", "--all-targets", "--all-features"])
        .args(["--", "-D", "warnings"])
        .run()?;
    Step::cargo(["doc", "--no-deps", "--workspace", "--all-features"])
        .env("RUSTDOCFLAGS", "-D warnings")
        .run()?;
    test()
}

fn bench(args: &[String]) -> anyhow::Result<()> {
    Step::cargo(["run", "--package", BENCH_PACKAGE, "--profile", "bench-lto"]).args(["--"]).args(args).run()
}

/// The manifests below `examples/` that are workspaces of their own, and hence
/// not reached by `cargo test --workspace`.
fn standalone_examples() -> anyhow::Result<Vec<String>> {
    let mut manifests = Vec::new();
    let Ok(entries) = fs::read_dir("examples") else {
        return Ok(manifests);
    };
    for entry in entries {
        let manifest = entry?.path().join("Cargo.toml");
        let Ok(text) = fs::read_to_string(&manifest) else {
            continue;
        };
        if text.lines().any(|line| line.trim() == "[workspace]") {
            manifests.push(manifest.display().to_string());
        }
    }
    manifests.sort();
    Ok(manifests)
}

fn workspace_root() -> anyhow::Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the package has no parent folder")
}

//! Files at random are compiled, or refused with the place and the reason.

use std::fs;
use std::path::{Path, PathBuf};

mod protos;

/// As many seeds as are tried: `RANDOM_PROTOS=100000` tries more.
const SEEDS: u64 = 150;

fn seeds() -> u64 {
    std::env::var("RANDOM_PROTOS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(SEEDS)
}

fn scratch() -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("random");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    dir
}

/// `path:3:14: what is wrong`.
fn has_place(line: &str, path: &Path) -> bool {
    let rest = line.strip_prefix(&format!("{}:", path.display()));
    let mut parts = rest.unwrap_or_default().splitn(3, ':');
    let mut number = || parts.next().is_some_and(|part| part.parse().is_ok_and(|n: usize| n > 0));
    number() && number() && parts.next().is_some_and(|rest| rest.len() > 2)
}

#[test]
fn each_is_compiled_or_refused_with_its_line() {
    let dir = scratch();
    let (mut compiled, mut refused) = (0, 0);
    for seed in 0..seeds() {
        let text = protos::proto(seed, &format!("random.p{seed}"));
        let path = dir.join("file.proto");
        fs::write(&path, &text).unwrap();
        let config = dora_codegen::Config::new().out_dir(dir.join("out")).serde(true).mocks(true);
        match config.compile(&path) {
            Ok(()) => compiled += 1,
            Err(error) => {
                refused += 1;
                let error = error.to_string();
                let problems = error.lines().filter(|line| !line.starts_with("  help: "));
                for problem in problems {
                    assert!(has_place(problem, &path), "seed {seed}: {problem}\n{text}");
                }
            }
        }
    }
    // Else nothing was tried.
    assert!(compiled > seeds() / 10 && refused > seeds() / 10, "{compiled} compiled, {refused} refused");
}

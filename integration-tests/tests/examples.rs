//! The examples are packages to copy: each is copied out of the workspace, and
//! built and run there as a newcomer would.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use dora_integration_tests::elsewhere::{Elsewhere, build, copy, repository};

/// `example`, copied to `elsewhere`.
fn copied(example: &str, elsewhere: &Elsewhere) -> PathBuf {
    let package = elsewhere.path().join(example);
    copy(&repository().join("examples").join(example), &package);
    package
}

#[test]
fn each_example_builds_where_it_is_copied_to() {
    let mut built = 0;
    for entry in fs::read_dir(repository().join("examples")).expect("examples") {
        let entry = entry.expect("an entry");
        if !entry.path().join("Cargo.toml").is_file() {
            continue;
        }
        let example = entry.file_name().into_string().expect("a plain name");
        let elsewhere = Elsewhere::new(&example);
        let program = build(&copied(&example, &elsewhere), &example);
        assert!(program.is_file(), "{}", program.display());
        built += 1;
    }
    assert!(built >= 5, "{built} examples");
}

#[test]
fn the_copied_quickstart_does_what_it_says() {
    let elsewhere = Elsewhere::new("run");
    let program = build(&copied("quickstart", &elsewhere), "quickstart");
    let output = Command::new(program).current_dir(elsewhere.path()).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    for line in ["wait:      user 7 is Ada", "batch:     Ada ordered engine and punch cards", "drained"] {
        assert!(said.lines().any(|there| there == line), "{line:?} is missing in:\n{said}");
    }
}

#[test]
fn the_copied_carrier_carries_calls() {
    let elsewhere = Elsewhere::new("carrier");
    let program = build(&copied("own-carrier", &elsewhere), "own-carrier");
    let output = Command::new(program).current_dir(elsewhere.path()).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert_eq!(said.lines().collect::<Vec<_>>(), ["Good day, Ada!", "Good day, Bob!"]);
}

#[test]
fn the_copied_resilience_reports_how_calls_survive() {
    let elsewhere = Elsewhere::new("survive");
    let program = build(&copied("resilience", &elsewhere), "resilience");
    let output = Command::new(program).current_dir(elsewhere.path()).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<_> = said.lines().collect();
    let at = |words: &str| {
        let found = lines.iter().position(|line| line.contains(words));
        found.unwrap_or_else(|| panic!("{words:?} is missing in:\n{said}"))
    };
    let (dies, dead) = (at("instance a dies"), at("all instances are dead"));
    let (back, end) = (at("all instances come back"), at("in all:"));
    // By instances, by the fallback, and failed, in the lines of a scene.
    let sums = |scene: &[&str]| {
        let mut sums = [0_u64; 3];
        for line in scene.iter().filter(|line| !line.contains("breaker")) {
            let counts = line.split_whitespace().skip(1).take(3);
            sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count.parse::<u64>().expect(line));
        }
        sums
    };
    let says = |scene: &[&str], words: &str| scene.iter().any(|line| line.contains(words));
    assert!(sums(&lines[dies + 1..dead])[0] > 0, "the others go on:\n{said}");
    // On a starved machine it may have been open before.
    let open = ["breaker of a: Closed -> Open", "a: OPEN"];
    assert!(open.into_iter().any(|words| says(&lines[dies + 1..dead], words)), "{said}");
    assert!(sums(&lines[dead + 1..back])[1] > 0, "the fallback answers:\n{said}");
    assert!(sums(&lines[back + 1..end])[0] > 0, "they answer again:\n{said}");
    assert!(says(&lines[back + 1..end], "a: closed"), "its breaker closes:\n{said}");
}

#[test]
fn an_example_names_nothing_outside_of_itself() {
    for entry in fs::read_dir(repository().join("examples")).expect("examples") {
        let manifest = entry.expect("an entry").path().join("Cargo.toml");
        let Ok(text) = fs::read_to_string(&manifest) else { continue };
        for (number, line) in text.lines().enumerate() {
            let inherits = line.contains("workspace") || line.contains("path =");
            assert!(!inherits, "{}:{}: {line:?} breaks a copy", manifest.display(), number + 1);
        }
    }
}

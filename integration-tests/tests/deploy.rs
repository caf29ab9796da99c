//! The files of `deploy/` fit the servers that they run.
#![cfg(unix)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dora_core::transport::server::connections::ServerConfig;
use dora_integration_tests::process::{Process, binary};
use dora_integration_tests::raw::PATIENCE;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn file(name: &str) -> String {
    fs::read_to_string(repository().join("deploy").join(name)).expect(name)
}

/// What stands behind `key` in the unit.
fn setting(key: &str) -> String {
    let unit = file("dora-service.service");
    let line = unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("the unit says no {key}")).to_owned()
}

/// The instruction of the last stage of the Containerfile.
fn instruction(name: &str) -> String {
    let text = file("Containerfile");
    let line = text.lines().rev().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("the Containerfile says no {name}")).to_owned()
}

/// The quickstart, as the unit and the container start it.
fn serving(arguments: &str) -> Process {
    assert_eq!(arguments, "0.0.0.0:9567");
    let path = binary("quickstart").expect("it builds");
    let mut process = Process::spawn(Command::new(path).arg("127.0.0.1:0")).expect("it starts");
    let line = process.line(PATIENCE).expect("a line").unwrap_or_default();
    assert!(line.starts_with("serving on "), "{line}");
    process
}

fn assert_drains(mut process: Process, signal: &str) {
    process.signal(signal.strip_prefix("SIG").expect("a name")).expect("it runs");
    assert_eq!(process.line(PATIENCE).expect("a line").as_deref(), Some("drained"));
    assert!(process.wait(PATIENCE).expect("it ends").success());
}

#[test]
fn the_unit_reloads_and_drains_with_the_signals_that_it_names() {
    let start = setting("ExecStart");
    let process = serving(start.split_once(' ').expect("arguments").1);
    let reload = setting("ExecReload");
    let reload = reload.strip_prefix("/bin/kill -").and_then(|rest| rest.strip_suffix(" $MAINPID"));
    process.signal(reload.expect("a signal")).expect("it runs");
    assert_drains(process, &setting("KillSignal"));
}

#[test]
fn the_container_drains_with_the_signal_that_it_names() {
    let arguments = instruction("CMD");
    let process = serving(arguments.trim_matches(['[', ']', '"']));
    assert_drains(process, &instruction("STOPSIGNAL"));
    assert!(instruction("ENTRYPOINT").starts_with('['), "a shell would keep the signal to itself");
}

#[test]
fn systemd_waits_longer_than_a_drain_and_allows_as_many_files_as_connections() {
    let defaults = ServerConfig::default();
    let patience: u64 = setting("TimeoutStopSec").parse().expect("seconds");
    assert!(patience >= defaults.drain_timeout.as_secs() + 5, "{patience} s");
    let files: usize = setting("LimitNOFILE").parse().expect("a number");
    assert!(files > defaults.max_connections, "{files}");
    let readme = file("README.md");
    for wait in [format!("TimeoutStopSec={patience}"), format!("--stop-timeout {patience}")] {
        assert!(readme.contains(&wait), "README.md does not say {wait}");
    }
}

#[test]
fn what_the_container_builds_is_there() {
    let text = file("Containerfile");
    let package = text.lines().find_map(|line| line.strip_prefix("ARG PACKAGE=")).expect("a package");
    assert!(repository().join("examples").join(package).join("Cargo.toml").is_file(), "{package}");
    assert!(repository().join("Cargo.lock").is_file(), "--locked needs it");
}

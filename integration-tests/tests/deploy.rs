//! The files of `deploy/` fit the servers that they run.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use dora_core::transport::server::connections::ServerConfig;
use dora_integration_tests::elsewhere::Elsewhere;
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

/// The commands that the first stage runs, in one line for a shell.
fn build_commands() -> String {
    let text = file("Containerfile").replace("\\\n", " ");
    let run = text.lines().find_map(|line| line.strip_prefix("RUN ")).expect("a RUN");
    let words = run.split_whitespace().filter(|word| !word.starts_with("--mount="));
    words.collect::<Vec<_>>().join(" ")
}

/// What `COPY . .` takes, which `.dockerignore` leaves. What is there already stays
/// as old as it is, so that Cargo builds but what is new.
fn copy_context(from: &Path, to: &Path, ignored: &[&str]) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(to).expect("a folder") {
        let entry = entry.expect("an entry");
        let is_gone = !from.join(entry.file_name()).exists();
        if is_gone && entry.path().is_dir() && !ignored.iter().any(|name| entry.file_name() == *name) {
            fs::remove_dir_all(entry.path()).expect("a folder");
        } else if is_gone && entry.path().is_file() {
            fs::remove_file(entry.path()).expect("a file");
        }
    }
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if ignored.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        if from.is_dir() {
            copy_context(&from, &to, &[]);
        } else if fs::read(&from).ok() != fs::read(&to).ok() {
            fs::copy(from, to).expect("a file");
        }
    }
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

/// All of the image but the engine and its bases: the commands of the first stage
/// in a copy of the context, and what they make as the second stage starts it.
#[test]
fn what_the_container_builds_serves_without_rights_and_drains() {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("container");
    let (source, out) = (scratch.join("src"), Elsewhere::new("container"));
    let ignored = fs::read_to_string(repository().join(".dockerignore")).expect(".dockerignore");
    let ignored: Vec<&str> = ignored.lines().map(|line| line.trim_matches('/')).collect();
    assert!(ignored.contains(&"target"), "{ignored:?}");
    copy_context(&repository(), &source, &ignored);

    let package = file("Containerfile");
    let package = package.lines().find_map(|line| line.strip_prefix("ARG PACKAGE=")).expect("a package");
    let commands = build_commands();
    assert!(commands.contains(" /out/service"), "{commands}");
    let output = Command::new("sh")
        .args(["-euc", &commands.replace("/out/", &format!("{}/", out.path().display()))])
        .current_dir(&source)
        .env("PACKAGE", package)
        .env("CARGO_NET_OFFLINE", "true")
        // What it is built for is not how fast it is.
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
        .env_remove("CARGO_TARGET_DIR")
        .output()
        .expect("a shell");
    assert!(output.status.success(), "{commands}:\n{}", String::from_utf8_lossy(&output.stderr));

    let copied =
        format!("COPY --from=build /out/service {}", instruction("ENTRYPOINT").trim_matches(['[', ']', '"']));
    assert!(file("Containerfile").lines().any(|line| line == copied), "no {copied}");
    let mut command = Command::new(out.path().join("service"));
    command.env_clear().arg("127.0.0.1:0");
    let user = instruction("USER");
    let (user, group) = user.split_once(':').expect("a user and a group");
    let (user, group): (u32, u32) = (user.parse().expect("a number"), group.parse().expect("a number"));
    assert_ne!((user, group), (0, 0));
    // Only root may become somebody else.
    if fs::metadata("/proc/self").is_ok_and(|it| it.uid() == 0) {
        command.uid(user).gid(group);
    }
    let mut process = Process::spawn(&mut command).expect("it starts");
    let line = process.line(PATIENCE).expect("a line").unwrap_or_default();
    assert!(line.starts_with("serving on "), "{line}");
    assert_drains(process, &instruction("STOPSIGNAL"));
}

#[test]
fn the_container_is_built_for_the_system_that_it_runs_on() {
    let text = file("Containerfile");
    let bases: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("FROM ")).collect();
    let [builder, runner] = &*bases else { panic!("{bases:?}") };
    // Else its C library may be older than the one that the program was linked with.
    assert!(builder.contains("-bookworm ") && runner.contains(":bookworm-"), "{bases:?}");
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

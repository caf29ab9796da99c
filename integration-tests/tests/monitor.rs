//! `dora-monitor` as an operator runs it.
#![cfg(unix)]

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use dora_integration_tests::elsewhere::{Elsewhere, repository};
use dora_integration_tests::process::{Process, binary};
use dora_integration_tests::raw::PATIENCE;

fn monitor() -> Command {
    let mut command = Command::new(binary("dora-rpc-monitor").expect("it builds"));
    command.env_clear();
    command
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < PATIENCE, "never: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn record(address: &str) -> String {
    format!(r#"{{"v":1,"address":"{address}","generation":"1","groups":["shop"]}}"#)
}

#[test]
fn it_follows_a_registry_logs_and_ends_at_sigterm() {
    let folder = Elsewhere::new("monitor");
    let (registry, servers) = (folder.path().join("registry.json"), folder.path().join("servers.php"));
    let write = |text: &str| {
        let beside = folder.path().join("beside");
        fs::write(&beside, text).expect("it can be written");
        fs::rename(&beside, &registry).expect("it can be renamed");
    };
    let read = || fs::read_to_string(&servers).unwrap_or_default();
    write(&format!(r#"{{"instances":[{}]}}"#, record("10.0.2.15:9567")));
    let mut command = monitor();
    command.arg("--file").arg(&servers).env("DORA_TARGET", format!("file://{}", registry.display()));
    let mut process = Process::spawn(&mut command).expect("it starts");
    until("the file is there", || read().contains("'10.0.2.15_9567'"));

    let both = format!(r#"{{"instances":[{},{}]}}"#, record("10.0.2.15:9567"), record("10.0.2.16:9567"));
    write(&both);
    until("who has joined is in it", || read().contains("'10.0.2.16_9567'"));
    // An outage.
    fs::remove_file(&registry).expect("it was there");
    until("it is logged", || process.errors().contains("cannot be asked"));
    assert!(read().contains("'10.0.2.16_9567'"));

    process.terminate().expect("it runs");
    let status = process.wait(PATIENCE).expect("it ends");
    assert!(status.success(), "{status}\n{}", process.errors());
    assert!(read().contains("'10.0.2.16_9567'"), "clients read on");
    let logs = process.errors();
    for word in ["looking", "written", "SIGTERM"] {
        assert!(logs.contains(word), "{word:?} is missing in:\n{logs}");
    }
}

/// What the unit and the container say runs, but for where the files are.
#[test]
fn the_unit_and_the_container_start_it() {
    let deploy = repository().join("deploy");
    let read = |name: &str| fs::read_to_string(deploy.join(name)).expect(name);
    let (unit, container) = (read("dora-monitor.service"), read("Containerfile.monitor"));
    let line = |text: &str, key: &str| {
        let line =
            text.lines().rev().find_map(|line| line.strip_prefix(key)).unwrap_or_else(|| panic!("no {key}"));
        line.to_owned()
    };
    let start = line(&unit, "ExecStart=");
    let started = start.split_whitespace().skip(1).map(str::to_owned).collect();
    let words: Vec<String> = serde_json::from_str(&line(&container, "CMD ")).expect("a list");
    assert!(line(&container, "ENTRYPOINT ").starts_with('['), "a shell would keep the signal to itself");
    let signals = [line(&unit, "KillSignal=SIG"), line(&container, "STOPSIGNAL SIG")];
    for (arguments, signal) in [started, words].into_iter().zip(signals) {
        let folder = Elsewhere::new("started");
        let own = |word: &String| word.replace("/run/dora", &folder.path().display().to_string());
        let mut command = monitor();
        command.args(arguments.iter().map(own)).env("DORA_TARGET", "10.0.2.15:9567");
        let mut process = Process::spawn(&mut command).expect("it starts");
        for name in ["servers.php", "servers.json"] {
            let file = folder.path().join(name);
            until("the file is there", || file.exists());
        }
        process.signal(&signal).expect("it runs");
        assert!(process.wait(PATIENCE).expect("it ends").success(), "{}", process.errors());
    }
    assert!(container.contains(" --package dora-rpc-monitor "), "{container}");
    for (name, text) in [("unit", &unit), ("container", &container)] {
        assert!(text.contains("/usr/local/bin/dora-monitor"), "the {name} has another program");
    }
}

#[test]
fn it_says_what_it_wants() {
    let output = monitor().arg("--help").output().expect("it starts");
    let help = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{help}");
    for word in ["redis://", "etcd://", "--file", "--refresh", "--hold", "DORA_TARGET", ".php"] {
        assert!(help.contains(word), "{word:?} is missing in:\n{help}");
    }
    let cases: [(&[&str], &str); 4] = [
        (&["10.0.2.15:9567"], "--file"),
        (&["zookeeper://me:secret@a", "--file", "/tmp/x.php"], "no backend \"zookeeper\""),
        (&["10.0.2.15:9567", "--file", "/tmp/x.ini"], ".php for PHP clients"),
        (&["10.0.2.15:9567", "--file", "/no/such/folder/x.php"], "cannot write \"/no/such/folder/x.php\""),
    ];
    for (arguments, word) in cases {
        let output = monitor().args(arguments).output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{arguments:?}");
        assert!(!said.contains("secret"), "{said}");
        assert!(said.contains(word), "{arguments:?}: {word:?} is missing in:\n{said}");
    }
}

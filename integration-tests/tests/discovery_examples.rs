//! The examples of discovery and of live configuration, copied out, against real
//! registries.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use dora_integration_tests::elsewhere::{Elsewhere, build, copy, repository};
use dora_integration_tests::process::{Process, free_port};
use dora_integration_tests::raw::PATIENCE;

/// For a program that waits for several things.
const LONG: Duration = Duration::from_secs(180);

fn built(example: &str, elsewhere: &Elsewhere) -> PathBuf {
    let package = elsewhere.path().join(example);
    copy(&repository().join("examples").join(example), &package);
    build(&package, example)
}

/// An etcd of its own.
struct Etcd {
    address: String,
    process: Process,
}

impl Etcd {
    fn start(elsewhere: &Elsewhere) -> Self {
        let address = format!("127.0.0.1:{}", free_port().expect("a port"));
        let peers = format!("http://127.0.0.1:{}", free_port().expect("a port"));
        let clients = format!("http://{address}");
        let mut command = Command::new("etcd");
        command.arg("--data-dir").arg(elsewhere.path().join("etcd"));
        command.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
        command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
        command.args(["--initial-cluster", &format!("default={peers}"), "--log-level", "error"]);
        let etcd = Self { address, process: Process::spawn(&mut command).expect("etcd") };
        let begin = Instant::now();
        while !etcd.control(&["endpoint", "health"]) {
            assert!(begin.elapsed() < LONG, "etcd does not answer: {}", etcd.process.errors());
            thread::sleep(Duration::from_millis(50));
        }
        etcd
    }

    /// What an operator does.
    fn control(&self, arguments: &[&str]) -> bool {
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3").args(["--endpoints", &self.address]).args(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().expect("etcdctl").success()
    }
}

/// A Redis of its own.
struct Redis {
    port: String,
    _process: Process,
}

impl Redis {
    fn start(elsewhere: &Elsewhere) -> Self {
        let port = free_port().expect("a port").to_string();
        let mut command = Command::new("redis-server");
        command.current_dir(elsewhere.path());
        command.args(["--port", &port, "--bind", "127.0.0.1", "--save", ""]);
        let redis = Self { port, _process: Process::spawn(&mut command).expect("redis-server") };
        let begin = Instant::now();
        while !redis.control(&["ping"]) {
            assert!(begin.elapsed() < LONG, "redis-server does not answer");
            thread::sleep(Duration::from_millis(50));
        }
        redis
    }

    /// What an operator does.
    fn control(&self, arguments: &[&str]) -> bool {
        let mut command = Command::new("redis-cli");
        command.args(["-e", "-p", &self.port]).args(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().expect("redis-cli").success()
    }
}

/// One server joins and one leaves, and no call fails.
fn assert_servers_come_and_go(process: &mut Process) {
    let mut said = Vec::new();
    while let Some(line) = process.line(LONG).expect("it goes on") {
        said.push(line);
    }
    let status = process.wait(PATIENCE).expect("it ends");
    assert!(status.success(), "{status}: {said:#?}\n{}", process.errors());
    let told: Vec<_> = said.iter().filter(|line| !line.starts_with("not yet: ")).collect();
    let [joins, alone, other, both, leaves, last, ends, calls] = &told[..] else { panic!("{said:#?}") };
    assert!(joins.starts_with("one joins, on 127.0.0.1:"), "{said:#?}");
    assert_eq!(*alone, "answered by one");
    assert!(other.starts_with("two joins, on 127.0.0.1:"), "{said:#?}");
    assert_eq!([both.as_str(), leaves.as_str()], ["answered by one and two", "one leaves"]);
    assert_eq!([last.as_str(), ends.as_str()], ["answered by two", "two leaves"]);
    assert!(calls.ends_with(" calls, none failed"), "{said:#?}");
}

#[test]
fn servers_come_and_go_in_etcd() {
    let elsewhere = Elsewhere::new("etcd");
    let program = built("discovery-etcd", &elsewhere);
    let etcd = Etcd::start(&elsewhere);
    let target = format!("etcd://{}/example?group=greeters", etcd.address);
    assert_servers_come_and_go(&mut Process::spawn(Command::new(program).arg(target)).expect("it starts"));
}

#[test]
fn servers_come_and_go_in_redis() {
    let elsewhere = Elsewhere::new("redis");
    let program = built("discovery-redis", &elsewhere);
    let redis = Redis::start(&elsewhere);
    let target = format!("redis://127.0.0.1:{}?group=greeters", redis.port);
    let mut process = Process::spawn(Command::new(program).arg(target)).expect("it starts");
    let mut said = Vec::new();
    while let Some(line) = process.line(LONG).expect("it goes on") {
        said.push(line);
    }
    let status = process.wait(PATIENCE).expect("it ends");
    assert!(status.success(), "{status}: {said:#?}\n{}", process.errors());
    let scenes: Vec<_> = said.iter().filter(|line| line.starts_with("-- ")).collect();
    assert_eq!(scenes, ["-- one joins", "-- two joins", "-- one leaves", "-- two leaves"]);
    // The last lines of each scene say who is there.
    for (scene, listed, there) in [
        ("-- one joins", 1, &["one "][..]),
        ("-- two joins", 2, &["one ", "two "]),
        ("-- one leaves", 1, &["two "]),
    ] {
        let next = said.iter().skip_while(|line| *line != scene).skip(1);
        let lines: Vec<_> = next.take_while(|line| line.contains(" s  listed: ")).collect();
        let last = lines.last().unwrap_or_else(|| panic!("{scene}: {said:#?}"));
        assert!(last.contains(&format!("listed: {listed} ")) && last.ends_with("failed: 0"), "{said:#?}");
        let answered = |name: &&str| lines.iter().rev().take(4).any(|line| line.contains(name));
        assert!(there.iter().all(answered), "{scene}: {said:#?}");
    }
    assert!(said.last().is_some_and(|line| line.ends_with(" calls, 0 failed")), "{said:#?}");
}

/// The example, told of changes by what an operator does.
fn assert_a_limit_is_followed(
    program: &Path,
    key: String,
    put: impl Fn(&str) -> bool,
    delete: impl Fn() -> bool,
) {
    let mut process = Process::spawn(Command::new(program).arg(key)).expect("it starts");
    let mut next = || process.line(LONG).expect("it goes on").expect("it still runs");
    assert_eq!(next(), "Good day, Ada Lovelace!");
    assert!(put(r#"{"longest_name": 5}"#));
    assert_eq!(next(), "refused: a name has at most 5 bytes");
    assert!(put(r#"{"longest_name": 0}"#));
    let kept = "refused: a name has at most 5 bytes (its value is not used: a name has at least one byte)";
    assert_eq!(next(), kept);
    assert!(delete());
    assert_eq!(next(), "Good day, Ada Lovelace!");
    assert!(process.wait(PATIENCE).expect("it ends").success(), "{}", process.errors());
}

#[test]
fn an_operator_changes_a_limit_while_a_server_runs() {
    let elsewhere = Elsewhere::new("live-config");
    let program = built("live-config", &elsewhere);
    let etcd = Etcd::start(&elsewhere);
    let key = format!("etcd://{}?key=example/limits", etcd.address);
    let put = |value: &str| etcd.control(&["put", "example/limits", value]);
    assert_a_limit_is_followed(&program, key, put, || etcd.control(&["del", "example/limits"]));

    let redis = Redis::start(&elsewhere);
    let key = format!("redis://127.0.0.1:{}?key=example/limits", redis.port);
    let put = |value: &str| redis.control(&["set", "example/limits", value]);
    assert_a_limit_is_followed(&program, key, put, || redis.control(&["del", "example/limits"]));
}

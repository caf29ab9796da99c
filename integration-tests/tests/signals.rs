//! What the example servers do when the signals of init systems, terminals and
//! Swoole's tools reach them.
#![cfg(unix)]

use std::process::Command;
use std::time::Duration;

use dora::{Channel, Endpoint, Value, value};
use dora_integration_tests::process::{Process, binary};
use dora_integration_tests::raw::PATIENCE;

/// An example that serves, and a call of it that takes a while.
struct Example {
    package: &'static str,
    args: &'static [&'static str],
    /// What stands before the address that it prints.
    ready: &'static str,
    slow: &'static str,
    param: fn() -> Value,
    /// A key of the result, with its value.
    result: (&'static str, fn() -> Value),
}

const EXAMPLES: [Example; 3] = [
    Example {
        package: "quickstart",
        args: &["127.0.0.1:0"],
        ready: "serving on ",
        slow: "/shop.v1.Orders/SendInvoice",
        param: || value!({ "order" => 2 }),
        result: ("order", || value!(2)),
    },
    Example {
        package: "legacy-server",
        args: &["--tcp", "127.0.0.1:0"],
        ready: "ready: tcp ",
        slow: "/t/sleep",
        param: || value!({ "us" => 1_000_000 }),
        result: ("slept", || value!(1_000_000)),
    },
    Example {
        package: "php-interop",
        args: &["serve", "--tcp", "127.0.0.1:0"],
        ready: "ready: tcp ",
        slow: "/user/mail",
        param: || value!({ "id" => 7, "text" => "hello" }),
        result: ("to", || value!("ada@example.org")),
    },
];

impl Example {
    fn start(&self) -> (Process, String) {
        let path = binary(self.package).expect("it builds");
        let mut process = Process::spawn(Command::new(path).args(self.args)).expect("it starts");
        let line = process.line(PATIENCE).expect("a line").unwrap_or_default();
        let address = line.strip_prefix(self.ready).expect(&line).to_owned();
        (process, address)
    }
}

async fn connect(address: &str) -> Channel {
    let endpoint = Endpoint::new(address).expect("an address").php();
    endpoint.timeout(PATIENCE).connect().await.expect("it listens")
}

/// Ends well, and says so.
fn assert_drained(mut process: Process, case: &str) {
    let mut last = None;
    while let Some(line) = process.line(PATIENCE).expect(case) {
        last = Some(line);
    }
    let status = process.wait(PATIENCE).expect(case);
    assert!(status.success(), "{case}: {status}\n{}", process.errors());
    assert_eq!(last.as_deref(), Some("drained"), "{case}: {}", process.errors());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn sigterm_and_sigint_answer_what_runs_and_end() {
    for example in &EXAMPLES {
        for signal in ["TERM", "INT"] {
            let case = format!("{} at SIG{signal}", example.package);
            let (process, address) = example.start();
            let channel = connect(&address).await;
            // Acknowledged: it runs.
            let pending = channel.dynamic().call(example.slow, (example.param)()).deferred().await;
            let pending = pending.expect(&case);
            process.signal(signal).expect("it runs");
            let result = pending.await.unwrap_or_else(|error| panic!("{case}: {error}"));
            let (key, expected) = &example.result;
            assert_eq!(result.get(*key), Some(&expected()), "{case}");
            drop(channel);
            assert_drained(process, &case);
            std::net::TcpStream::connect(&address).expect_err(&case);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn sigusr1_reloads_and_ends_nothing() {
    for example in &EXAMPLES {
        let (mut process, address) = example.start();
        let channel = connect(&address).await;
        for _ in 0..3 {
            process.signal("USR1").expect("it runs");
            if example.package == "legacy-server" {
                let line = process.line(PATIENCE).expect("a line");
                assert_eq!(line.as_deref(), Some("reloaded"));
            }
            let call = channel.dynamic().call(example.slow, (example.param)());
            call.timeout(PATIENCE).await.unwrap_or_else(|error| panic!("{}: {error}", example.package));
        }
        process.terminate().expect("it runs");
        drop(channel);
        assert_drained(process, example.package);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_signal_before_the_first_connection_ends_too() {
    for example in &EXAMPLES {
        let (process, _) = example.start();
        tokio::time::sleep(Duration::from_millis(10)).await;
        process.signal("INT").expect("it runs");
        assert_drained(process, example.package);
    }
}

//! A PHP client calls `legacy-server`, which has no types.

use std::net::SocketAddr;
use std::process::Command;

use dora_integration_tests::exact::Exact;
use dora_integration_tests::php::PhpClient;
use dora_integration_tests::process::{Process, binary};
use dora_integration_tests::raw::{DEFAULT_SALT, Dialect, PATIENCE};
use serde_json::json;

use crate::packets::{accepted, async_results, empty, numbered, ok, packet, run, single, thrown};

/// The example, signed and compressing as `dialect` says; killed when dropped.
pub(crate) fn legacy_server(dialect: &Dialect) -> (Process, SocketAddr) {
    let mut command = Command::new(binary("legacy-server").expect("it builds"));
    command.args(["--tcp", "127.0.0.1:0"]);
    if let Some(salt) = &dialect.salt {
        command.arg("--sign");
        if salt != DEFAULT_SALT {
            command.args(["--salt", str::from_utf8(salt).expect("a salt of text")]);
        }
    }
    if dialect.gzip {
        command.arg("--gzip");
    }
    let mut process = Process::spawn(&mut command).expect("it starts");
    let line = process.line(PATIENCE).expect("a line").unwrap_or_default();
    let address = line.strip_prefix("ready: tcp ").expect(&line);
    let address = address.parse().expect("an address");
    (process, address)
}

#[test]
fn a_salt_without_a_signature_is_an_error_and_the_help_names_every_api() {
    let run = |args: &[&str]| {
        let output =
            Command::new(binary("legacy-server").expect("it builds")).args(args).output().expect("it starts");
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    };
    let (well, said) = run(&["--tcp", "127.0.0.1:0", "--salt", "s"]);
    assert!(!well && said.contains("--sign"), "{said}");
    let (well, said) = run(&["--help"]);
    assert!(well && said.contains("/t/shared") && said.contains("/t/ref"), "{said}");
}

#[test]
fn calls_that_wait_and_exceptions_work_in_every_dialect() {
    for dialect in Dialect::all() {
        let (_server, address) = legacy_server(&dialect);
        let param = Exact::map([
            ("float", 1.0.into()),
            ("int", i64::MIN.into()),
            ("bytes", Exact::from(&b"\xff\0"[..])),
            ("nested", Exact::list([Exact::Null, "你好".into(), true.into()])),
        ]);
        let client = PhpClient::new(address, dialect.clone());
        let results = run(
            &client,
            &json!([
                {"call": "single", "name": "/t/echo", "exact": param.to_notation()},
                {"call": "multi", "calls": {
                    "slow": {"name": "/t/sleep", "param": {"us": 60_000}},
                    "7": {"name": "/t/echo", "param": 7},
                    "bad": {"name": "/t/throw"},
                    "dead": {"name": "/t/error"},
                }},
                {"call": "single", "name": "/t/throw_cn"},
                {"call": "single", "name": "/t/throw0"},
                {"call": "single", "name": "/t/throw_pdo"},
                {"call": "single", "name": "/t/sparse"},
                {"call": "single", "name": "/t/nothing_like_it"},
                {"call": "single", "name": "/t/big", "param": {"n": 1_500_000}},
            ]),
        );
        let about = format!("{dialect:?}");
        assert_eq!(results[0], single(param.clone()), "{about}");
        let multi = results[1].at(&["data", "data"]).expect("results");
        assert_eq!(numbered(multi, 7), Some(&ok(7.into())), "{about}");
        assert_eq!(multi.get("bad"), Some(&packet(1231, "asbddddfds", empty())), "{about}");
        assert_eq!(multi.get("slow"), Some(&ok(Exact::map([("slept", 60_000.into())]))), "{about}");
        let dead = multi.at(&["dead", "code"]);
        assert!(dead.is_some_and(|code| *code != 0.into()), "{about}: {multi:?}");
        assert_eq!(results[2], thrown(-42, "业务异常: 库存不足"), "{about}");
        assert_eq!(results[3], thrown(0, "plain message"), "{about}");
        assert_eq!(results[4], thrown(100_001, "code kept as int"), "{about}");
        let sparse = [
            (5.into(), "a".into()),
            (7.into(), "b".into()),
            ("k".into(), "c".into()),
            ((-3).into(), "d".into()),
        ];
        assert_eq!(results[5], single(Exact::Array(sparse.to_vec())), "{about}");
        assert_eq!(results[6], single(Exact::map([("hehe", "ohyes123".into())])), "{about}");
        assert_eq!(results[7], single("D".repeat(1_500_000).as_str().into()), "{about}");
    }
}

#[test]
fn results_that_are_not_wanted_and_results_that_come_later_work_in_every_dialect() {
    for dialect in Dialect::all() {
        let (_server, address) = legacy_server(&dialect);
        let client = PhpClient::new(address, dialect.clone());
        let results = run(
            &client,
            &json!([
                {"call": "single", "name": "/t/throw", "mode": "noresult"},
                {"call": "multi", "calls": {"a": {"name": "/t/echo"}}, "mode": "noresult"},
                {"call": "single", "name": "/t/echo", "param": "later", "mode": "async"},
                {"call": "single", "name": "/t/sleep", "param": {"us": 30_000}},
                {"call": "multi", "calls": {"p": {"name": "/t/sleep", "param": {"us": 20_000}}}, "mode": "async"},
                {"call": "single", "name": "/t/throw", "mode": "async"},
                {"call": "async"},
                {"call": "async"},
            ]),
        );
        for call in [0, 1, 2, 4, 5] {
            assert_eq!(results[call], accepted(), "{dialect:?}, call {call}");
        }
        assert_eq!(results[3], single(Exact::map([("slept", 30_000.into())])), "{dialect:?}");
        let [first, second, third] = async_results(&results[6])[..] else {
            panic!("{dialect:?}: {:?}", results[6]);
        };
        assert_eq!(first.at(&["data", "data"]), Some(&"later".into()));
        assert_eq!(first.get("isresult"), Some(&1.into()));
        assert_eq!(first.get("fromwait"), Some(&1.into()), "it came while another call waited");
        assert_eq!(second.get("data"), Some(&packet(1231, "asbddddfds", empty())));
        let slept = Exact::map([("slept", 20_000.into())]);
        assert_eq!(third.at(&["data", "p"]), Some(&ok(slept)));
        assert_eq!(third.get("fromwait"), Some(&0.into()));
        assert_eq!(results[7], ok(empty()), "fetched once");
    }
}

#[test]
fn control_commands_are_answered_in_every_dialect() {
    for dialect in Dialect::all() {
        let (_server, address) = legacy_server(&dialect);
        let client = PhpClient::new(address, dialect.clone());
        let results = run(
            &client,
            &json!([
                {"call": "single", "name": "/t/echo"},
                {"call": "stat"},
                {"call": "reload"},
                {"call": "single", "name": "/t/echo", "param": "still there"},
            ]),
        );
        for state in &results[1..3] {
            assert_eq!(state.get("code"), Some(&0.into()), "{dialect:?}: {state:?}");
            let connections = state.at(&["data", "server", "connection_num"]);
            assert_eq!(connections, Some(&1.into()), "one connection for all calls");
            assert!(matches!(state.at(&["data", "server", "start_time"]), Some(Exact::Int(1..))));
            assert!(state.at(&["data", "logqueue"]).is_some(), "{state:?}");
        }
        assert_eq!(results[3], single("still there".into()));
    }
}

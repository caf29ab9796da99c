//! Every code that `dora_code` tells PHP callers of, in the layer and with the text
//! that it says, as the logic of PHP's client gives them to its caller.

use std::time::{Duration, Instant};

use dora::{Code, Request, Server, Status, Value};
use dora_integration_tests::exact::Exact;
use dora_integration_tests::php::PhpClient;
use dora_integration_tests::raw::{Dialect, Generation};
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;

use crate::packets::{async_results, empty, ok, packet, run, single};
use crate::php_calls_legacy::legacy_server;

fn every_dialect() -> impl Iterator<Item = Dialect> {
    Dialect::all().into_iter().chain(Dialect::BARE.with_flags())
}

/// The innermost packet: bare results have one only of what failed.
fn failed(code: i64, msg: &str) -> Exact {
    ok(ok(packet(code, msg, empty())))
}

async fn business(request: Request<Value>) -> Result<Value, Status> {
    match request.method().as_str() {
        "/panic" => panic!("at once"),
        "/panic/later" => {
            tokio::task::yield_now().await;
            panic!("later")
        }
        "/slow" => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            Ok(Value::Null)
        }
        "/own" => Err(Status::raw(1231, "out of stock")),
        "/busy" => Err(Status::resource_exhausted("later, please")),
        name => match name.strip_prefix("/status/").and_then(|number| number.parse().ok()) {
            Some(number) => Err(Status::new(Code::from_number(number).unwrap_or(Code::Unknown), "why")),
            None => Ok(name.into()),
        },
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_a_timeout_and_each_status_are_in_the_layer_that_is_told() {
    for dialect in every_dialect() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let mut server = Server::builder().dynamic(business).call_timeout(Duration::from_millis(100));
        if let Some(salt) = &dialect.salt {
            server = server.salt(salt);
        }
        tokio::spawn(server.serve_with_listener(listener, std::future::pending()));
        let mut calls = vec![
            json!({"call": "single", "name": "/panic"}),
            json!({"call": "single", "name": "/panic/later"}),
            json!({"call": "single", "name": "/slow"}),
            json!({"call": "single", "name": "/own"}),
            json!({"call": "multi", "calls": {"bad": {"name": "/panic"}, "good": {"name": "/x"}}}),
            json!({"call": "single", "name": "/busy", "retry": 3}),
        ];
        calls.extend((1..=16).map(|number| json!({"call": "single", "name": format!("/status/{number}")})));
        let client = PhpClient::new(address, dialect.clone());
        let results =
            tokio::task::spawn_blocking(move || run(&client, &Json::Array(calls))).await.expect("it ran");
        for panicked in &results[..2] {
            assert_eq!(*panicked, failed(100_213, "the handler panicked"), "{dialect:?}");
        }
        assert_eq!(results[2], failed(100_009, "the call did not end before its deadline"), "{dialect:?}");
        assert_eq!(results[3], failed(1231, "out of stock"), "{dialect:?}");
        let several = results[4].at(&["data", "data"]).expect("results");
        assert_eq!(several.at(&["bad", "code"]), Some(&100_213.into()), "{dialect:?}");
        let good = several.get("good").expect("a result");
        let good =
            if dialect.generation == Generation::Bare { good } else { good.get("data").expect("data") };
        assert_eq!(*good, "/x".into(), "{dialect:?}");
        assert_eq!(results[5], failed(100_208, "later, please"), "{dialect:?}");
        for (number, result) in (1..).zip(&results[6..]) {
            assert_eq!(*result, failed(100_200 + number, "why"), "{dialect:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shed_call_is_refused_by_the_packet_and_its_deferred_caller_does_not_wait() {
    for dialect in every_dialect() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let mut server = Server::builder().dynamic(business).max_running_calls(0);
        if let Some(salt) = &dialect.salt {
            server = server.salt(salt);
        }
        tokio::spawn(server.serve_with_listener(listener, std::future::pending()));
        let client = PhpClient::new(address, dialect.clone());
        let bare = dialect.generation == Generation::Bare;
        let mut calls = vec![json!({"call": "single", "name": "/own", "retry": 2})];
        if !bare {
            calls.push(json!({"call": "single", "name": "/own", "mode": "async"}));
            calls.push(json!({"call": "async"}));
        }
        let begun = Instant::now();
        let patience = client.timeout;
        let results =
            tokio::task::spawn_blocking(move || run(&client, &Json::Array(calls))).await.expect("it ran");
        assert!(begun.elapsed() < patience, "{dialect:?} took {:?}", begun.elapsed());
        for shed in results.iter().take(2) {
            let message = "1 calls are too many: 0 of 0 run (max_running_calls), ";
            assert_eq!(shed.get("code"), Some(&0.into()), "{dialect:?}: {shed:?}");
            assert_eq!(shed.at(&["data", "code"]), Some(&100_208.into()), "{dialect:?}: {shed:?}");
            let Some(Exact::Str(told)) = shed.at(&["data", "msg"]) else { panic!("{shed:?}") };
            assert!(told.starts_with(message.as_bytes()), "{dialect:?}: {shed:?}");
        }
        if bare {
            continue;
        }
        let [result] = async_results(&results[2])[..] else { panic!("{dialect:?}: {:?}", results[2]) };
        assert_eq!((result.get("code"), result.get("isresult")), (Some(&100_208.into()), Some(&1.into())));
    }
}

/// Commands that are not switched on are none. Nothing of it is in the first layer.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_not_switched_on_is_refused_by_the_packet() {
    for dialect in [Dialect::GUID, Dialect::PLAIN, Dialect::BARE] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let server = Server::builder().dynamic(business);
        tokio::spawn(server.serve_with_listener(listener, std::future::pending()));
        let client = PhpClient::new(address, dialect.clone());
        let calls = json!([{"call": "stat"}, {"call": "reload"}]);
        let results = tokio::task::spawn_blocking(move || run(&client, &calls)).await.expect("it ran");
        for result in results {
            let refused = packet(100_011, "unknow cmd", empty());
            // The older client has its envelope around this answer too.
            let wanted = if dialect.generation == Generation::Bare { ok(refused) } else { refused };
            assert_eq!(result, wanted, "{dialect:?}");
        }
    }
}

/// A parameter over the limits is its own call's: the packet is read past it.
#[test]
fn a_parameter_over_a_limit_fails_its_own_call_in_every_generation() {
    for dialect in every_dialect() {
        let (_server, address) = legacy_server(&dialect);
        let bare = dialect.generation == Generation::Bare;
        let mut calls = vec![
            json!({"call": "single", "name": "/t/echo", "nested": 600}),
            json!({"call": "multi", "calls": {"a": {"name": "/t/echo", "nested": 600}, "b": {"name": "/t/list"}}}),
            json!({"call": "single", "name": "/t/echo", "nested": 600, "mode": "noresult"}),
        ];
        if !bare {
            calls.push(json!({"call": "single", "name": "/t/echo", "nested": 600, "mode": "async"}));
            calls.push(json!({"call": "async"}));
        }
        let results = run(&PhpClient::new(address, dialect.clone()), &Json::Array(calls));
        let about = format!("{dialect:?}: {results:?}");
        let several = results[1].at(&["data", "data"]).expect("results");
        let mut failed = vec![results[0].at(&["data", "data"]), several.get("a")];
        if !bare {
            let [result] = async_results(&results[4])[..] else { panic!("{about}") };
            failed.push(result.get("data"));
        }
        for failed in failed {
            let failed = failed.expect("a packet");
            assert_eq!(failed.get("code"), Some(&100_203.into()), "{about}");
            assert_eq!(failed.get("data"), Some(&empty()), "{about}");
            let Some(Exact::Str(message)) = failed.get("msg") else { panic!("{about}") };
            let message = String::from_utf8_lossy(message);
            let start = "not the message expected (php): nested too deeply (over Limits::depth) in param";
            assert!(message.starts_with(start), "{message}");
        }
        let list = Exact::list([10.into(), 20.into(), 30.into()]);
        let wanted = if bare { list } else { ok(list) };
        assert_eq!(several.get("b"), Some(&wanted), "{about}");
    }
}

#[test]
fn a_refused_body_is_told_to_its_caller_in_every_generation() {
    for dialect in every_dialect() {
        let (_server, address) = legacy_server(&dialect);
        let client = PhpClient::new(address, dialect.clone());
        let begun = Instant::now();
        let results = run(
            &client,
            &json!([
                {"call": "single", "name": "/t/echo", "referring": 600},
                {"call": "multi", "calls": {"a": {"name": "/t/echo", "referring": 600}, "b": {"name": "/t/list"}}},
                {"call": "single", "name": "/t/echo", "referring": 600, "mode": "noresult"},
                {"call": "single", "name": "/t/list"},
            ]),
        );
        assert!(begun.elapsed() < client.timeout, "{dialect:?} took {:?}", begun.elapsed());
        for refused in &results[..3] {
            assert_eq!(refused.at(&["data", "code"]), Some(&100_003.into()), "{dialect:?}: {refused:?}");
            let Some(Exact::Str(message)) = refused.at(&["data", "msg"]) else { panic!("{refused:?}") };
            assert!(message.starts_with(b"param api is empty: "), "{dialect:?}: {refused:?}");
        }
        let list = Exact::list([10.into(), 20.into(), 30.into()]);
        let wanted = if dialect.generation == Generation::Bare { ok(ok(list)) } else { single(list) };
        assert_eq!(results[3], wanted, "{dialect:?}");
    }
}

/// PHP's client waits for the result of a deferred call that was refused: the
/// refusal is its result, and disturbs nobody who does not wait for it.
#[test]
fn the_wait_for_a_refused_deferred_call_ends_at_once() {
    for dialect in Dialect::all() {
        let (_server, address) = legacy_server(&dialect);
        let client = PhpClient::new(address, dialect.clone());
        let begun = Instant::now();
        let results = run(
            &client,
            &json!([
                {"call": "single", "name": "/t/echo", "referring": 600, "mode": "async"},
                {"call": "async"},
                {"call": "single", "name": "/t/echo", "referring": 600, "mode": "async"},
                {"call": "single", "name": "/t/echo", "param": 5},
                {"call": "single", "name": "/t/echo", "param": "good", "mode": "async"},
                {"call": "async"},
                {"call": "single", "name": "/t/echo", "referring": 600, "mode": "async", "retry": 2},
                {"call": "single", "name": "/t/echo", "param": 6},
            ]),
        );
        assert!(begun.elapsed() < client.timeout, "{dialect:?} took {:?}", begun.elapsed());
        for refused in [&results[0], &results[2], &results[6]] {
            assert_eq!(refused.at(&["data", "code"]), Some(&100_003.into()), "{dialect:?}: {refused:?}");
        }
        let [result] = async_results(&results[1])[..] else { panic!("{dialect:?}: {:?}", results[1]) };
        assert_eq!((result.get("code"), result.get("fromwait")), (Some(&100_003.into()), Some(&0.into())));
        assert_eq!(result.get("data"), Some(&empty()));
        assert_eq!(results[3], single(5.into()), "{dialect:?}");
        let [refused, good] = async_results(&results[5])[..] else { panic!("{dialect:?}: {:?}", results[5]) };
        assert_eq!((refused.get("code"), refused.get("fromwait")), (Some(&100_003.into()), Some(&1.into())));
        assert_eq!(good.at(&["data", "data"]), Some(&"good".into()), "{dialect:?}");
        assert_eq!(results[7], single(6.into()), "{dialect:?}");
    }
}

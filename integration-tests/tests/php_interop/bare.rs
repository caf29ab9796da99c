//! The generation of 2015, whose results are bare values: its clients call Rust
//! servers, and Rust clients call its servers.

use std::time::{Duration, Instant};

use dora::{Channel, Code, Origin, Status, Value, value};
use dora_integration_tests::exact::Exact;
use dora_integration_tests::php::{Original, PhpClient, PhpServer};
use dora_integration_tests::raw::Dialect;
use dora_integration_tests::vectors::Outcome;
use serde_json::json;

use crate::packets::{accepted, empty, ok, packet, run};
use crate::php_calls_legacy::legacy_server;
use crate::reference::reference_client::ReferenceClient;
use crate::reference::{Kinds, SleepRequest, Word};
use crate::server::{self, endpoint};

/// What a call returns: two layers around the value.
fn bare(value: Exact) -> Exact {
    ok(ok(value))
}

fn thrown(code: i64, msg: &str) -> Exact {
    bare(packet(code, msg, empty()))
}

#[test]
fn its_clients_get_what_they_take_for_the_result_and_wait_for_nothing() {
    let calls = json!([
        {"call": "single", "name": "/t/task", "param": 1},
        {"call": "single", "name": "/t/null"},
        {"call": "single", "name": "/t/echo", "param": 0},
        {"call": "single", "name": "/t/echo", "param": ""},
        {"call": "single", "name": "/t/echo", "param": "0"},
        {"call": "single", "name": "/t/empty"},
        {"call": "single", "name": "/t/throw_cn"},
        {"call": "single", "name": "/t/throw0"},
        {"call": "multi", "calls": {
            "zero": {"name": "/t/echo", "param": 0},
            "7": {"name": "/t/task"},
            "bad": {"name": "/t/throw"},
        }},
        {"call": "single", "name": "/t/throw", "mode": "noresult"},
        {"call": "multi", "calls": {"a": {"name": "/t/list"}}, "mode": "noresult", "retry": 2},
        {"call": "multi", "calls": {}},
        {"call": "stat"},
        {"call": "single", "name": "/t/error"},
        {"call": "single", "name": "/t/big", "param": {"n": 5_000_000}},
        {"call": "single", "name": "/t/echo", "param": "still there"},
    ]);
    for dialect in Dialect::BARE.with_flags() {
        let (_server, address) = legacy_server(&dialect);
        for of in Original::ALL {
            let client = PhpClient { of, ..PhpClient::new(address, dialect.clone()) };
            let begun = Instant::now();
            let results = run(&client, &calls);
            let about = format!("{of:?} {dialect:?}");
            assert!(begun.elapsed() < client.timeout, "{about} took {:?}", begun.elapsed());
            let task = results[0].at(&["data", "data"]).expect("a task");
            assert_eq!((task.get("type"), task.get("protocol")), (Some(&"SSS".into()), None), "{about}");
            let falsy = [Exact::Null, 0.into(), "".into(), "0".into(), empty()];
            for (result, value) in results[1..].iter().zip(falsy) {
                assert_eq!(*result, bare(value), "{about}");
            }
            assert_eq!(results[6], thrown(-42, "业务异常: 库存不足"), "{about}");
            assert_eq!(results[7], thrown(0, "plain message"), "{about}");
            let several = results[8].at(&["data", "data"]).expect("results");
            assert_eq!(several.get("zero"), Some(&0.into()), "{about}");
            assert_eq!(several.get("bad"), Some(&packet(1231, "asbddddfds", empty())), "{about}");
            for call in [9, 10] {
                assert_eq!(results[call], accepted(), "{about}");
            }
            assert_eq!(results[11], ok(packet(100_003, "param api is empty", empty())), "{about}");
            let stat = results[12].at(&["data", "data", "server", "start_time"]);
            assert!(matches!(stat, Some(Exact::Int(1..))), "{about}: {:?}", results[12]);
            for (call, code) in [(13, 100_213), (14, 100_203)] {
                let code = (code as i64).into();
                assert_eq!(results[call].at(&["data", "data", "code"]), Some(&code), "{about}");
                assert_eq!(results[call].at(&["data", "data", "data"]), Some(&empty()), "{about}");
            }
            assert_eq!(results[15], bare("still there".into()), "{about}");
        }
    }
}

/// The original's clients of 2015 take the very next frame for their answer.
#[test]
fn a_wrong_signature_is_told_in_the_code_of_the_time() {
    let (_server, address) = legacy_server(&Dialect::BARE.signed());
    let other = Dialect { salt: Some(b"another".to_vec()), ..Dialect::BARE };
    let body = "a:3:{s:4:\"guid\";s:32:\"0123456789abcdef0123456789abcdef\";\
                s:3:\"api\";a:0:{}s:4:\"type\";s:3:\"SSS\";}";
    let mut peer = dora_integration_tests::raw::Peer::connect(address).expect("it listens");
    peer.send(&other.frame(&[b'0'; 32], body.as_bytes())).expect("sent");
    let (_, body) = Dialect::BARE.signed().open(&peer.frame().expect("an answer")).expect("a frame");
    let answer = dora_integration_tests::serialized::read(&body).expect("a packet");
    assert_eq!(answer.get("code"), Some(&100_010.into()));
    assert_eq!(answer.get("msg"), Some(&"Signed check error!".into()));
    assert_eq!(answer.get("guid"), Some(&"0123456789abcdef0123456789abcdef".into()));
}

#[test]
fn a_deferred_call_is_refused_by_the_client_of_the_time() {
    let (_server, address) = legacy_server(&Dialect::BARE);
    let calls = json!([{"call": "single", "name": "/t/task", "mode": "async"}]);
    let outcomes = PhpClient::new(address, Dialect::BARE).run(&calls).expect("the client runs");
    assert!(matches!(outcomes[..], [Outcome::Threw { code: 100_099, .. }]), "{outcomes:?}");
}

/// A server of each original with each flags, and a channel to it.
async fn with_every_server(test: impl AsyncFn(Original, Channel)) {
    for original in Original::ALL {
        for dialect in Dialect::BARE.with_flags() {
            let server = PhpServer::start_of(original, &dialect).expect("the server starts");
            println!("{original:?} {dialect:?}");
            let channel = endpoint(server.address(), &dialect).connect().await.expect("it listens");
            test(original, channel).await;
            assert_eq!(server.errors(), "", "{original:?} {dialect:?}");
        }
    }
}

fn assert_thrown<T: std::fmt::Debug>(result: Result<T, Status>, code: i64, message: &str) {
    let status = result.expect_err("PHP throws");
    assert_eq!((status.raw_code(), status.message()), (code, message));
    assert_eq!((status.code(), status.origin()), (Code::Unknown, Origin::Service));
    assert!(status.peer().is_some());
}

#[tokio::test]
async fn dynamic_calls_reach_its_servers_in_every_mode() {
    with_every_server(async |original, channel| {
        let php = channel.dynamic();
        let param = value!({ "float" => 1.0, "bytes" => &b"\xff\0"[..], "nested" => [null, { 5 => "a" }] });
        assert_eq!(php.call("/t/echo", param.clone()).await.expect("an answer"), param);
        // An application's array of three that is no exception.
        let packet = value!({ "code" => 7, "msg" => "mine", "data" => [1] });
        assert_eq!(php.call("/t/echo", packet.clone()).await.expect("an answer"), packet);
        php.call("/t/echo", 1).no_result().await.expect("accepted");
        let batch = channel.batch().call(php.call("/t/list", 1)).call(php.call("/t/true", 1));
        let (list, yes) = batch.send().await.expect("results");
        assert_eq!(list.expect("a list"), value!([10, 20, 30]));
        assert_eq!(yes.expect("true"), true.into());
        let batch = channel.batch().call(php.call("/t/list", 1));
        batch.no_result().await.expect("accepted");
        if original != Original::Phalcon {
            assert_thrown(php.call("/t/throw_cn", 1).await, -42, "业务异常: 库存不足");
            assert_thrown(php.call("/t/throw0", 1).await, 0, "plain message");
            let batch = channel.batch().call(php.call("/t/throw", 1)).call(php.call("/t/list", 1));
            let (bad, good) = batch.send().await.expect("results");
            assert_thrown(bad, 1231, "asbddddfds");
            assert_eq!(good.expect("a list"), value!([10, 20, 30]));
        }
        if original == Original::June2016 {
            for (name, value) in
                [("/t/null", Value::Null), ("/t/empty", value!([])), ("/t/int", i64::MIN.into())]
            {
                assert_eq!(php.call(name, Value::Null).await.expect(name), value);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn generated_clients_reach_its_servers_by_their_legacy_names() {
    with_every_server(async |_, channel| {
        let client = ReferenceClient::new(channel.clone());
        let kinds = Kinds { i64: i64::MIN, text: "你好".into(), numbers: vec![1, 2], ..Kinds::default() };
        assert_eq!(client.echo(kinds.clone()).await.expect("an answer"), kinds);
        let task = client.task(Word { word: "w".into() }).await.expect("an answer");
        let name = task.api.expect("the call").name;
        assert_eq!((&*task.r#type, &*name, task.guid.len()), ("SSS", "/t/task", 32));
        client.echo(kinds.clone()).no_result().await.expect("accepted");
        let sleep = client.sleep(SleepRequest { us: 1 });
        let (slept, echoed) =
            channel.batch().call(sleep).call(client.echo(kinds.clone())).send().await.expect("results");
        assert_eq!((slept.expect("slept").slept, echoed.expect("an answer")), (1, kinds));
    })
    .await;
}

#[tokio::test]
async fn what_the_time_could_not_say_is_an_error_before_it_is_sent() {
    with_every_server(async |original, channel| {
        let call = channel.dynamic().call("/t/list", 1);
        let one = call.deferred().await.map(drop);
        let several = channel.batch().call(channel.dynamic().call("/t/list", 1)).deferred().await.map(drop);
        for result in [one, several] {
            let status = result.expect_err("no word for it");
            assert_eq!((status.code(), status.origin()), (Code::Unimplemented, Origin::Local));
            assert!(status.is_unsent() && status.message().contains("deferred"), "{status}");
        }
        if original != Original::July2015 {
            let state = channel.control("getStat").await.expect("the state");
            let requests = state.get("server").and_then(|server| server.get("request_count"));
            assert_eq!(requests, Some(&1.into()), "nothing was sent but this");
        }
        let code = if original == Original::July2015 { 100_002 } else { 100_011 };
        let status = channel.control("reloadTask").await.expect_err("unknown then");
        assert_eq!((status.raw_code(), status.origin()), (code, Origin::Server));
    })
    .await;
}

/// What those servers never answer ends with the caller's own patience, and the
/// next call has a connection of its own.
#[tokio::test]
async fn silence_and_late_answers_cost_their_own_caller_alone() {
    with_every_server(async |original, channel| {
        let php = channel.dynamic();
        for round in 0..3 {
            let name = if original == Original::June2016 { "/t/error" } else { "/t/null" };
            let silent = php.call(name, 1).timeout(Duration::from_millis(60));
            assert_eq!(silent.await.expect_err("never answered").raw_code(), 100_009);
            assert_eq!(php.call("/t/echo", "own").await.expect("an answer"), "own".into());
            let late = php.call("/t/sleep", value!({ "us" => 80_000 })).timeout(Duration::from_millis(40));
            assert_eq!(late.await.expect_err("late").raw_code(), 100_009);
            let own = format!("own {round}");
            assert_eq!(php.call("/t/echo", own.as_str()).await.expect("an answer"), own.as_str().into());
        }
    })
    .await;
}

#[tokio::test]
async fn a_signature_that_differs_is_lost_data_to_its_caller() {
    let server = PhpServer::start(&Dialect::BARE.signed()).expect("the server starts");
    let other = Dialect { salt: Some(b"another".to_vec()), ..Dialect::BARE };
    let channel = endpoint(server.address(), &other).connect().await.expect("it listens");
    let status = channel.dynamic().call("/t/list", 1).await.expect_err("not its salt");
    assert_eq!((status.code(), status.origin()), (Code::DataLoss, Origin::Connection), "{status}");
}

#[tokio::test]
async fn rust_speaks_it_to_rust() {
    for dialect in Dialect::BARE.with_flags() {
        let channel = endpoint(server::start(&dialect).await, &dialect).connect().await.expect("it listens");
        let client = ReferenceClient::new(channel.clone());
        assert_eq!(client.echo(Kinds::default()).await.expect("an answer"), Kinds::default());
        let task = client.task(Word::default()).await.expect("an answer");
        assert_eq!(task.r#type, "SSS");
        assert_thrown(client.throw(()).await, 1231, "asbddddfds");
        let status = client.die(()).await.expect_err("it panics");
        assert_eq!((status.code(), status.origin()), (Code::Internal, Origin::Service));
        let (thrown, slept) = channel
            .batch()
            .call(client.throw_cn(()))
            .call(client.sleep(SleepRequest { us: 1 }))
            .send()
            .await
            .expect("results");
        assert_thrown(thrown, -42, "业务异常: 库存不足");
        assert_eq!(slept.expect("slept").slept, 1);
    }
}

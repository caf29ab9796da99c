//! Rust clients, typed and not, call a PHP server that has no types.

use std::time::{Duration, Instant};

use dora::{Call, Channel, Code, Origin, Value, value};
use dora_integration_tests::php::PhpServer;
use dora_integration_tests::raw::Dialect;
use futures_util::future::join_all;

use crate::reference::kinds::Choice;
use crate::reference::reference_client::ReferenceClient;
use crate::reference::{BigRequest, Color, Kinds, Leaf, SleepRequest, Word};
use crate::server::endpoint;

/// A PHP server in each dialect, and a channel to it.
async fn in_every_dialect(test: impl AsyncFn(Channel)) {
    for dialect in Dialect::all() {
        let server = PhpServer::start(&dialect).expect("the server starts");
        println!("{dialect:?}");
        let channel = endpoint(server.address(), &dialect).connect().await.expect("it listens");
        test(channel).await;
        assert_eq!(server.errors(), "", "{dialect:?}");
    }
}

fn leaf(name: &str) -> Leaf {
    Leaf { name: name.into(), leaves: vec![] }
}

fn kinds() -> Kinds {
    Kinds {
        flag: true,
        i32: -7,
        i64: i64::MIN,
        u32: u32::MAX,
        u64: u64::MAX,
        s64: -1,
        fixed: 5,
        f32: 0.1,
        f64: 0.1 + 0.2,
        text: "你好\0".into(),
        raw: (&b"\0bin\xff\xfe"[..]).into(),
        color: Color::Green.into(),
        leaf: Some(Leaf { name: "a".into(), leaves: vec![leaf("b"), leaf("")] }),
        numbers: vec![3, -1, 0],
        leaves: vec![leaf("x")],
        colors: vec![Color::Red.into(), 77],
        counts: [("5".to_owned(), 6)].into(),
        by_number: [(-3, leaf("minus"))].into(),
        maybe: Some(0),
        note: None,
        choice: Some(Choice::Number(0)),
        at: Some("2017-01-15T01:30:15Z".parse().expect("a timestamp")),
        took: Some(prost_types::Duration { seconds: 1, nanos: 500_000_000 }),
        extra: Some(prost_types::Struct { fields: [("k".to_owned(), true.into())].into() }),
        any: Some("any".to_owned().into()),
        list: Some(prost_types::ListValue { values: vec![1.into(), prost_types::Value::from(2.5)] }),
        nick: Some(String::new()),
        serial: Some(9),
        mask: Some(prost_types::FieldMask { paths: vec!["id".into(), "address.zip".into()] }),
        nothing: Some(()),
    }
}

/// The same as PHP has it.
fn kinds_in_php() -> Value {
    value!({
        "flag" => true,
        "i32" => -7,
        "i64" => i64::MIN,
        "u32" => 4_294_967_295_i64,
        "u64" => "18446744073709551615",
        "s64" => -1,
        "fixed" => 5,
        "f32" => 0.1,
        "f64" => 0.1 + 0.2,
        "text" => "你好\0",
        "raw" => &b"\0bin\xff\xfe"[..],
        "color" => 2,
        "leaf" => {
            "name" => "a",
            "leaves" => [{ "name" => "b", "leaves" => [] }, { "name" => "", "leaves" => [] }],
        },
        "numbers" => [3, -1, 0],
        "leaves" => [{ "name" => "x", "leaves" => [] }],
        "colors" => [1, 77],
        "counts" => { 5 => 6 },
        "by_number" => { -3 => { "name" => "minus", "leaves" => [] } },
        "maybe" => 0,
        "number" => 0,
        "at" => "2017-01-15T01:30:15Z",
        "took" => "1.500s",
        "extra" => { "k" => true },
        "any" => "any",
        "list" => [1, 2.5],
        "nick" => "",
        "serial" => 9,
        "mask" => "id,address.zip",
        "nothing" => [],
    })
}

#[tokio::test]
async fn values_go_and_come_as_they_are_in_every_mode() {
    in_every_dialect(async |channel| {
        let php = channel.dynamic();
        let param = value!({
            "float" => 1.0,
            "int" => i64::MIN,
            "bytes" => &b"\xff\0"[..],
            "nested" => [null, "你好", { 5 => "a", -3 => false }],
        });
        let came = php.call("/t/echo", param.clone()).await.expect("an answer");
        assert_eq!(came, param);
        php.call("/t/echo", 1).no_result().await.expect("accepted");
        let pending = php.call("/t/sleep", value!({ "us" => 20_000 })).deferred().await.expect("accepted");
        let meanwhile = php.call("/t/echo", "meanwhile").await.expect("an answer");
        assert_eq!(meanwhile, "meanwhile".into());
        let later = pending.await.expect("the result");
        assert_eq!(later, value!({ "slept" => 20_000 }));
        for (name, value) in [
            ("/t/null", Value::Null),
            ("/t/true", true.into()),
            ("/t/int", i64::MIN.into()),
            ("/t/float", (0.1 + 0.2).into()),
            ("/t/string", b"\xe4\xbd\xa0\xe5\xa5\xbd\0bin\xff\xfe".to_vec().into()),
            ("/t/list", value!([10, 20, 30])),
            ("/t/sparse", value!({ 5 => "a", 7 => "b", "k" => "c", -3 => "d" })),
            ("/t/empty", value!([])),
        ] {
            assert_eq!(php.call(name, Value::Null).await.expect(name), value, "{name}");
        }
    })
    .await;
}

#[tokio::test]
async fn messages_are_the_arrays_that_php_expects() {
    in_every_dialect(async |channel| {
        let in_php: Value = Call::<_, Kinds, Value>::named(channel.clone(), "/t/echo", kinds())
            .await
            .expect("what PHP was sent");
        assert_eq!(in_php, kinds_in_php());
        let client = ReferenceClient::new(channel);
        assert_eq!(client.echo(kinds()).await.expect("an answer"), kinds());
        assert_eq!(client.echo(Kinds::default()).await.expect("an answer"), Kinds::default());
    })
    .await;
}

#[tokio::test]
async fn typed_clients_use_the_legacy_names_in_every_mode() {
    in_every_dialect(async |channel| {
        let client = ReferenceClient::new(channel);
        let task = client.task(Word { word: "w".into() }).await.expect("an answer");
        let api = task.api.clone().expect("the call");
        assert_eq!((&*task.r#type, &*api.name), ("W_S", "/t/task"));
        assert_eq!((api.param, task.guid.len()), (Some(Word { word: "w".into() }), 32));

        client.sleep(SleepRequest { us: 1 }).no_result().await.expect("accepted");
        let pending = client.task(Word::default()).deferred().await.expect("accepted");
        assert_eq!(pending.await.expect("the result").r#type, "AM_S");
        let big = client.big(BigRequest { n: 1 << 20 }).await.expect("1 MiB");
        assert_eq!(big, "D".repeat(1 << 20));
    })
    .await;
}

#[tokio::test]
async fn exceptions_come_with_their_code_message_and_peer() {
    in_every_dialect(async |channel| {
        let client = ReferenceClient::new(channel.clone());
        for (result, code, message) in [
            (client.throw(()).await, 1231, "asbddddfds"),
            (client.throw_cn(()).await, -42, "业务异常: 库存不足"),
            (client.throw(()).deferred().await.expect("accepted").await, 1231, "asbddddfds"),
        ] {
            let status = result.expect_err("PHP throws");
            assert_eq!((status.raw_code(), status.message()), (code, message));
            assert_eq!((status.code(), status.origin()), (Code::Unknown, Origin::Service));
            assert_eq!(status.peer(), Some(channel.peer()));
        }
        let status = channel.control("nonsense").await.expect_err("an unknown command");
        assert_eq!((status.raw_code(), status.origin()), (100_011, Origin::Server));
        assert_eq!(status.peer(), Some(channel.peer()));
    })
    .await;
}

#[tokio::test]
async fn batches_run_side_by_side_and_fail_one_by_one() {
    in_every_dialect(async |channel| {
        let client = ReferenceClient::new(channel.clone());
        let sleep = |us| client.sleep(SleepRequest { us });
        let batch = || {
            let typed = channel.batch().call(sleep(600_000)).call(client.throw(()));
            typed.call(client.task(Word::default())).call(channel.dynamic().call("/t/echo", 5))
        };
        let start = Instant::now();
        let (slept, thrown, task, five) =
            batch().call(sleep(600_001)).send().await.map(first_four).expect("sent");
        assert!(start.elapsed() < Duration::from_millis(1_150), "one after the other: {:?}", start.elapsed());
        assert_eq!(slept.expect("slept").slept, 600_000);
        let status = thrown.expect_err("PHP throws");
        assert_eq!((status.raw_code(), status.origin()), (1231, Origin::Service));
        assert_eq!(status.peer(), Some(channel.peer()));
        assert_eq!(task.expect("a task").r#type, "W_M");
        assert_eq!(five.expect("five"), 5.into());

        batch().no_result().await.expect("accepted");
        let (slept, _, task, _) = batch().deferred().await.expect("accepted").await.expect("results");
        assert_eq!(slept.expect("slept").slept, 600_000);
        assert_eq!(task.expect("a task").r#type, "AM_M");
    })
    .await;
}

fn first_four<A, B, C, D, E>((a, b, c, d, _): (A, B, C, D, E)) -> (A, B, C, D) {
    (a, b, c, d)
}

#[tokio::test]
async fn large_values_go_both_ways() {
    let blob: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(1 << 20).collect();
    in_every_dialect(async |channel| {
        let echoed = channel.dynamic().call("/t/echo", blob.clone()).await.expect("an answer");
        assert!(echoed == blob.clone().into(), "1 MiB came back changed");
    })
    .await;
}

#[tokio::test]
async fn fifty_calls_share_one_connection() {
    for dialect in Dialect::all().into_iter().filter(|dialect| dialect.has_guid()) {
        let server = PhpServer::start(&dialect).expect("the server starts");
        let channel = endpoint(server.address(), &dialect).connect().await.expect("it listens");
        let client = ReferenceClient::new(channel.clone());
        let start = Instant::now();
        // The last one asked is the first one answered.
        let calls = (0..50).map(|n| {
            let client = client.clone();
            async move {
                let us = 100_000 - n * 1000;
                (us, client.sleep(SleepRequest { us }).await.expect("an answer").slept)
            }
        });
        for (asked, answered) in join_all(calls).await {
            assert_eq!(asked, answered);
        }
        assert!(start.elapsed() < Duration::from_secs(3), "one after the other: {:?}", start.elapsed());
        let state = channel.control("getStat").await.expect("the state");
        let count = |name| state.get("server").and_then(|server| server.get(name)).and_then(Value::as_int);
        assert_eq!((count("accept_count"), count("request_count")), (Some(1), Some(51)));
        assert_eq!(channel.dropped_answers().unknown, 0);
    }
}

//! A PHP client calls a typed service.

use std::time::Duration;

use dora_integration_tests::exact::Exact;
use dora_integration_tests::php::PhpClient;
use dora_integration_tests::raw::{Dialect, Generation};
use serde_json::json;

use crate::packets::{accepted, async_results, empty, ok, packet, run, single, thrown};
use crate::server;

#[tokio::test(flavor = "multi_thread")]
async fn arrays_arrive_as_messages_and_come_back_as_php_wants_them() {
    for dialect in Dialect::all().into_iter().chain(Dialect::BARE.with_flags()) {
        let address = server::start(&dialect).await;
        let client = PhpClient::new(address, dialect);
        let lines = client.run_script("typed.php", b"").expect("all arrays are as expected");
        let [line] = &lines[..] else { panic!("{lines:?}") };
        assert!(line.ends_with(" arrays"), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mode_works_in_every_dialect() {
    for dialect in Dialect::all() {
        let address = server::start(&dialect).await;
        let client = PhpClient::new(address, dialect.clone());
        let results = run(
            &client,
            &json!([
                {"call": "single", "name": "/t/sleep", "param": {"us": "1000"}},
                {"call": "single", "name": "/interop.v1.Reference/Sleep", "param": {"us": 1}},
                {"call": "multi", "calls": {
                    "slow": {"name": "/t/sleep", "param": {"us": 30_000}},
                    "bad": {"name": "/t/throw_cn"},
                }},
                {"call": "single", "name": "/t/sleep", "param": {"us": 1}, "mode": "noresult"},
                {"call": "single", "name": "/t/sleep", "param": {"us": 30_000}, "mode": "async"},
                {"call": "multi", "calls": {"a": {"name": "/t/throw"}}, "mode": "async"},
                {"call": "async"},
                {"call": "single", "name": "/t/throw"},
                {"call": "stat"},
                {"call": "reload"},
            ]),
        );
        let slept = |us: i64| Exact::map([("slept", us.into())]);
        assert_eq!(results[0], single(slept(1000)), "{dialect:?}");
        assert_eq!(results[1], single(slept(1)), "{dialect:?}");
        let multi = results[2].at(&["data", "data"]).expect("results");
        assert_eq!(multi.get("slow"), Some(&ok(slept(30_000))));
        assert_eq!(multi.get("bad"), Some(&packet(-42, "业务异常: 库存不足", empty())));
        for call in [3, 4, 5] {
            assert_eq!(results[call], accepted(), "{dialect:?}");
        }
        let [bad, slow] = async_results(&results[6])[..] else {
            panic!("{dialect:?}: {:?}", results[6]);
        };
        assert_eq!(bad.at(&["data", "a"]), Some(&packet(1231, "asbddddfds", empty())));
        assert_eq!(slow.get("data"), Some(&ok(slept(30_000))));
        assert_eq!(results[7], thrown(1231, "asbddddfds"), "{dialect:?}");
        for state in &results[8..] {
            assert_eq!(state.at(&["data", "server", "accept_count"]), Some(&1.into()), "{dialect:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_typed_service_cannot_answer_is_an_error_of_that_call_alone() {
    for dialect in [Dialect::GUID, Dialect::PLAIN, Dialect::BARE] {
        let address = server::start(&dialect).await;
        let client =
            PhpClient { timeout: Duration::from_secs(5), ..PhpClient::new(address, dialect.clone()) };
        let results = run(
            &client,
            &json!([
                {"call": "single", "name": "/t/error"},
                {"call": "single", "name": "/t/no_such_api"},
                {"call": "single", "name": "/t/tusk"},
                {"call": "single", "name": "/t/big", "param": {"n": 2_200_000}},
                {"call": "single", "name": "/t/sleep", "param": {"us": [1]}},
                {"call": "multi", "calls": {
                    "none": {"name": "/t/no_such_api"},
                    "bad": {"name": "/t/sleep", "param": {"us": "soon"}},
                    "good": {"name": "/t/task", "param": {"word": "still there"}},
                }},
            ]),
        );
        let about = format!("{dialect:?}: {results:?}");
        let told = [
            (100_213, "the handler panicked"),
            (100_212, "no method is called \"/t/no_such_api\""),
            (100_212, "no method is called \"/t/tusk\"; did you mean \"/t/task\"?"),
            (100_208, "the answer has "),
            (100_203, "not the message expected (php): us: "),
        ];
        let several = results[5].at(&["data", "data"]).expect("results");
        let single = results.iter().take(5).map(|result| result.at(&["data", "data"])).zip(told);
        let of_several = ["none", "bad"].map(|key| several.get(key));
        for (failed, (code, text)) in single.chain(of_several.into_iter().zip([told[1], told[4]])) {
            let failed = failed.expect("a packet");
            assert_eq!(failed.get("code"), Some(&Exact::Int(code)), "{about}");
            assert_eq!(failed.get("data"), Some(&empty()), "{about}");
            let Some(Exact::Str(message)) = failed.get("msg") else { panic!("{about}") };
            assert!(message.starts_with(text.as_bytes()), "{about}");
        }
        let good = several.get("good").expect("a result");
        let bare = dialect.generation == Generation::Bare;
        let task = if bare { good } else { good.get("data").expect("a task") };
        assert_eq!(task.get("type"), Some(&if bare { "SSM" } else { "W_M" }.into()), "{about}");
        let param = Exact::map([("word", "still there".into())]);
        let api = Exact::map([("name", "/t/task".into()), ("param", param)]);
        assert_eq!(task.get("api"), Some(&api), "{about}");
    }
}

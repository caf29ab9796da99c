//! What PHP peers take by default, ours take by default.

use std::time::Duration;

use dora::{Array, Value, value};
use dora_integration_tests::exact::Exact;
use dora_integration_tests::php::{PhpClient, PhpServer};
use dora_integration_tests::raw::{Dialect, Generation};
use serde_json::{Value as Json, json};

use crate::packets::{ok, run, single};
use crate::php_calls_legacy::legacy_server;
use crate::server::endpoint;

/// How long a call may take.
const SLOWEST: Duration = Duration::from_secs(60);

/// Each met a limit of ours once, and is under PHP's packet limit when compressed.
#[test]
fn many_calls_and_large_and_deep_parameters_are_taken() {
    for dialect in [Dialect::GUID, Dialect::PLAIN, Dialect::BARE].map(Dialect::gzip) {
        let (_server, address) = legacy_server(&dialect);
        let several: serde_json::Map<String, Json> =
            (0..1500).map(|n| (format!("k{n}"), json!({"name": "/t/true"}))).collect();
        let calls = json!([
            {"call": "single", "name": "/t/true", "letters": 9 << 20},
            {"call": "single", "name": "/t/true", "numbers": 530_000},
            {"call": "single", "name": "/t/true", "nested": 500},
            {"call": "multi", "calls": several},
        ]);
        // Without optimization they take their time.
        let client = PhpClient { timeout: SLOWEST, ..PhpClient::new(address, dialect.clone()) };
        let results = run(&client, &calls);
        let bare = dialect.generation == Generation::Bare;
        for (call, result) in results[..3].iter().enumerate() {
            let wanted = if bare { ok(ok(true.into())) } else { single(true.into()) };
            assert_eq!(*result, wanted, "{dialect:?}, call {call}");
        }
        let Some(Exact::Array(several)) = results[3].at(&["data", "data"]) else { panic!("{dialect:?}") };
        assert_eq!(several.len(), 1500, "{dialect:?}");
        let wanted = if bare { true.into() } else { ok(true.into()) };
        assert!(several.iter().all(|(_, result)| *result == wanted), "{dialect:?}");
    }
}

#[tokio::test]
async fn large_and_deep_answers_of_a_php_server_are_taken() {
    let dialect = Dialect::GUID.gzip();
    let server = PhpServer::start(&dialect).expect("the server starts");
    let channel = endpoint(server.address(), &dialect).connect().await.expect("it listens");
    let deep = (0..400).fold(Value::Null, |inner, _| value!([inner]));
    let many = Value::from((0..530_000_i64).map(|n| (n, 7_i64)).collect::<Array>());
    let large = Value::from("x".repeat(9 << 20));
    for param in [deep, many, large] {
        let call = channel.dynamic().call("/t/echo", param.clone()).timeout(SLOWEST);
        let answer = call.await.expect("an answer");
        assert!(answer == param, "it came back");
    }
    let calls = (0..1500_i64).fold(channel.dynamic().multi(), |multi, n| multi.call(n, "/t/echo", n));
    let results = calls.timeout(SLOWEST).send().await.expect("results");
    assert_eq!(results.len(), 1500);
    for (n, (_, result)) in (0_i64..).zip(results) {
        assert_eq!(result.expect("an answer"), Value::from(n));
    }
    assert_eq!(server.errors(), "");
}

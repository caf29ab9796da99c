//! What a PHP client returns, put together and taken apart.

use dora_integration_tests::exact::Exact;
use dora_integration_tests::php::PhpClient;
use dora_integration_tests::vectors::Outcome;
use serde_json::Value;

/// The `msg` of an accepted call.
pub(crate) const ACCEPTED: &str = "transfer success.已经成功投递";

/// Runs `calls` and returns what they returned, without the guids.
pub(crate) fn run(client: &PhpClient, calls: &Value) -> Vec<Exact> {
    let returned = |outcome| match outcome {
        Outcome::Returned(value) => without_guids(&value),
        other => panic!("{other:?}"),
    };
    let outcomes = client.run(calls).expect("the client runs");
    outcomes.into_iter().map(returned).collect()
}

fn without_guids(value: &Exact) -> Exact {
    let Exact::Array(entries) = value else {
        return value.clone();
    };
    let guid = Exact::from("guid");
    let others = entries.iter().filter(|(key, _)| *key != guid);
    Exact::Array(others.map(|(key, value)| (key.clone(), without_guids(value))).collect())
}

pub(crate) fn packet(code: i64, msg: &str, data: Exact) -> Exact {
    Exact::map([("code", code.into()), ("msg", msg.into()), ("data", data)])
}

pub(crate) fn ok(data: Exact) -> Exact {
    packet(0, "OK", data)
}

pub(crate) fn empty() -> Exact {
    Exact::Array(Vec::new())
}

/// What a single waited call returns: three layers around the value.
pub(crate) fn single(value: Exact) -> Exact {
    ok(ok(ok(value)))
}

/// What a single waited call returns whose API threw.
pub(crate) fn thrown(code: i64, msg: &str) -> Exact {
    ok(ok(packet(code, msg, empty())))
}

/// What a call returns that waits for no result.
pub(crate) fn accepted() -> Exact {
    ok(packet(100_001, ACCEPTED, empty()))
}

/// The value under an int key of an array.
pub(crate) fn numbered(array: &Exact, key: i64) -> Option<&Exact> {
    let Exact::Array(entries) = array else { return None };
    entries.iter().find(|(k, _)| *k == Exact::Int(key)).map(|(_, value)| value)
}

/// The packets in the answer of `getAsyncData`, in the order they came.
pub(crate) fn async_results(answer: &Exact) -> Vec<&Exact> {
    match answer.get("data") {
        Some(Exact::Array(results)) => results.iter().map(|(_, packet)| packet).collect(),
        other => panic!("{other:?}"),
    }
}

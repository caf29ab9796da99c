//! Every recorded request gets the recorded answer, or the better one that the
//! specification asks for where the original fell silent or over.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use dora::Generation;
use dora::http::Forms;
use serde_json::{Value, json};

use crate::host::{LegacyServer, reference, serve};
use crate::http::{Answer, Peer, post};

/// The cases of a recording, with their names.
fn cases(file: &str) -> Vec<(String, Vec<Value>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/http").join(file);
    let text = fs::read_to_string(path).expect("it is there");
    let recording: Value = serde_json::from_str(&text).expect("JSON");
    let cases = recording["cases"].as_array().expect("cases").iter();
    let case = |case: &Value| {
        let exchange = case["exchange"].as_array().expect("an exchange").clone();
        (case["name"].as_str().expect("a name").to_owned(), exchange)
    };
    cases.map(case).collect()
}

fn bytes(event: &Value) -> Vec<u8> {
    const_hex::decode(event["hex"].as_str().expect("bytes")).expect("hex")
}

#[test]
fn what_was_recorded_of_the_newest_is_answered_so() {
    let server = LegacyServer::start();
    let mut seen = 0;
    for file in ["php71.json", "php82.json"] {
        for (name, exchange) in cases(file) {
            replay(server.http, &format!("{file} {name}"), &exchange);
            seen += 1;
        }
    }
    assert_eq!(seen, 76, "recorded cases");
}

#[test]
fn what_was_recorded_of_2016_is_answered_so() {
    let door = Forms::new().generation(Generation::Plain).open_control().any_origin();
    let address = serve(reference(), door);
    let mut seen = 0;
    for file in ["plain.json", "plain0415.json"] {
        for (name, exchange) in cases(file) {
            replay(address, &format!("{file} {name}"), &exchange);
            seen += 1;
        }
    }
    assert_eq!(seen, 22, "recorded cases");
}

fn replay(address: SocketAddr, name: &str, exchange: &[Value]) {
    let mut peer = Peer::connect(address);
    let mut closed = false;
    for (place, event) in exchange.iter().enumerate() {
        if event["dir"] != "c2s" {
            continue;
        }
        peer.send(&bytes(event));
        let recorded = exchange.get(place + 1).filter(|next| next["dir"] == "s2c").map(bytes);
        let recorded = recorded.and_then(|bytes| Some(Answer::parse(&bytes)?.0));
        let answer = peer.answer();
        compare(name, &answer, recorded.as_ref());
        closed = answer.status != 200 || exchange.len() > place + 2 && recorded.is_some_and(|it| it.closes());
    }
    if closed {
        peer.expect_close();
    } else {
        let alive = json!({ "guid": "g", "api": { "a": { "name": "/t/echo", "param": "alive" } } });
        peer.send(&post("/api/multisync", &alive, ""));
        assert_eq!(peer.answer().json()["data"]["a"]["data"], "alive", "{name}: the connection stays open");
    }
}

impl Answer {
    fn closes(&self) -> bool {
        self.headers.get("connection").is_some_and(|connection| connection == "close")
    }
}

fn compare(name: &str, answer: &Answer, recorded: Option<&Answer>) {
    if name.ends_with("err-malformed-http") {
        assert_eq!(answer.status, 400, "{name}");
        return;
    }
    assert_eq!(answer.status, 200, "{name}");
    let kind = answer.headers.get("content_type").map(String::as_str);
    assert_eq!(kind, Some("application/json; charset=utf-8"), "{name}");
    let ours = answer.json();
    let said = recorded.filter(|recorded| !recorded.body.is_empty());
    let Some(recorded) = said.map(Answer::json) else { return better(name, &ours) };
    if recorded["data"]["server"].is_object() {
        return assert_stats(name, &ours, &recorded);
    }
    assert_eq!(alike(&ours), alike(&recorded), "{name}");
}

/// Where PHP said nothing.
fn better(name: &str, ours: &Value) {
    const GUID: &str = "abcdefabcdefabcdefabcdefabcdefab";
    assert_eq!(ours["guid"], GUID, "{name}");
    if name.contains("-cmd-") {
        let unknown = json!({ "guid": GUID, "code": 100_011, "msg": "unknow cmd", "data": [] });
        assert_eq!(ours, &unknown, "{name}");
    } else if name.contains("err-api-string") {
        let message = "Parameter was not set or wrong";
        assert_eq!(ours, &json!({ "guid": GUID, "code": 100_004, "msg": message, "data": [] }), "{name}");
    } else {
        assert!(name.contains("result-binary") || name.contains("service-error"), "{name}");
        assert_eq!((&ours["code"], &ours["msg"]), (&json!(0), &json!("OK")), "{name}");
        let call = &ours["data"]["b"];
        assert!(call["code"] != 0 && call["code"].is_i64(), "{name}: {call}");
        assert_eq!((&call["guid"], &call["data"]), (&json!(GUID), &json!([])), "{name}");
    }
}

/// `getStat` differs from run to run; what its callers look at is there.
fn assert_stats(name: &str, ours: &Value, recorded: &Value) {
    for field in ["guid", "code", "msg"] {
        assert_eq!(ours[field], recorded[field], "{name}");
    }
    let shown =
        ["start_time", "connection_num", "accept_count", "close_count", "tasking_num", "request_count"];
    for number in shown {
        assert!(ours["data"]["server"][number].is_u64(), "{name}: {number} in {ours}");
    }
    for number in ["queue_num", "queue_bytes"] {
        assert!(ours["data"]["logqueue"][number].is_u64(), "{name}: {number} in {ours}");
    }
}

/// How a number is written is free: PHP writes 2.0 as 2.
fn alike(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(values) => values.iter().map(alike).collect(),
        Value::Object(members) => members.iter().map(|(key, value)| (key.clone(), alike(value))).collect(),
        other => other.clone(),
    }
}

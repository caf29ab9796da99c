//! Every recorded request gets the recorded answer, or the better one that the
//! specification asks for where the original fell silent.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::host::{LegacyServer, Peer, V1, V2, call, first};

fn cases(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/swoft").join(file);
    let text = fs::read_to_string(path).expect("it is there");
    let recording: Value = serde_json::from_str(&text).expect("JSON");
    recording["cases"].as_array().expect("cases").clone()
}

fn bytes(packet: &Value) -> Vec<u8> {
    const_hex::decode(packet["hex"].as_str().expect("bytes")).expect("hex")
}

fn decoded(packet: &Value) -> Value {
    serde_json::from_slice(bytes(packet).trim_ascii()).expect("JSON")
}

#[test]
fn what_was_recorded_of_2_x_is_answered_so() {
    let server = LegacyServer::start();
    let mut seen = 0;
    for case in cases("v2-jsonrpc.json") {
        let name = case["name"].as_str().expect("a name");
        // What PHP cannot send is sent by nobody.
        if name == "v2-encode-throws" {
            continue;
        }
        seen += 1;
        let mut peer = Peer::connect(server.v2, V2);
        peer.send(&bytes(&case["request"]));
        match (name, &case["response"]) {
            // The texts of PHP name files and lines.
            ("v2-too-few-args", response) => {
                let ours = peer.frame();
                assert_eq!(ours["error"]["code"], decoded(response)["error"]["code"], "{name}: {ours}");
                let message = ours["error"]["message"].as_str().expect("a message");
                assert!(!message.contains(".rs") && !message.contains("line"), "{message}");
            }
            (_, Value::Null) => better(name, &mut peer),
            (_, response) => assert_eq!(alike(&peer.frame()), alike(&decoded(response)), "{name}"),
        }
        assert_eq!(peer.ask(&call("delete", "[122]")), json!({ "jsonrpc": "2.0", "result": true }), "{name}");
    }
    assert!(seen >= 24, "{seen} recorded cases");
}

/// Where PHP said nothing.
fn better(name: &str, peer: &mut Peer) {
    let code = match name {
        "v2-raw-not-json" => -32_700,
        "v2-raw-empty-object" | "v2-raw-method-two-parts" | "v2-raw-batch" => -32_600,
        "v2-raw-params-string" => -32_602,
        "v2-result-not-utf8" => -32_603,
        "v2-raw-two-in-one-segment" => {
            let answers = [peer.frame(), peer.frame()];
            let result = |result| json!({ "jsonrpc": "2.0", "result": result });
            return assert_eq!(answers, [result(false), result(true)]);
        }
        // Nothing until the end comes: both together are one document.
        "v2-raw-single-crlf-is-not-the-end" => {
            let answer = peer.ask(&call("delete", "[122]"));
            return assert_eq!(answer["error"]["code"], -32_700, "{answer}");
        }
        name => panic!("{name} has no answer"),
    };
    let answer = peer.frame();
    assert_eq!(answer["error"]["code"], code, "{name}: {answer}");
    let mut members: Vec<_> = answer.as_object().expect("an object").keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["error", "jsonrpc"], "{name}");
}

#[test]
fn what_was_recorded_of_1_x_is_answered_so() {
    let server = LegacyServer::start();
    let mut seen = 0;
    for case in cases("v1-json-eof.json") {
        let name = case["name"].as_str().expect("a name");
        if case["request"].is_null() {
            continue;
        }
        seen += 1;
        let mut peer = Peer::connect(server.v1, V1);
        peer.send(&bytes(&case["request"]));
        let (ours, theirs) = (peer.frame(), decoded(&case["response"]));
        assert_eq!(ours["status"], theirs["status"], "{name}: {ours}");
        assert_eq!(alike(&ours["data"]), alike(&theirs["data"]), "{name}");
        // PHP appends file and line. What is no request it describes in words of its own.
        let (message, recorded) =
            (ours["msg"].as_str().expect("text"), theirs["msg"].as_str().expect("text"));
        if !name.contains("raw-not-json") && !name.contains("raw-empty") {
            let said = recorded.split(" /srv").next().unwrap_or_default().trim_end();
            assert_eq!(message, said, "{name}");
        }
        assert_eq!(
            peer.ask(&first("list3", "[]"))["data"],
            json!([1, 2.5, "x"]),
            "{name}: the connection stays"
        );
    }
    assert!(seen >= 10, "{seen} recorded cases");
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

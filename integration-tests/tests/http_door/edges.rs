//! What is too much, too slow, or not what it says.

use std::time::Duration;

use dora::http::Forms;
use dora::{Request, Server, Value as Dynamic};
use serde_json::{Value, json};

use crate::host::{reference, serve};
use crate::http::{Peer, encoded, form, post};

/// A form with these `params`, and what it was answered.
fn ask(peer: &mut Peer, path: &str, params: &str) -> Value {
    peer.send(&form(path, &format!("guid=form&params={}", encoded(params)), ""));
    peer.answer().json()
}

#[test]
fn guids_are_answered_as_they_stand_in_the_params() {
    let mut peer = Peer::connect(serve(reference(), Forms::new()));
    for guid in [json!("g"), json!(7), json!(""), json!(0), json!(1.5), json!("\u{4f60}\n"), json!(false)] {
        let params = json!({ "guid": guid, "api": { "t": { "name": "/t/task" } } }).to_string();
        let answer = ask(&mut peer, "/api/multisync", &params);
        assert_eq!((&answer["guid"], &answer["data"]["t"]["guid"]), (&guid, &guid), "{answer}");
        let task = &answer["data"]["t"]["data"];
        assert_eq!((&task["guid"], &task["protocol"]), (&guid, &json!("http")), "{answer}");
    }
}

#[test]
fn wrong_params_are_named_as_the_original_names_them() {
    let mut peer = Peer::connect(serve(reference(), Forms::new()));
    let deep = format!(r#"{{"guid":"g","api":{}1{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    for (params, guid) in [
        ("", Value::Null),
        ("7", Value::Null),
        (r#"[{"guid":"g","api":[1]}]"#, Value::Null),
        (r#"{"guid":null,"api":{"a":{}}}"#, Value::Null),
        (r#"{"guid":"g","api":7}"#, json!("g")),
        (r#"{"guid":"g","api":null}"#, json!("g")),
        (r#"{"guid":"g","api":{}} trailing"#, Value::Null),
        (r#"{"guid":"\ud800","api":{"a":{}}}"#, Value::Null),
        (&deep, Value::Null),
    ] {
        let answer = ask(&mut peer, "/api/multisync", params);
        let shown = params.chars().take(80).collect::<String>();
        assert_eq!(
            (&answer["code"], &answer["guid"], &answer["data"]),
            (&json!(100_004), &guid, &json!([])),
            "{shown}"
        );
    }
    // Bytes that are no text.
    peer.send(&form("/api/multisync", "guid=1&params=%7B%22guid%22%3A%22%ff%22%7D", ""));
    assert_eq!(peer.answer().json()["code"], 100_004);
    // The last of equal keys stands, as in PHP.
    let twice = r#"{"guid":"a","guid":"g","api":7,"api":{"a":{"name":"/t/null","name":"/t/true"}}}"#;
    let answer = ask(&mut peer, "/api/multisync", twice);
    assert_eq!((&answer["guid"], &answer["data"]["a"]["data"]), (&json!("g"), &json!(true)), "{answer}");
}

#[test]
fn a_call_that_json_cannot_hold_fails_alone() {
    let mut peer = Peer::connect(serve(reference(), Forms::new()));
    let params = r#"{"guid":"g","api":{"big":{"name":"/t/echo","param":[1e999]},"odd":7,
        "bad":{"name":"/t/string"},"dies":{"name":"/t/error"},"good":{"name":"/t/echo","param":"x"}}}"#;
    let answer = ask(&mut peer, "/api/multisync", params);
    assert_eq!(answer["code"], 0);
    for key in ["big", "bad", "dies"] {
        let call = &answer["data"][key];
        assert!(call["code"] != 0 && call["data"] == json!([]), "{key}: {call}");
    }
    assert_eq!(answer["data"]["good"]["data"], "x");
    assert_eq!(answer["data"]["odd"]["data"]["hehe"], "ohyes123", "a call without a name is one of no name");
}

#[test]
fn what_is_too_large_is_refused_and_closed() {
    let address = serve(reference(), Forms::new());
    let body = |length: usize| format!("guid=1&other={}", "x".repeat(length - 13));
    let mut peer = Peer::connect(address);
    peer.send(&form("/api/multisync", &body(2 << 20), ""));
    assert_eq!(peer.answer().json()["code"], 100_003, "as much as may be");
    let mut peer = Peer::connect(address);
    peer.send(&form("/api/multisync", &body((2 << 20) + 1), ""));
    // It is not read to its end, so that the peer may see only the close.
    if let Some(answer) = peer.answer_or_close() {
        assert_eq!(answer.status, 413);
        peer.expect_close();
    }
    let mut peer = Peer::connect(address);
    peer.send(b"POST /api/multisync HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunk = [b"10000\r\n".to_vec(), vec![b'x'; 0x1_0000], b"\r\n".to_vec()].concat();
    (0..33).for_each(|_| peer.send(&chunk));
    if let Some(answer) = peer.answer_or_close() {
        assert_eq!(answer.status, 413);
        peer.expect_close();
    }
    let mut peer = Peer::connect(address);
    let header = format!("X-Large: {}\r\n", "x".repeat(70 << 10));
    peer.send(&post("/api/multisync", &json!({}), &header));
    if let Some(answer) = peer.answer_or_close() {
        assert_eq!(answer.status, 431);
        peer.expect_close();
    }
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    let address = serve(reference(), Forms::new());
    for head in [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 5, 6\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Content-Length : 5\r\n",
        "X: a\r\n b\r\n",
    ] {
        let mut peer = Peer::connect(address);
        peer.send(
            format!(
                "POST /api/multisync HTTP/1.1\r\nHost: here\r\n{head}\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n"
            )
            .as_bytes(),
        );
        if let Some(answer) = peer.answer_or_close() {
            assert_eq!(answer.status, 400, "{head:?}");
            peer.expect_close();
        }
    }
}

#[test]
fn who_is_slow_is_not_waited_for() {
    let server = || reference().frame_timeout(Duration::from_millis(200));
    let address = serve(server(), Forms::new());
    let mut silent = Peer::connect(address);
    let mut head = Peer::connect(address);
    head.send(b"POST /api/multisync HT");
    let mut body = Peer::connect(address);
    body.send(b"POST /api/multisync HTTP/1.1\r\nHost: here\r\nContent-Length: 10\r\n\r\nguid");
    assert_eq!(body.answer().status, 408);
    body.expect_close();
    for peer in [&mut silent, &mut head] {
        if let Some(answer) = peer.answer_or_close() {
            assert_eq!(answer.status, 408);
            peer.expect_close();
        }
    }
}

#[test]
fn who_has_said_all_is_answered() {
    let mut peer = Peer::connect(serve(reference(), Forms::new()));
    let params = json!({ "guid": "g", "api": { "a": { "name": "/t/sleep", "param": { "us": 50_000 } } } });
    peer.send(&post("/api/multisync", &params, ""));
    peer.finish_sending();
    assert_eq!(peer.answer().json()["data"]["a"]["data"]["slept"], 50_000);
    peer.expect_close();
}

#[test]
fn the_limits_and_layers_of_the_server_hold() {
    let slow = |request: Request<Dynamic>| async move {
        tokio::time::sleep(Duration::from_secs(3600)).await;
        Ok(request.into_body())
    };
    let server =
        Server::builder().dynamic(slow).call_timeout(Duration::from_millis(50)).max_calls_per_connection(2);
    let mut peer = Peer::connect(serve(server, Forms::new()));
    let call = json!({ "name": "/slow" });
    let timed = ask(&mut peer, "/api/multisync", &json!({ "guid": 1, "api": [call, call] }).to_string());
    assert_eq!(timed["data"][1]["code"], 100_009, "{timed}");
    let many = json!({ "guid": 1, "api": [call, call, call] }).to_string();
    for path in ["/api/multisync", "/api/multinoresult"] {
        let shed = ask(&mut peer, path, &many);
        assert!(shed["msg"].as_str().is_some_and(|it| it.contains("max_calls_per_connection")), "{shed}");
        assert_eq!((&shed["guid"], &shed["data"]), (&json!(1), &json!([])), "{shed}");
    }
}

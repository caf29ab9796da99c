//! What is not recorded, as the specification has it.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::host::{LegacyServer, Peer, V1, V2, call, first};

#[test]
fn the_reference_service_of_2_x_is_complete() {
    let server = LegacyServer::start();
    let mut peer = Peer::connect(server.v2, V2);
    let mut result = |method: &str, params: &str| peer.ask(&call(method, params))["result"].clone();
    assert_eq!(result("GETLIST", r#"[1,{}]"#), json!({ "name": ["list"], "v": "1.0", "uid": 1, "type": [] }));
    assert_eq!(result("opt", "[1,2]"), 3);
    assert_eq!(result("opt", "[1,2,3]"), 3, "those beyond the last are left out");
    assert_eq!(result("obj", "[]")["o"], json!({ "a": 1, "list": [] }));
    assert_eq!(result("echo", r#"["a\r\n\r\nb"]"#), "a\r\n\r\nb");
    assert_eq!(result("returnNull", "null"), Value::Null);
    let other = call("getList", "[1,2]").replace("1.0::", "1.2::");
    assert_eq!(peer.ask(&other)["result"], json!({ "name": ["list2"], "v": "1.2" }));
    let more = call("delete", "[122]").replace("::delete", "::delete::more");
    assert_eq!(peer.ask(&more)["result"], true);
    for (params, code) in [("[1.0]", 0), (r#"["1"]"#, 0), ("[]", 0), ("7", -32_602), (r#""x""#, -32_602)] {
        assert_eq!(peer.ask(&call("delete", params))["error"]["code"], code, "{params}");
    }
    for code in [-5, 0, 1231] {
        let answer = peer.ask(&call("coded", &format!("[{code}]")));
        assert_eq!(answer["error"], json!({ "code": code, "message": "带中文的错误" }));
    }
}

#[test]
fn what_is_no_request_of_2_x_is_said_and_the_connection_stays() {
    let server = LegacyServer::start();
    let mut peer = Peer::connect(server.v2, V2);
    let deep = format!(r#"{{"method":"1.0::I::m","params":{}{}}}"#, "[".repeat(9000), "]".repeat(9000));
    for (request, code) in [
        ("", -32_700),
        (" ", -32_700),
        ("{", -32_700),
        ("tru", -32_700),
        (&deep, -32_700),
        ("7", -32_600),
        ("null", -32_600),
        (r#""text""#, -32_600),
        ("[]", -32_600),
        (r#"{"method":7}"#, -32_600),
        (r#"{"method":"1.0::::m"}"#, -32_600),
        (r#"{"method":"1.0::I::"}"#, -32_600),
        (r#"{"method":"::I::m"}"#, -32_600),
    ] {
        let answer = peer.ask(request);
        let shown = request.chars().take(60).collect::<String>();
        assert_eq!(answer["error"]["code"], code, "{shown:?}: {answer}");
    }
    peer.send(b"\xff\xfe{}\r\n\r\n");
    assert_eq!(peer.frame()["error"]["code"], -32_700);
    peer.send(b"{\"method\":\"1.0::I\xff::m\"}\r\n\r\n");
    assert_eq!(peer.frame()["error"]["code"], -32_700);
    assert_eq!(peer.ask(&call("delete", "[122]"))["result"], true);
}

#[test]
fn the_reference_service_of_1_x_is_complete() {
    let server = LegacyServer::start();
    let mut peer = Peer::connect(server.v1, V1);
    let good = |data: Value| json!({ "data": data, "status": 200, "msg": "" });
    assert_eq!(peer.ask(&first("nothing", "[]")), good(Value::Null));
    assert_eq!(peer.ask(&first("falseValue", "[]")), good(json!(false)));
    assert_eq!(peer.ask(&first("emptyString", "[]")), good(json!("")));
    let newer = first("getUser", r#"["x"]"#).replace(r#""0""#, r#""1.0.1""#);
    assert_eq!(peer.ask(&newer), good(json!({ "id": "x", "name": "用户/1" })));
    let bad = |status: i64, msg: &str| json!({ "data": "", "status": status, "msg": msg });
    assert_eq!(peer.ask(&first("boom", "[]")), bad(500_123, "boom 失败"));
    assert_eq!(peer.ask(&first("boom0", "[]")), bad(0, "no code"));
    assert_eq!(peer.ask(&first("code200", "[]")), bad(200, "an error with code 200"));
    let unknown = r"The getUser of App\Lib\DemoInterface 9 is not exist!";
    assert_eq!(peer.ask(&first("getUser", "[1]").replace(r#""0""#, r#""9""#)), bad(0, unknown));
    for request in ["", "nope", "[]", "{}", &first("bin", "[]"), &first("getUser", "[]")] {
        let answer = peer.ask(request);
        assert_eq!((&answer["status"], &answer["data"]), (&json!(0), &json!("")), "{request:?}: {answer}");
        assert_ne!(answer["msg"], "", "{request:?}");
    }
}

#[test]
fn bytes_that_trickle_are_one_request() {
    let server = LegacyServer::start();
    let mut peer = Peer::connect(server.v2, V2);
    for byte in format!("{}\r\n\r\n", call("delete", "[122]")).bytes() {
        peer.send(&[byte]);
        thread::sleep(Duration::from_micros(200));
    }
    assert_eq!(peer.frame()["result"], true);
}

#[test]
fn a_request_that_is_too_long_is_said_and_closed() {
    let server = LegacyServer::start();
    let mut peer = Peer::connect(server.v2, V2);
    let letters = |count: usize| call("echo", &format!(r#"["{}"]"#, "x".repeat(count)));
    let room = (2 << 20) - letters(0).len();
    assert_eq!(peer.ask(&letters(room))["result"].as_str().map(str::len), Some(room), "as long as may be");
    peer.send(format!("{}\r\n\r\n", letters(room + 1)).as_bytes());
    if let Some(answer) = peer.frame_or_close() {
        assert_eq!(answer["error"]["code"], -32_600, "{answer}");
        peer.expect_close();
    }
}

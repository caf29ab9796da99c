//! Callers in PHP, with PHP's own JSON.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use dora_integration_tests::process::Process;
use dora_integration_tests::raw::PATIENCE;
use serde_json::{Value, json};

use crate::host::LegacyServer;

/// What PHP makes of the answers to `calls`, one after the other on one connection.
pub(crate) fn answers(address: SocketAddr, generation: &str, calls: &[Value]) -> Vec<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("php/swoft_client.php");
    let address = address.to_string();
    let mut php = Process::spawn(Command::new("php").arg(script).args([&address, generation])).expect("php");
    let lines: String = calls.iter().map(|call| format!("{call}\n")).collect();
    php.feed(lines.as_bytes()).expect("it reads");
    let answer = |_| {
        let line = php.line(PATIENCE).expect("a line").unwrap_or_else(|| panic!("{}", php.errors()));
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line:?}"))
    };
    calls.iter().map(answer).collect()
}

#[test]
fn php_calls_2_x() {
    let server = LegacyServer::start();
    let call = |method: &str, params: Value| {
        let interface = r"App\Rpc\Lib\DemoInterface";
        json!({ "interface": interface, "version": "1.0", "method": method, "params": params })
    };
    let strange =
        json!({ "名": "张三/😀", "q": "a\"b\\c\r\n\r\n\u{2028}", "list": [1, -5, 0.1, null, true, [], "5"] });
    let calls = [
        call("getList", json!([12, "type2"])),
        call("echo", json!([strange])),
        call("float", json!([])),
        call("delete", json!(["12"])),
        call("error", json!([])),
        call("coded", json!([-3])),
        call("bin", json!([])),
        call("noSuch", json!([])),
        call("obj", json!([])),
    ];
    let answers = answers(server.v2, "2", &calls);
    assert_eq!(answers[0]["result"], json!({ "name": ["list"], "v": "1.0", "uid": 12, "type": "type2" }));
    assert_eq!(answers[1]["result"], strange);
    assert_eq!(answers[2]["result"], json!(0.1 + 0.2));
    assert_eq!(answers[3]["error"]["code"], 0, "PHP ran with strict types");
    assert_eq!(answers[4]["error"], json!({ "code": 324_231, "message": "error message" }));
    assert_eq!(answers[5]["error"], json!({ "code": -3, "message": "带中文的错误" }));
    assert_eq!(answers[6]["error"]["code"], -32_603);
    let missing = r"Method(App\Rpc\Lib\DemoInterface::noSuch) is not founded!";
    assert_eq!(answers[7]["error"], json!({ "code": -32_601, "message": missing }));
    assert_eq!(answers[8]["result"], json!({ "o": { "a": 1, "list": [] }, "e": [] }));
}

#[test]
fn php_calls_1_x() {
    let server = LegacyServer::start();
    let call = |method: &str, params: Value| json!({ "interface": r"App\Lib\DemoInterface", "version": "1.0.1", "method": method, "params": params });
    let calls =
        [call("getUser", json!([{ "名": "é/😀" }])), call("boom", json!([])), call("list3", json!([]))];
    let answers = answers(server.v1, "1", &calls);
    let user = json!({ "id": { "名": "é/😀" }, "name": "用户/1" });
    assert_eq!(answers[0], json!({ "data": user, "status": 200, "msg": "" }));
    assert_eq!(answers[1], json!({ "data": "", "status": 500_123, "msg": "boom 失败" }));
    assert_eq!(answers[2]["data"], json!([1, 2.5, "x"]));
}

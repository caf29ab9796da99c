//! Callers that are not ours.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::host::LegacyServer;

/// What a program says, that must end well.
fn said(command: &mut Command) -> Value {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {said}\n{errors}");
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error} in {said:?}\n{errors}"))
}

fn params() -> Value {
    let echo =
        json!({ "name": "/t/echo", "param": { "text": "a&b=c+d %41 你好", "list": [1, 2.5, null, true] } });
    json!({ "guid": "0123456789abcdef0123456789abcdef", "api": {
        "echo": echo, "bad": { "name": "/t/throw" }, "slow": { "name": "/t/sleep", "param": { "us": 1000 } },
    } })
}

fn check(answer: &Value) {
    assert_eq!((&answer["code"], &answer["guid"]), (&json!(0), &params()["guid"]), "{answer}");
    assert_eq!(answer["data"]["echo"]["data"], params()["api"]["echo"]["param"], "{answer}");
    assert_eq!((&answer["data"]["bad"]["code"], &answer["data"]["bad"]["data"]), (&json!(1231), &json!([])));
    assert_eq!(answer["data"]["slow"]["data"], json!({ "slept": 1000 }));
}

#[test]
fn curl_calls() {
    let server = LegacyServer::start();
    let url = format!("http://{}/api/multisync", server.http);
    let params = format!("params={}", params());
    for fields in [["--data", "guid=1", "--data-urlencode"], ["--form-string", "guid=1", "--form-string"]] {
        let mut curl = Command::new("curl");
        check(&said(
            curl.args(["--silent", "--show-error", "--noproxy", "*", &url]).args(fields).arg(&params),
        ));
    }
    // Several on one connection; with a body of over 1 KiB curl asks first (`Expect`).
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--noproxy", "*", "--http1.1", "-H", "Expect: 100-continue"]);
    check(&said(curl.args(["--data", "guid=1", "--data-urlencode", &params, &url])));
}

#[test]
fn python_calls() {
    let server = LegacyServer::start();
    let script = "import sys, urllib.parse, urllib.request\n\
        body = urllib.parse.urlencode({'guid': '1', 'params': sys.argv[2]}).encode()\n\
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))\n\
        sys.stdout.write(opener.open(sys.argv[1], body, 30).read().decode())";
    let url = format!("http://{}/api/multisync", server.http);
    check(&said(Command::new("python3").args(["-c", script, &url, &params().to_string()])));
}

#[test]
fn requests_of_python_call() {
    let server = LegacyServer::start();
    let script = "import sys, requests\n\
        session = requests.Session()\n\
        session.trust_env = False\n\
        fields = {'guid': '1', 'params': sys.argv[2]}\n\
        form = session.post(sys.argv[1], data=fields, timeout=30)\n\
        parts = session.post(sys.argv[1], files={k: (None, v) for k, v in fields.items()}, timeout=30)\n\
        assert form.headers['content-type'] == 'application/json; charset=utf-8', form.headers\n\
        assert form.json() == parts.json(), [form.json(), parts.json()]\n\
        sys.stdout.write(form.text)";
    let url = format!("http://{}/api/multisync", server.http);
    check(&said(Command::new("python3").args(["-c", script, &url, &params().to_string()])));
}

#[test]
fn php_calls() {
    let server = LegacyServer::start();
    let script = "$form = ['method' => 'POST', 'timeout' => 30, 'ignore_errors' => true,\n\
            'header' => 'Content-Type: application/x-www-form-urlencoded',\n\
            'content' => http_build_query(['guid' => '1', 'params' => $argv[2]])];\n\
        $answer = file_get_contents($argv[1], false, stream_context_create(['http' => $form]));\n\
        $value = json_decode($answer, true, 512, JSON_THROW_ON_ERROR);\n\
        echo json_encode($value, JSON_THROW_ON_ERROR | JSON_PRESERVE_ZERO_FRACTION);";
    let call = |path: &str, params: &Value| {
        let url = format!("http://{}/{path}", server.http);
        said(Command::new("php").args(["-r", script, "--", &url, &params.to_string()]))
    };
    check(&call("api/multisync", &params()));
    let accepted = call("api/multinoresult", &params());
    assert_eq!((&accepted["code"], &accepted["data"]), (&json!(100_001), &json!([])));
    let stats = call("server/cmd", &json!({ "guid": "g", "api": { "cmd": { "name": "getStat" } } }));
    // One connection for each of the three calls.
    assert_eq!(stats["data"]["server"]["accept_count"], 3, "{stats}");
    assert_eq!(stats["data"]["server"]["request_count"], 3, "{stats}");
}

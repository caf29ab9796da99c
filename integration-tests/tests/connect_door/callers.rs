//! Callers that are not ours.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::host::Host;

/// What a program says, that must end well.
fn said(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {said}\n{errors}");
    said.into_owned()
}

fn curl(arguments: &[&str]) -> String {
    said(
        Command::new("curl")
            .args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "60"])
            .args(arguments),
    )
}

#[test]
fn curl_calls() {
    let host = Host::start();
    let url = host.url("/library.v1.Library/GetBook");
    let json = "Content-Type: application/json";
    for version in ["--http1.0", "--http1.1", "--http2", "--http2-prior-knowledge"] {
        let said =
            curl(&[version, "-w", " %{http_code} %{http_version}", "-H", json, "-d", r#"{"id": 7}"#, &url]);
        let spoken = match version {
            "--http2-prior-knowledge" => "2",
            // What asks to change to it stays what it is: RFC 9113 has done away with that.
            "--http2" => "1.1",
            _ => "1",
        };
        assert!(said.starts_with(r#"{"id":"7","bookTitle":"Notes"} 200 "#), "{version}: {said}");
        assert!(said.rsplit(' ').next().is_some_and(|is| is.starts_with(spoken)), "{version}: {said}");
    }
    let said = curl(&["-w", " %{http_code}", "-H", json, "-d", r#"{"id": 9}"#, &url]);
    assert_eq!(said, r#"{"code":"not_found","message":"no book 9"} 404"#);
    let got = curl(&["--compressed", "--http2-prior-knowledge", &host.url("/v1/books/8")]);
    assert_eq!(serde_json::from_str::<Value>(&got).expect("JSON")["id"], "8");
    // A form of curl's, which is one of a browser's too.
    let said = curl(&["-w", " %{http_code}", "-d", r#"{"id": 7}"#, &url]);
    assert!(said.ends_with(" 415"), "{said}");
}

#[test]
fn python_calls() {
    let host = Host::start();
    let script = "import json, sys, urllib.request, urllib.error\n\
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))\n\
        def call(body):\n\
        \x20   request = urllib.request.Request(sys.argv[1], json.dumps(body).encode(), {'Content-Type': 'application/json'})\n\
        \x20   try:\n\
        \x20       return json.load(opener.open(request, timeout=60))\n\
        \x20   except urllib.error.HTTPError as error:\n\
        \x20       return [error.code, json.load(error)]\n\
        print(json.dumps([call({'id': '7'}), call({'id': 'x'})]))";
    let url = host.url("/library.v1.Library/GetBook");
    let said: Value =
        serde_json::from_str(&said(Command::new("python3").args(["-c", script, &url]))).expect("JSON");
    assert_eq!(said[0], json!({ "id": "7", "bookTitle": "Notes" }));
    assert_eq!((&said[1][0], &said[1][1]["code"]), (&json!(400), &json!("invalid_argument")));
}

#[test]
fn requests_of_python_call() {
    let host = Host::start();
    let script = "import json, sys, requests\n\
        session = requests.Session()\n\
        session.trust_env = False\n\
        def call(body, headers={}):\n\
        \x20   answer = session.post(sys.argv[1] + '/GetBook', json=body, headers=headers, timeout=60)\n\
        \x20   return [answer.status_code, answer.json()]\n\
        got = session.get(sys.argv[2], timeout=60)\n\
        long = session.post(sys.argv[1] + '/GetBook', json={'id': 8}, timeout=60)\n\
        answers = [call({'id': '7'}), call({'id': 9}), call({'id': 'x'}), [got.status_code, got.json()]]\n\
        answers.append([long.headers['content-encoding'], len(long.json()['bookTitle'])])\n\
        print(json.dumps(answers))";
    let (service, book) = (host.url("/library.v1.Library"), host.url("/v1/books/7"));
    let said = said(Command::new("python3").args(["-c", script, &service, &book]));
    let said: Value = serde_json::from_str(&said).expect("JSON");
    let book = json!([200, { "id": "7", "bookTitle": "Notes" }]);
    assert_eq!((&said[0], &said[3]), (&book, &book));
    assert_eq!(said[1], json!([404, { "code": "not_found", "message": "no book 9" }]));
    assert_eq!((&said[2][0], &said[2][1]["code"]), (&json!(400), &json!("invalid_argument")));
    assert_eq!(said[4], json!(["gzip", 10_000]));
}

#[test]
fn php_calls() {
    let host = Host::start();
    let script = r#"
        function streamed($url, $message) {
            $http = ['method' => 'POST', 'timeout' => 60, 'ignore_errors' => true,
                'header' => 'Content-Type: application/json', 'content' => json_encode($message)];
            $body = file_get_contents($url, false, stream_context_create(['http' => $http]));
            return [(int) explode(' ', $http_response_header[0])[1], json_decode($body, true)];
        }
        function curled($curl, $url, $message) {
            curl_setopt_array($curl, [CURLOPT_URL => $url, CURLOPT_RETURNTRANSFER => true,
                CURLOPT_TIMEOUT => 60, CURLOPT_PROXY => '', CURLOPT_ENCODING => '',
                CURLOPT_HTTPHEADER => ['Content-Type: application/json'],
                CURLOPT_POSTFIELDS => json_encode($message)]);
            $body = curl_exec($curl);
            return [curl_getinfo($curl, CURLINFO_RESPONSE_CODE), json_decode($body, true)];
        }
        $curl = curl_init();
        $answers = [];
        foreach ([7, 9] as $id) {
            $answers[] = streamed($argv[1], ['id' => $id]);
            $answers[] = curled($curl, $argv[1], ['id' => $id]);
        }
        // The same connection again, and an answer that is compressed.
        $long = curled($curl, $argv[1], ['id' => 8]);
        $answers[] = [$long[0], strlen($long[1]['bookTitle']), curl_getinfo($curl, CURLINFO_NUM_CONNECTS)];
        echo json_encode($answers);
    "#;
    let url = host.url("/library.v1.Library/GetBook");
    let said = said(Command::new("php").args(["-r", script, "--", &url]));
    let book = json!([200, { "id": "7", "bookTitle": "Notes" }]);
    let none = json!([404, { "code": "not_found", "message": "no book 9" }]);
    let expected = json!([book, book, none, none, [200, 10_000, 0]]);
    assert_eq!(serde_json::from_str::<Value>(&said).expect("JSON"), expected);
}

/// Connect's own client for Node, with what it depends on, as its lock file says.
fn connect_client() -> PathBuf {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("connect");
    let to = Path::new(env!("CARGO_TARGET_TMPDIR")).join("connect-client");
    fs::create_dir_all(&to).expect("a folder");
    let lock = fs::read(from.join("package-lock.json")).expect("the lock file");
    let installed = to.join("installed.lock");
    for file in ["package.json", "package-lock.json", "client.mjs"] {
        fs::copy(from.join(file), to.join(file)).expect("a copy");
    }
    if fs::read(&installed).ok().as_deref() != Some(&lock) {
        let npm = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
        said(Command::new("npm").args(npm).current_dir(&to));
        fs::write(&installed, lock).expect("a note");
    }
    to
}

#[test]
fn the_client_of_connect_calls() {
    let host = Host::start();
    let folder = connect_client();
    dora_codegen::Config::new()
        .out_dir(&folder)
        .file_descriptor_set("library.bin")
        .compile(Path::new(env!("CARGO_MANIFEST_DIR")).join("proto/library.proto"))
        .expect("it compiles");
    let mut node = Command::new("node");
    let said = said(node.args(["client.mjs", &host.url(""), "library.bin"]).current_dir(&folder));
    let said: Value = serde_json::from_str(&said).expect("JSON");
    let runs = said.as_array().expect("a list");
    assert_eq!(runs.len(), 8, "HTTP/1.1 and 2, JSON and protobuf, POST and GET");
    for run in runs {
        let expected = json!({
            "transport": run["transport"],
            "book": "Notes", "id": "7", "atOnce": 50, "long": 10_000,
            "echo": { "large": "-5", "moment": "2026-01-02T03:04:05Z", "within": { "word": "in" } },
            "note": {},
            "notFound": { "code": 5, "message": "no book 9" },
            "own": { "code": 2, "message": "out of stock", "details": "AQI=", "header": "1231", "reason": "wanted" },
            "late": 4,
            "pairs": "acme", "tags": "a, b", "remaining": true,
        });
        assert_eq!(run, &expected);
    }
}

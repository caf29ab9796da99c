//! The same echo, and the same errors, through every door.

use std::io::{Read as _, Write as _};

use dora::swoft::Swoft;
use dora::{Code, Endpoint, Packer};
use serde_json::{Value, json};

use crate::host::Running;
use crate::http::{Peer, post};
use crate::library::library_client::LibraryClient;
use crate::library::{Failure, GetBookRequest};

/// Code, HTTP's status, Connect's name, and what Swoft has of its own, 2.x and 1.x.
type Row = (Code, u16, &'static str, Option<(i64, i64)>);

const TABLE: [Row; 16] = [
    (Code::Cancelled, 499, "canceled", None),
    (Code::Unknown, 500, "unknown", None),
    (Code::InvalidArgument, 400, "invalid_argument", Some((-32_602, 0))),
    (Code::DeadlineExceeded, 504, "deadline_exceeded", None),
    (Code::NotFound, 404, "not_found", None),
    (Code::AlreadyExists, 409, "already_exists", None),
    (Code::PermissionDenied, 403, "permission_denied", None),
    (Code::ResourceExhausted, 429, "resource_exhausted", None),
    (Code::FailedPrecondition, 400, "failed_precondition", None),
    (Code::Aborted, 409, "aborted", None),
    (Code::OutOfRange, 400, "out_of_range", None),
    (Code::Unimplemented, 501, "unimplemented", None),
    (Code::Internal, 500, "internal", Some((-32_603, 500))),
    (Code::Unavailable, 503, "unavailable", None),
    (Code::DataLoss, 500, "data_loss", None),
    (Code::Unauthenticated, 401, "unauthenticated", None),
];

/// What came of a call: a result, or the error as this door tells it.
type Told = Result<Value, Value>;

/// Calls a method of the library through `Connect`.
fn connect(server: &Running, method: &str, message: &Value) -> (u16, Value) {
    let (mut peer, body) = (Peer::connect(server.address), message.to_string());
    let head = format!("POST /library.v1.Library/{method} HTTP/1.1\r\nHost: here\r\n");
    let kind = format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    peer.send(format!("{head}{kind}{body}").as_bytes());
    let answer = peer.answer();
    (answer.status, answer.json())
}

/// The same through `Forms`.
fn forms(server: &Running, method: &str, message: &Value) -> Told {
    let call = json!({ "name": format!("/library.v1.Library/{method}"), "param": message });
    let mut peer = Peer::connect(server.address);
    peer.send(&post("/api/multisync", &json!({ "guid": "g", "api": { "one": call } }), ""));
    let answer = peer.answer();
    assert_eq!((answer.status, &answer.json()["code"]), (200, &json!(0)));
    let one = answer.json()["data"]["one"].clone();
    match one["code"] == json!(0) {
        true => Ok(one["data"].clone()),
        false => Err(one),
    }
}

/// The same through `Swoft::v2`, or `v1`, by place.
fn swoft(server: &Running, version: u8, method: &str, params: &Value) -> Told {
    const INTERFACE: &str = "App\\Rpc\\LibraryInterface";
    let (request, end) = match version {
        1 => {
            (json!({ "interface": INTERFACE, "version": "1.0", "method": method, "params": params }), "\r\n")
        }
        _ => (json!({ "method": format!("1.0::{INTERFACE}::{method}"), "params": params }), "\r\n\r\n"),
    };
    let mut stream = server.connect();
    stream.write_all(format!("{request}{end}").as_bytes()).expect("it reads");
    let (mut came, mut byte) = (Vec::new(), [0]);
    while !came.ends_with(end.as_bytes()) {
        stream.read_exact(&mut byte).expect("it answers");
        came.push(byte[0]);
    }
    let answer: Value = serde_json::from_slice(&came).expect("JSON");
    match (version, answer.get("result")) {
        (1, _) if answer["status"] == json!(200) => Ok(answer["data"].clone()),
        (2, Some(result)) => Ok(result.clone()),
        (1, _) => Err(json!({ "code": answer["status"], "message": answer["msg"] })),
        _ => Err(answer["error"].clone()),
    }
}

/// The same in a packet of Dora's.
fn dora(server: &Running, packer: Packer) -> LibraryClient {
    let endpoint = Endpoint::new(server.address.to_string()).expect("an address").packer(packer);
    LibraryClient::new(endpoint.connect_lazy().expect("a channel"))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn servers() -> [(u8, Running); 2] {
    [(2, Running::start(|server| server)), (1, Running::with(Swoft::v1(), |server| server))]
}

#[test]
fn a_result_is_the_same_through_every_door() {
    for (version, server) in servers() {
        let request = json!({ "id": 7, "shelf": " on a shelf" });
        let book = (json!(7), json!("Notes on a shelf"));
        let (status, result) = connect(&server, "GetBook", &request);
        // Canonical JSON has 64 bits as text.
        assert_eq!((status, &result["id"], &result["bookTitle"]), (200, &json!("7"), &book.1));
        let result = forms(&server, "GetBook", &request).expect("a result");
        assert_eq!((&result["id"], &result["book_title"]), (&book.0, &book.1));
        let result = swoft(&server, version, "getBook", &json!([7, " on a shelf"])).expect("a result");
        assert_eq!((&result["id"], &result["book_title"]), (&book.0, &book.1), "Swoft {version}");
        runtime().block_on(async {
            for packer in [Packer::Php, Packer::Json, Packer::Protobuf] {
                let asked =
                    GetBookRequest { id: 7, shelf: " on a shelf".into(), ..GetBookRequest::default() };
                let result = dora(&server, packer).get_book(asked).await.expect("a result");
                assert_eq!((result.id, &*result.book_title), (7, "Notes on a shelf"), "{packer}");
            }
        });
    }
}

#[test]
fn a_code_is_the_same_through_every_door() {
    let guide = include_str!("../../../src/guide/doors.md");
    let servers = servers();
    for (code, http, name, own) in TABLE {
        let (number, raw) = (code.number(), dora::Status::new(code, "").raw_code());
        let (newer, older) = own.unwrap_or((raw, raw));
        let line = format!("| `{code}` | {number} | `{name}` | {http} | {raw} | {newer} | {older} |");
        assert!(guide.contains(&line), "the guide's table lacks {line}");
        let asked = json!({ "code": number, "text": "so it is" });
        for (version, server) in &servers {
            let (status, error) = connect(server, "Fail", &asked);
            assert_eq!((status, &error["code"], &error["message"]), (http, &json!(name), &json!("so it is")));
            assert!(error["doraCode"].is_null(), "{error}");
            let packet = forms(server, "Fail", &asked).expect_err("it failed");
            assert_eq!((&packet["code"], &packet["msg"]), (&json!(raw), &json!("so it is")));
            assert_eq!(packet["meta"], json!({ "reason": "wanted" }), "what the error has beside it");
            let error = swoft(server, *version, "fail", &json!([number, 0, "so it is"]));
            let expected = if *version == 1 { older } else { newer };
            assert_eq!(error, Err(json!({ "code": expected, "message": "so it is" })), "Swoft {version}");
            runtime().block_on(async {
                for packer in [Packer::Php, Packer::Json, Packer::Protobuf] {
                    let asked =
                        Failure { code: number.into(), text: "so it is".into(), ..Failure::default() };
                    let status = dora(server, packer).fail(asked).await.expect_err("it failed");
                    assert_eq!((status.code(), status.raw_code()), (code, raw), "{packer}");
                    assert_eq!(status.message(), "so it is", "{packer}");
                }
            });
        }
    }
}

#[test]
fn a_code_of_the_services_own_is_told_through_every_door() {
    let asked = json!({ "raw": 1231, "text": "out of stock", "details": "AQI=" });
    for (version, server) in servers() {
        let (status, error) = connect(&server, "Fail", &asked);
        assert_eq!((status, &error["code"], &error["doraCode"]), (500, &json!("unknown"), &json!(1231)));
        let packet = forms(&server, "Fail", &asked).expect_err("it failed");
        assert_eq!((&packet["code"], &packet["data"]), (&json!(1231), &json!([])));
        assert_eq!(packet["details"], json!("\u{1}\u{2}"));
        let error = swoft(&server, version, "fail", &json!([0, 1231, "out of stock"]));
        assert_eq!(error, Err(json!({ "code": 1231, "message": "out of stock" })), "Swoft {version}");
        runtime().block_on(async {
            let asked = Failure { raw: 1231, text: "out of stock".into(), ..Failure::default() };
            let status = dora(&server, Packer::Php).fail(asked).await.expect_err("it failed");
            assert_eq!((status.code(), status.raw_code()), (Code::Unknown, 1231));
        });
    }
}

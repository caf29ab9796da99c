//! A typed service, called by places.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use dora::swoft::Swoft;
use dora::{InterceptLayer, Request, Response, Server, Status};
use dora_integration_tests::raw::PATIENCE;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::host::{Peer, V1, V2};
use crate::php;

mod swoft {
    dora::include_proto!("swoft.v1");
}
use swoft::accounts_server::{Accounts, AccountsServer};
use swoft::{Account, FindRequest};

struct Ledger;

impl Accounts for Ledger {
    async fn find(&self, request: Request<FindRequest>) -> Result<Response<Account>, Status> {
        let trace = request.metadata().get("traceid").map(str::to_owned);
        let FindRequest { id, names, tag, near } = request.into_body();
        match id {
            1 => panic!("the handler dies"),
            2 => Err(Status::raw(1231, "locked")),
            3 => Err(Status::not_found("no account 3")),
            4 => Ok(Account { x: f64::NAN, ..Account::default() }.into()),
            id => {
                let tag = tag.or(trace).unwrap_or_else(|| "none".to_owned());
                Ok(Account { id, names, tag, x: near.map_or(0.5, |near| near.x) }.into())
            }
        }
    }

    async fn length(&self, request: Request<String>) -> Result<Response<i64>, Status> {
        Ok((request.body().chars().count() as i64).into())
    }

    async fn ping(&self, _: Request<()>) -> Result<Response<()>, Status> {
        Ok(().into())
    }
}

/// Serves it through `door`, until the tests end.
fn serve(door: Swoft) -> SocketAddr {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        runtime.expect("a runtime").block_on(async move {
            let dora = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let swoft = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            sender.send(swoft.local_addr().expect("bound")).expect("the test waits");
            let deny = InterceptLayer::new(|request: Request| async move {
                match request.method().as_str() {
                    "/swoft.v1.Accounts/Ping" => Err(Status::permission_denied("by a layer")),
                    _ => Ok(request),
                }
            });
            let server = Server::builder()
                .layer(deny)
                .frame_timeout(Duration::from_millis(300))
                .add_service(AccountsServer::new(Ledger))
                .door_with_listener(swoft, door);
            server.serve_with_listener(dora, std::future::pending()).await
        })
    });
    receiver.recv_timeout(PATIENCE).expect("it listens")
}

fn call(method: &str, params: &str) -> String {
    format!(r#"{{"method":"2.1::App\\Rpc\\AccountInterface::{method}","params":{params}}}"#)
}

#[test]
fn parameters_are_the_fields_in_the_order_of_their_numbers() {
    let mut peer = Peer::connect(serve(Swoft::v2()), V2);
    let mut found = |params: &str| peer.ask(&call("find", params))["result"].clone();
    let account =
        |id: i64, names: Value, tag: &str, x: f64| json!({ "id": id, "names": names, "tag": tag, "x": x });
    assert_eq!(found(r#"[7,["a","b"],"t",{"x":2.5}]"#), account(7, json!(["a", "b"]), "t", 2.5));
    assert_eq!(found(r#"[7,["a"]]"#), account(7, json!(["a"]), "none", 0.5));
    assert_eq!(
        found(r#"["7",[],null,{"x":1},"more"]"#),
        account(7, json!([]), "none", 1.0),
        "as lenient as PHP"
    );
    assert_eq!(found(r#"[{"id":7,"tag":"whole"}]"#), account(7, json!([]), "whole", 0.5));
    assert_eq!(found(r#"{"tag":"named","id":8}"#), account(8, json!([]), "named", 0.5));
    let traced = call("FIND", "[9]").replace("}", r#","ext":{"traceid":"abc"}}"#);
    assert_eq!(peer.ask(&traced)["result"]["tag"], "abc", "what stands beside the call is metadata");
    assert_eq!(
        peer.ask(&call("length", r#"["你好"]"#))["result"].as_i64(),
        Some(2),
        "a request of one value"
    );
}

#[test]
fn every_status_has_its_code() {
    let mut peer = Peer::connect(serve(Swoft::v2()), V2);
    let mut first = Peer::connect(serve(Swoft::v1()), V1);
    for (method, params, code, status) in [
        ("find", "[1]", -32_603, 500),
        ("find", "[2]", 1231, 1231),
        ("find", "[3]", 100_205, 100_205),
        ("find", "[[]]", -32_602, 0),
        ("find", r#"["x"]"#, -32_602, 0),
        ("find", "7", -32_602, 0),
        ("ping", "[]", 100_207, 100_207),
        ("nothing", "[]", -32_601, 0),
    ] {
        let answer = peer.ask(&call(method, params));
        assert_eq!(answer["error"]["code"], code, "{method} {params}: {answer}");
        let interface = r"App\\Rpc\\AccountInterface";
        let request =
            format!(r#"{{"interface":"{interface}","version":"2.1","method":"{method}","params":{params}}}"#);
        let answer = first.ask(&request);
        assert_eq!(answer["status"], status, "{method} {params}: {answer}");
    }
    for other in
        ["2.0::App\\\\Rpc\\\\AccountInterface", "2.1::App\\\\rpc\\\\AccountInterface", "2.1::Accounts"]
    {
        let answer = peer.ask(&format!(r#"{{"method":"{other}::find"}}"#));
        assert_eq!(answer["error"]["code"], -32_600, "{answer}");
        let message = answer["error"]["message"].as_str().expect("text");
        assert!(message.starts_with("Route(2.") && message.ends_with(") is not founded!"), "{message}");
    }
}

#[test]
fn a_frame_ends_as_it_was_set() {
    let mut peer = Peer::connect(serve(Swoft::v2().package_eof("*END*")), "*END*");
    assert_eq!(peer.ask(&call("length", r#"["a\r\n\r\nb"]"#))["result"].as_i64(), Some(6));
    let within = peer.ask(&call("find", r#"[7,["*EN","D*"]]"#));
    assert_eq!(within["result"]["names"], json!(["*EN", "D*"]));
    // What would end the frame is an error of its call: JSON writes it as it is.
    let whole = call("find", r#"[7,[]]"#).replace("[]]", r#"["*\u0045ND*"]]"#);
    assert_eq!(peer.ask(&whole)["error"]["code"], -32_603);
    assert_eq!(peer.ask(&call("length", r#"["x"]"#))["result"].as_i64(), Some(1), "the connection stays");
}

#[test]
fn a_request_that_does_not_end_is_not_waited_for() {
    let address = serve(Swoft::v2());
    let mut peer = Peer::connect(address, V2);
    peer.send(call("length", r#"["x"]"#).as_bytes());
    peer.expect_close();
}

#[test]
fn php_calls_a_typed_service() {
    let call = |method: &str, params: Value| {
        let interface = r"App\Rpc\AccountInterface";
        json!({ "interface": interface, "version": "2.1", "method": method, "params": params })
    };
    let calls = [call("find", json!([7, ["你"], "t", { "x": 1.5 }])), call("find", json!([2]))];
    let answers = php::answers(serve(Swoft::v2()), "2", &calls);
    assert_eq!(answers[0]["result"], json!({ "id": 7, "names": ["你"], "tag": "t", "x": 1.5 }));
    assert_eq!(answers[1]["error"], json!({ "code": 1231, "message": "locked" }));
}

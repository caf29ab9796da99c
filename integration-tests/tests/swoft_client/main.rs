//! Clients of Rust at a Swoft server in PHP, with PHP's own JSON.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use dora::swoft::{SwoftChannel, SwoftEndpoint};
use dora::{Code, DynamicClient, Value, value};
use dora_integration_tests::process::Process;
use dora_integration_tests::raw::PATIENCE;
use futures_util::future::join_all;

mod swoft {
    dora::include_proto!("swoft.v1");
}
use swoft::accounts_client::AccountsClient;
use swoft::{Account, FindRequest, Place};

/// A Swoft server in PHP, ended when dropped.
struct Php {
    address: SocketAddr,
    process: Process,
}

impl Php {
    fn start(generation: &str) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("php/swoft_server.php");
        let mut process = Process::spawn(Command::new("php").arg(script).arg(generation)).expect("php");
        let line = process.line(PATIENCE).expect("a line").unwrap_or_default();
        let port = line.strip_prefix("ready ").and_then(|port| port.parse().ok());
        let port: u16 = port.unwrap_or_else(|| panic!("{line:?}: {}", process.errors()));
        Self { address: ([127, 0, 0, 1], port).into(), process }
    }

    fn endpoint(&self) -> SwoftEndpoint {
        SwoftEndpoint::new(self.address).expect("an address").timeout(PATIENCE)
    }
}

fn named(method: &str) -> String {
    format!(r"2.1::App\Rpc\AccountInterface::{method}")
}

fn dynamic(channel: &SwoftChannel) -> DynamicClient<SwoftChannel> {
    DynamicClient::new(channel.clone())
}

async fn typed_calls(channel: SwoftChannel) {
    let accounts = AccountsClient::new(channel);
    let near = Some(Place { x: 1.5 });
    let asked =
        FindRequest { id: 7, names: vec!["你".into(), "a\r\n\r\nb".into()], tag: Some("t".into()), near };
    let found = accounts.find(asked.clone()).await.expect("found");
    let tag = "t".to_owned();
    assert_eq!(found, Account { id: 7, names: asked.names, tag, x: 1.5 });
    let few = accounts.find(FindRequest { id: 8, ..FindRequest::default() }).await.expect("found");
    assert_eq!(few, Account { id: 8, names: vec![], tag: "none".into(), x: 0.5 });
    assert_eq!(accounts.length("你好".to_owned()).await.expect("a number"), 2);
    accounts.ping(()).await.expect("null is a result");
    let status = accounts.find(FindRequest { id: 2, ..FindRequest::default() }).await.expect_err("it throws");
    assert_eq!((status.raw_code(), status.message()), (1231, "locked"));
}

#[tokio::test]
async fn generated_clients_call_2_x_and_1_x() {
    let php = Php::start("2");
    typed_calls(php.endpoint().channel()).await;
    let php = Php::start("1");
    typed_calls(php.endpoint().v1().channel()).await;
}

#[tokio::test]
async fn dynamic_calls_give_lists_or_one_value() {
    let php = Php::start("2");
    let client = dynamic(&php.endpoint().channel());
    for (params, count) in
        [(value!([1, 2, 3]), 3), (value!([]), 0), (Value::Null, 0), (value!(5), 1), (value!({ "a" => 1 }), 1)]
    {
        assert_eq!(
            client.call(named("count"), params.clone()).await.expect("counted"),
            count.into(),
            "{params:?}"
        );
    }
    let strange = value!({ "名" => "\u{2028}\"\\/", "list" => [1, 0.1, null, true] });
    assert_eq!(client.call(named("echo"), value!([strange.clone()])).await.expect("echoed"), strange);
    for (name, code) in [
        (named("nothing"), Code::Unimplemented),
        ("1::X::m".to_owned(), Code::Unimplemented),
        ("/user/get".to_owned(), Code::InvalidArgument),
    ] {
        let status = client.call(name.clone(), Value::Null).await.expect_err("nobody");
        assert_eq!(status.code(), code, "{name}: {status}");
    }
    let beside =
        client.call(named("beside"), Value::Null).metadata("traceid", "abc").metadata("tenant", "acme");
    let beside = beside.await.expect("said");
    assert_eq!(beside.get("traceid"), Some(&"abc".into()));
    assert_eq!(beside.get("extra").and_then(|extra| extra.get("tenant")), Some(&"acme".into()));
}

#[tokio::test]
async fn calls_at_once_have_a_connection_each_and_their_own_answers() {
    let php = Php::start("2");
    let channel = php.endpoint().max_connections(4).channel();
    let client = dynamic(&channel);
    let calls = (0..200_i64).map(|number| {
        let client = client.clone();
        async move { (number, client.call(named("echo"), value!([number])).await.expect("echoed")) }
    });
    for (number, echoed) in join_all(calls).await {
        assert_eq!(echoed, number.into());
    }
    let accounts = AccountsClient::new(channel.clone());
    let (length, found) = accounts
        .length("abc".to_owned())
        .batch()
        .call(accounts.find(FindRequest { id: 2, ..FindRequest::default() }))
        .send()
        .await
        .expect("a batch");
    assert_eq!(length.expect("a number"), 3);
    assert_eq!(found.expect_err("it throws").raw_code(), 1231);
    let pending = accounts.length("later".to_owned()).deferred().await.expect("begun");
    assert_eq!(pending.await.expect("a number"), 5);
    accounts.length("never".to_owned()).no_result().await.expect("begun");
}

#[tokio::test]
async fn a_late_answer_is_nobodys() {
    let php = Php::start("2");
    let client = dynamic(&php.endpoint().max_connections(1).channel());
    let slow = client.call(named("sleep"), value!([300_000])).timeout(Duration::from_millis(50));
    assert_eq!(slow.await.expect_err("too slow").code(), Code::DeadlineExceeded);
    // The only connection was given up, and another one made.
    assert_eq!(client.call(named("echo"), value!(["mine"])).await.expect("echoed"), "mine".into());
    // As is one whose server says more than it was asked.
    let twice = client.call(named("twice"), Value::Null).await.expect_err("no such method");
    assert_eq!(twice.code(), Code::Unimplemented);
    assert_eq!(client.call(named("echo"), value!(["mine too"])).await.expect("echoed"), "mine too".into());
}

#[tokio::test]
async fn a_server_that_goes_is_told_of_and_found_again() {
    let php = Php::start("2");
    let client = dynamic(&php.endpoint().channel());
    let lost = client.call(named("leave"), Value::Null).await.expect_err("it leaves");
    assert_eq!(lost.code(), Code::Unavailable);
    assert!(!lost.is_unsent(), "it may have done what it was asked");
    assert_eq!(client.call(named("echo"), value!([1])).await.expect("a new connection"), 1.into());
    let Php { address, process } = php;
    drop(process);
    // The connection that stood is seen to be gone.
    let begun = Instant::now();
    let gone = loop {
        let status = client.call(named("echo"), value!([1])).await.expect_err("nobody");
        if status.is_unsent() || begun.elapsed() > PATIENCE {
            break status;
        }
    };
    assert!(gone.is_unsent() && gone.message().contains(&address.to_string()), "{gone}");
}

#[tokio::test]
async fn a_request_that_would_end_its_own_frame_is_not_sent() {
    let php = Php::start("2");
    let client = dynamic(&php.endpoint().package_eof("END").channel());
    let status = client.call(named("echo"), value!(["an END within"])).await.expect_err("not sent");
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.is_unsent() && status.message().contains("package_eof"), "{status}");
    let bytes = client.call(named("echo"), Value::from(vec![0xff])).await.expect_err("no JSON");
    assert_eq!((bytes.code(), bytes.is_unsent()), (Code::InvalidArgument, true));
}

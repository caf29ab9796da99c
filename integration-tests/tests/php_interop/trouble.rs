//! Servers that are late, die and come back.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use dora::{Channel, Code, Endpoint, Origin, Status, Value, value};
use dora_integration_tests::php::PhpServer;
use dora_integration_tests::raw::{Dialect, Peer};
use futures_util::future::join_all;
use socket2::{Domain, Socket, Type};

use crate::server::endpoint;

const SECOND: Duration = Duration::from_secs(1);

async fn sleep(channel: &Channel, millis: i64) -> Result<Value, Status> {
    channel.dynamic().call("/t/sleep", value!({ "us" => millis * 1000 })).await
}

async fn echo(channel: &Channel, text: &str) -> Result<Value, Status> {
    channel.dynamic().call("/t/echo", text).await
}

fn connect(server: &PhpServer, dialect: &Dialect) -> Channel {
    endpoint(server.address(), dialect).connect_lazy().expect("sound settings")
}

#[tokio::test]
async fn a_call_that_takes_too_long_ends_in_time_and_harms_no_other() {
    for dialect in Dialect::all() {
        let server = PhpServer::start(&dialect).expect("the server starts");
        let channel = connect(&server, &dialect);
        for api in ["/t/sleep", "/t/error"] {
            let start = Instant::now();
            let param = value!({ "us" => 400_000 });
            let call = channel.dynamic().call(api, param).timeout(Duration::from_millis(150));
            let status = call.await.expect_err("it is late");
            let after = start.elapsed().as_millis();
            assert!((150..5_000).contains(&after), "{dialect:?}: after {after} ms");
            assert_eq!((status.raw_code(), status.code()), (100_009, Code::DeadlineExceeded));
            assert_eq!(status.origin(), Origin::Connection);
            assert_eq!(status.peer(), Some(channel.peer()));
            assert!(!status.is_unsent(), "it may have run");
        }
        // Its answer comes while others wait.
        for round in 0..4 {
            let slept = sleep(&channel, 100 + round).await.expect("an answer of its own");
            assert_eq!(slept, value!({ "slept" => (100 + round) * 1000 }), "{dialect:?}");
        }
    }
}

#[tokio::test]
async fn the_timeout_of_the_endpoint_holds_for_calls_that_say_nothing() {
    let server = PhpServer::start(&Dialect::GUID).expect("the server starts");
    let endpoint: Endpoint = endpoint(server.address(), &Dialect::GUID).timeout(Duration::from_millis(100));
    let channel = endpoint.connect().await.expect("it listens");
    let start = Instant::now();
    let status = sleep(&channel, 500).await.expect_err("it is late");
    assert_eq!(status.raw_code(), 100_009);
    assert!(start.elapsed() < 5 * SECOND);
    let late = async {
        while channel.dropped_answers().late == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(3 * SECOND, late).await.expect("the late answer is counted");
}

/// Answers of a serial connection have to be the next caller's own, however the
/// one before ended: late, given up, or acknowledged with a result to come.
#[tokio::test]
async fn a_serial_connection_never_hands_a_late_answer_to_the_next_caller() {
    for dialect in Dialect::all().into_iter().filter(|dialect| !dialect.has_guid()) {
        let server = PhpServer::start(&dialect).expect("the server starts");
        let channel = connect(&server, &dialect);
        for round in 0..5_i64 {
            let php = channel.dynamic();
            let late = php.call("/t/sleep", value!({ "us" => 60_000 })).timeout(Duration::from_millis(40));
            assert_eq!(late.await.expect_err("it is late").raw_code(), 100_009);
            let own = format!("after a late one {round}");
            assert_eq!(echo(&channel, &own).await.expect("an answer"), own.as_str().into());

            let given_up = tokio::time::timeout(Duration::from_millis(20), sleep(&channel, 40)).await;
            given_up.expect_err("it was dropped");
            let own = format!("after one that was given up {round}");
            assert_eq!(echo(&channel, &own).await.expect("an answer"), own.as_str().into());

            let pending =
                php.call("/t/sleep", value!({ "us" => 20_000 })).deferred().await.expect("accepted");
            assert_eq!(
                sleep(&channel, 30 + round).await.expect("slept"),
                value!({ "slept" => (30 + round) * 1000 })
            );
            assert_eq!(pending.await.expect("the result"), value!({ "slept" => 20_000 }));
        }
    }
}

/// An answer of the plain generation that does not say whose it is.
fn plain_answer(word: &str) -> Vec<u8> {
    let packet = format!(
        "a:3:{{s:4:\"code\";i:0;s:3:\"msg\";s:2:\"OK\";s:4:\"data\";\
         a:3:{{s:4:\"code\";i:0;s:3:\"msg\";s:2:\"OK\";s:4:\"data\";s:{}:\"{word}\";}}}}",
        word.len()
    );
    Dialect::PLAIN.frame(&[b'0'; 32], packet.as_bytes())
}

/// The oldest servers do not say whose an answer is.
#[tokio::test]
async fn a_late_answer_without_a_guid_reaches_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = thread::spawn(move || {
        let mut first = Peer::accept(&listener).expect("a connection");
        first.frame().expect("the call that will be late");
        // It is late, and the next call must not be waiting on this connection.
        thread::sleep(Duration::from_millis(150));
        let _ = first.send(&plain_answer("late"));
        let mut second = Peer::accept(&listener).expect("another connection");
        second.frame().expect("the next call");
        second.send(&plain_answer("own")).expect("sent");
        first.expect_close().expect("it is not used any more");
    });
    let channel = endpoint(address, &Dialect::PLAIN).connect_lazy().expect("sound settings");
    let late = channel.dynamic().call("/t/echo", 1).timeout(Duration::from_millis(100));
    assert_eq!(late.await.expect_err("it is late").raw_code(), 100_009);
    let next = echo(&channel, "next").await.expect("an answer");
    assert_eq!(next, "own".into());
    server.join().expect("no panic");
}

#[tokio::test]
async fn a_call_that_timed_out_before_it_was_connected_is_not_sent() {
    // Its queue holds one connection; whoever comes next waits for a place.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
    socket.listen(0).expect("it listens");
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().expect("an address");
    let _first_in_the_queue = TcpStream::connect(address).expect("a place");

    let channel = endpoint(address, &Dialect::PLAIN).connect_lazy().expect("sound settings");
    let early = channel.dynamic().call("/t/early", 1).timeout(Duration::from_millis(50));
    let status = early.await.expect_err("it is not connected");
    assert_eq!((status.raw_code(), channel.peer()), (100_009, &*address.to_string()));

    let next = tokio::spawn(async move { echo(&channel, "next").await });
    let server = thread::spawn(move || {
        drop(Peer::accept(&listener).expect("the first"));
        let mut peer = Peer::accept(&listener).expect("the channel");
        let (_, body) = Dialect::PLAIN.open(&peer.frame().expect("a call")).expect("a frame");
        peer.expect_silence(Duration::from_millis(50)).expect("no other call");
        peer.send(&plain_answer("own")).expect("sent");
        body
    });
    assert_eq!(next.await.expect("no panic").expect("an answer"), "own".into());
    let body = server.join().expect("no panic");
    assert!(body.windows(7).any(|part| part == b"/t/echo"), "{}", body.escape_ascii());
}

#[tokio::test]
async fn callers_of_a_serial_connection_take_turns() {
    let server = PhpServer::start(&Dialect::PLAIN).expect("the server starts");
    let channel = connect(&server, &Dialect::PLAIN);
    let calls = (0..30_i64).map(|n| {
        let channel = channel.clone();
        async move { (n, sleep(&channel, n % 5).await.expect("an answer")) }
    });
    for (n, slept) in join_all(calls).await {
        assert_eq!(slept, value!({ "slept" => n % 5 * 1000 }), "call {n}");
    }
    let long = tokio::spawn({
        let channel = channel.clone();
        async move { sleep(&channel, 300).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let waiting = channel.dynamic().call("/t/echo", 1).timeout(Duration::from_millis(100)).await;
    let status = waiting.expect_err("its turn does not come");
    assert_eq!((status.raw_code(), status.is_unsent()), (100_009, true));
    long.await.expect("no panic").expect("the long one is not disturbed");
}

#[tokio::test]
async fn a_server_that_dies_fails_its_calls_at_once_and_is_found_again() {
    for dialect in [Dialect::GUID, Dialect::PLAIN.signed().gzip()] {
        let server = PhpServer::start(&dialect).expect("the server starts");
        let address = server.address();
        let channel = connect(&server, &dialect);
        echo(&channel, "before").await.expect("an answer");

        let call = tokio::spawn({
            let channel = channel.clone();
            async move { sleep(&channel, 10_000).await }
        });
        tokio::time::sleep(Duration::from_millis(100)).await;
        let start = Instant::now();
        drop(server);
        let status = call.await.expect("no panic").expect_err("nobody answers");
        assert!(start.elapsed() < 5 * SECOND, "after {:?}", start.elapsed());
        assert_eq!((status.code(), status.origin()), (Code::Unavailable, Origin::Connection));
        assert_eq!((status.peer(), status.is_unsent()), (Some(channel.peer()), false));

        let status = echo(&channel, "to nobody").await.expect_err("nobody is there");
        assert_eq!((status.code(), status.raw_code()), (Code::Unavailable, 100_010));
        assert!(status.is_unsent(), "it can be sent again");

        let _server = PhpServer::start_on(address.port(), &dialect).expect("the server starts again");
        let start = Instant::now();
        let answer = loop {
            match echo(&channel, "again").await {
                Ok(answer) => break answer,
                Err(status) => assert_eq!(status.code(), Code::Unavailable),
            }
            assert!(start.elapsed() < 5 * SECOND, "it is not found");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert_eq!(answer, "again".into());
    }
}

#[tokio::test]
async fn a_result_to_come_is_lost_with_its_server() {
    let server = PhpServer::start(&Dialect::GUID).expect("the server starts");
    let channel = connect(&server, &Dialect::GUID);
    let call = channel.dynamic().call("/t/sleep", value!({ "us" => 10_000_000 }));
    let pending = call.deferred().await.expect("accepted");
    drop(server);
    let result = tokio::time::timeout(SECOND, pending).await.expect("at once");
    let status = result.expect_err("nobody answers");
    assert_eq!((status.code(), status.raw_code()), (Code::Unavailable, 100_012));
}

#[tokio::test]
async fn objects_of_php_come_as_data() {
    let server = PhpServer::start(&Dialect::GUID).expect("the server starts");
    let channel = connect(&server, &Dialect::GUID);
    let object = channel.dynamic().call("/t/object", Value::Null).await.expect("an answer");
    assert!(object.as_object().expect("an object").is_std_class());
    assert_eq!(object.get("a"), Some(&Value::from(1)));
    let point = channel.dynamic().call("/t/point", Value::Null).await.expect("an answer");
    assert_eq!(point.as_object().expect("an object").class().as_str(), Some("Point"));
    assert_eq!(server.errors(), "");
}

//! What a server says of its peers and of itself.

use std::future::pending;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use dora_core::call::request::Request;
use dora_core::call::status::Status;
use dora_core::pack::value::Value;
use dora_core::server::Server;
use dora_core::transport::client::channel::Channel;
use dora_core::transport::client::endpoint::Endpoint;
use dora_core::transport::server::control::Control;
use dora_core::transport::server::cost::Execution;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tracing::Level;
use tracing::level_filters::LevelFilter;

use crate::capture::{Note, capture};

const SERVER: &str = "dora::server";

/// Panics as it is told to, at the first poll or a later one, never ends, answers
/// much, or echoes.
fn server() -> Server {
    Server::builder().dynamic(|request: Request<Value>| async move {
        match request.method().as_str() {
            "/panic" => panic!("at once"),
            "/panic-late" => {
                tokio::time::sleep(Duration::from_millis(1)).await;
                panic!("while it is parked")
            }
            "/never" => pending().await,
            "/large" => Ok(Value::from("x".repeat(1 << 20))),
            _ => Ok::<_, Status>(request.into_body()),
        }
    })
}

/// Serves until the test is over.
async fn serve(server: Server) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(server.serve_with_listener(listener, pending()));
    address
}

async fn connect(address: SocketAddr) -> Channel {
    Endpoint::new(address).expect("an address").php().connect().await.expect("connects")
}

/// A frame of this generation's with the body.
fn frame(body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(32 + body.len()).expect("short").to_be_bytes();
    [&len[..], b"0123456789abcdef0123456789abcdef", body].concat()
}

/// Lines that say how many were left out between them.
#[track_caller]
fn stand_for(lines: &[Note], count: u64, since: Instant) {
    let left_out = lines.iter().filter_map(|line| line.get("left_out").parse::<u64>().ok()).sum::<u64>();
    let told = left_out + lines.len() as u64;
    // The last ones of a window are told with the next line.
    assert!(told * 10 >= count && told <= count, "{told} of {count} are told: {lines:#?}");
    let windows = since.elapsed().as_secs() / 10 + 1;
    assert!(lines.len() as u64 <= 4 * windows, "{} lines", lines.len());
}

#[tokio::test]
async fn a_panic_is_told_with_its_method_and_its_caller_wherever_it_runs() {
    for (execution, name, text) in [
        (Execution::Inline, "/panic", "at once"),
        (Execution::Inline, "/panic-late", "while it is parked"),
        (Execution::Spawned, "/panic", "at once"),
        (Execution::Spawned, "/panic-late", "while it is parked"),
    ] {
        // Who listens to errors alone is told the same: no span is needed for it.
        let (notes, _guard) = capture(LevelFilter::ERROR);
        let address = serve(server().execution(execution)).await;
        let channel = connect(address).await;
        channel.dynamic().call(name, 1).await.expect_err("it panics");
        let told = notes.event("a handler panicked");
        assert_eq!((told.level, told.target), (Level::ERROR, SERVER));
        assert_eq!((told.get("method"), told.get("panic")), (name, text), "{told:#?}");
        assert!(told.get("peer").starts_with("127.0.0.1:"), "{told:#?}");
    }
}

#[tokio::test]
async fn a_server_says_where_it_listens_and_how_it_drains() {
    let (notes, _guard) = capture(LevelFilter::INFO);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let (stop, stopped) = oneshot::channel::<()>();
    let server = server().signed().drain_timeout(Duration::from_millis(50));
    let serving = tokio::spawn(server.serve_with_listener(listener, async { drop(stopped.await) }));
    let endpoint = Endpoint::new(address).expect("an address").php().signed();
    let client = endpoint.connect().await.expect("connects").dynamic();
    client.call("/echo", 1).await.expect("an answer");
    for _ in 0..2 {
        client.call("/never", 1).no_result().await.expect("accepted");
    }

    let listening = notes.event("listening");
    assert_eq!((listening.level, listening.target), (Level::INFO, SERVER));
    assert_eq!(listening.get("address"), address.to_string());
    let settings = ["packings", "signed", "tls", "max_packet"].map(|name| listening.get(name));
    assert_eq!(settings, ["php, json, protobuf", "true", "false", "2097152"]);
    assert!(notes.events("the port is open wide").is_empty(), "who reaches this machine alone is near");

    drop(stop);
    serving.await.expect("no panic").expect("it served");
    assert_eq!(notes.event("draining").get("running"), "2");
    let drained = notes.event("drained");
    assert_eq!((drained.level, drained.get("cancelled")), (Level::INFO, "2"));
    let took: u64 = drained.get("took_ms").parse().expect("a number");
    assert!((50..60_000).contains(&took), "{drained:#?}");
}

#[tokio::test]
async fn settings_that_open_a_port_wide_are_said() {
    let (notes, _guard) = capture(LevelFilter::INFO);
    let server = server().control(Control::enabled()).max_connections(usize::MAX).idle_timeout(Duration::MAX);
    let served = server.serve_with_shutdown("127.0.0.1:0", std::future::ready(()));
    served.await.expect("it served");
    let said: Vec<String> =
        notes.events("the port is open wide").iter().map(|event| event.get("what").to_owned()).collect();
    let wanted = [
        // Only this machine may send the commands.
        &*format!("max_connections = {} bounds nothing", usize::MAX),
        "idle_timeout of a day or more: silent peers keep what they hold",
    ];
    assert_eq!(said, wanted);
}

#[tokio::test]
async fn peers_that_send_garbage_fill_no_log() {
    const FLOOD: u64 = 1000;
    let (notes, _guard) = capture(LevelFilter::INFO);
    let begun = Instant::now();
    let address = serve(server()).await;
    for _ in 0..FLOOD {
        let mut peer = TcpStream::connect(address).await.expect("it listens");
        peer.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("sent");
        // A reset is an end as well.
        let _ = peer.read_to_end(&mut Vec::new()).await;
    }
    let lines = notes.events("a frame is refused");
    assert_eq!((lines[0].level, lines[0].target), (Level::WARN, SERVER));
    assert!(lines[0].get("peer").starts_with("127.0.0.1:"), "{:#?}", lines[0]);
    assert!(lines[0].get("reason").contains("an HTTP client"), "{:#?}", lines[0]);
    stand_for(&lines, FLOOD, begun);
}

#[tokio::test]
async fn packets_that_are_refused_are_told_seldom_too() {
    const FLOOD: u64 = 1000;
    let (notes, _guard) = capture(LevelFilter::INFO);
    let begun = Instant::now();
    let body = b"a:2:{s:4:\"type\";s:3:\"???\";s:3:\"api\";a:0:{}}";
    let server = server();
    let stats = server.stats();
    let mut peer = TcpStream::connect(serve(server).await).await.expect("it listens");
    for _ in 0..FLOOD {
        peer.write_all(&frame(body)).await.expect("sent");
        let len = peer.read_u32().await.expect("an answer");
        peer.read_exact(&mut vec![0; len as usize]).await.expect("an answer");
    }
    assert_eq!(stats.snapshot().refused_packets, FLOOD);
    let lines = notes.events("a packet is refused");
    assert!(lines[0].get("reason").contains("(100002)"), "{:#?}", lines[0]);
    stand_for(&lines, FLOOD, begun);
}

#[tokio::test]
async fn a_peer_that_takes_no_answers_is_told_of() {
    let (notes, _guard) = capture(LevelFilter::INFO);
    let address = serve(server().stall_timeout(Duration::from_millis(50))).await;
    let mut peer = TcpStream::connect(address).await.expect("it listens");
    let body = b"a:2:{s:4:\"type\";s:3:\"W_S\";s:3:\"api\";a:1:{s:3:\"one\";a:2:{s:4:\"name\";s:6:\"/large\";s:5:\"param\";N;}}}";
    peer.write_all(&frame(body).repeat(64)).await.expect("sent");
    let closed = notes.wait_for("a connection is closed", 1).await;
    assert_eq!((closed[0].level, closed[0].target), (Level::WARN, SERVER));
    assert_eq!(closed[0].get("why"), "the peer does not take its answers");
    assert!(closed[0].get("peer").starts_with("127.0.0.1:"), "{:#?}", closed[0]);
}

//! What a server holds, by process: a test binary of its own, so that nothing
//! else is counted.
#![cfg(target_os = "linux")]

use std::time::Duration;

use dora_core::call::body::Body;
use dora_core::call::packer::Packer;
use dora_core::call::request::Request;
use dora_core::call::status::Status;
use dora_core::guid::Guid;
use dora_core::pack::envelope::encode_request;
use dora_core::pack::packet::{Call, Calls, RequestPacket};
use dora_core::pack::value::Value;
use dora_core::server::Server;
use dora_core::wire::encoder::Encoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const MIB: usize = 1 << 20;

fn request(name: &str) -> Vec<u8> {
    let packet = RequestPacket {
        calls: Calls::One(Call::new(name.to_owned(), Body::message(Value::Null))),
        ..RequestPacket::default()
    };
    let (encoder, mut out) = (Encoder::new(MIB, None), Vec::new());
    let frame = encoder.begin(dora_core::generation::Generation::Guid, &Guid::random(), &mut out);
    encode_request(Packer::Php, &packet, &mut out).expect("packs");
    encoder.finish(&frame, &mut out).expect("small");
    out
}

/// The most memory that the process has held, in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux");
    let kib: usize = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib << 10
}

/// Each asks for 20 MiB and reads nothing: without a budget for all, each has its
/// own, and they held 5.2 GB.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_that_ask_for_much_and_read_nothing_share_one_budget() {
    const GREEDY: usize = 1000;
    let server = Server::builder().dynamic(|request: Request<Value>| async move {
        let len = if request.called_as().as_str() == "/large" { MIB } else { 1 };
        Ok::<_, Status>(Value::from("x".repeat(len)))
    });
    let stats = server.stats();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(server.serve_with_listener(listener, std::future::pending()));
    let mut modest = TcpStream::connect(address).await.expect("connects");
    let asks = request("/large").repeat(20);
    let mut greedy = Vec::new();
    for _ in 0..GREEDY {
        let mut stream = TcpStream::connect(address).await.expect("connects");
        // The first ones may be closed already.
        stream.write_all(&asks).await.expect("sent");
        greedy.push(stream);
    }
    let start = std::time::Instant::now();
    // Nothing more happens when all have asked, and are served or gone.
    let mut before = None;
    loop {
        let now = stats.snapshot();
        let now = Some((now.answers, now.closed));
        if before == now && now.is_some_and(|(answers, _)| answers as usize >= GREEDY) {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(400), "it goes on and on");
        before = now;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let closed = stats.snapshot().closed;
    assert!(closed > 0 && closed < GREEDY as u64, "{closed} of {GREEDY} were closed");
    assert!(peak() < 512 * MIB, "{} MiB", peak() / MIB);
    // One that reads is served beside them.
    modest.write_all(&request("/small")).await.expect("connected");
    let len = modest.read_u32().await.expect("an answer");
    assert!(len < 1000);
}

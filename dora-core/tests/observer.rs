//! What no layer sees, an observer hears.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dora_core::call::mode::Mode;
use dora_core::call::observe::{Closed, Observer, Traffic};
use dora_core::call::origin::Connection;
use dora_core::call::request::Request;
use dora_core::call::status::Status;
use dora_core::pack::value::Value;
use dora_core::server::Server;
use dora_core::transport::client::endpoint::Endpoint;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Notes what it hears.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn add(&self, note: String) {
        self.0.lock().expect("no panic").push(note);
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().expect("no panic").clone()
    }

    /// Waits until something like `wanted` was heard.
    async fn wait_for(&self, wanted: &str) {
        for _ in 0..500 {
            if self.all().iter().any(|note| note.contains(wanted)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{wanted:?} was not heard: {:?}", self.all());
    }
}

impl Observer for Notes {
    fn connection_accepted(&self, connection: &Connection) {
        self.add(format!("accepted by {}", connection.door()));
    }

    fn connection_closed(&self, connection: &Connection, why: &Closed) {
        assert!(connection.peer().ip().is_some_and(|ip| ip.is_loopback()));
        self.add(format!("closed: {why}"));
    }

    fn frame_refused(&self, _: &Connection, reason: &dyn fmt::Display) {
        self.add(format!("frame: {reason}"));
    }

    fn packet_refused(&self, _: &Connection, status: &Status) {
        self.add(format!("packet: {}", status.raw_code()));
    }

    fn calls_shed(&self, _: &Connection, calls: usize) {
        self.add(format!("shed: {calls}"));
    }

    fn traffic(&self, _: &Connection, traffic: &Traffic) {
        if traffic.requests > 0 {
            self.add(format!("requests: {}", traffic.requests));
        }
        // It harms nobody.
        panic!("an observer that panics");
    }
}

async fn serve(notes: &Notes, change: impl FnOnce(Server) -> Server) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    let echo = |request: Request<Value>| async move {
        if request.mode() == Mode::NoResult {
            std::future::pending::<()>().await;
        }
        Ok(request.into_body())
    };
    let server = change(Server::builder().dynamic(echo)).observer(notes.clone());
    tokio::spawn(server.serve_with_listener(listener, std::future::pending()));
    address
}

/// Sends `bytes` and reads to the end.
async fn send(address: &str, bytes: &[u8]) {
    let mut peer = TcpStream::connect(address).await.expect("it listens");
    peer.write_all(bytes).await.expect("sent");
    // A reset is an end as well.
    let _ = peer.read_to_end(&mut Vec::new()).await;
}

#[tokio::test]
async fn calls_and_closing_peers_are_heard_of() {
    let notes = Notes::default();
    let address = serve(&notes, |server| server).await;
    let channel = Endpoint::new(address).expect("an address").php().connect().await.expect("it listens");
    channel.dynamic().call("/echo", 1).await.expect("an echo");
    notes.wait_for("accepted by dora").await;
    notes.wait_for("requests: 1").await;
    drop(channel);
    notes.wait_for("closed: closed by the peer").await;
}

#[tokio::test]
async fn refused_frames_and_packets_are_heard_of() {
    let notes = Notes::default();
    let address = serve(&notes, |server| server).await;
    send(&address, b"GET / HTTP/1.1\r\n\r\n").await;
    notes.wait_for("frame: ").await;
    notes.wait_for("closed: what came is no frame").await;

    let body = b"a:2:{s:4:\"type\";s:3:\"???\";s:3:\"api\";a:0:{}}";
    let mut frame = u32::try_from(32 + body.len()).expect("short").to_be_bytes().to_vec();
    frame.extend_from_slice(b"0123456789abcdef0123456789abcdef");
    frame.extend_from_slice(body);
    let mut peer = TcpStream::connect(&address).await.expect("it listens");
    peer.write_all(&frame).await.expect("sent");
    notes.wait_for("packet: 100002").await;
}

#[tokio::test]
async fn idle_connections_and_calls_that_are_shed_are_heard_of() {
    let notes = Notes::default();
    let address =
        serve(&notes, |server| server.idle_timeout(Duration::from_millis(50)).max_running_calls(1)).await;
    let channel = Endpoint::new(&*address).expect("an address").php().connect().await.expect("it listens");
    // It runs on, so that the next one is one too many.
    channel.dynamic().call("/rest", 1).no_result().await.expect("accepted");
    channel.dynamic().call("/echo", 1).await.expect_err("too many run");
    notes.wait_for("shed: 1").await;
    let _idle = TcpStream::connect(&address).await.expect("it listens");
    notes.wait_for("closed: idle").await;
}

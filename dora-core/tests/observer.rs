//! What no layer sees, an observer hears.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dora_core::call::code::Code;
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
        assert!(connection.peer().to_string().starts_with("127.0.0.1:"));
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

    fn connection_made(&self, connection: &Connection) {
        self.add(format!("made to {}", connection.peer()));
    }

    fn attempt_failed(&self, _: &Connection, why: &Status) {
        self.add(format!("attempt: {}", why.message()));
        panic!("an observer that panics");
    }

    fn calls_expired(&self, _: &Connection, calls: usize) {
        self.add(format!("expired: {calls}"));
    }

    fn answers_dropped(&self, _: &Connection, late: usize, unknown: usize) {
        self.add(format!("dropped: {late} late, {unknown} unknown"));
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

#[tokio::test]
async fn a_server_that_is_dropped_has_not_drained() {
    for (drains, why) in [(true, "closed: drained"), (false, "closed: lost: whoever served it has let it go")]
    {
        let notes = Notes::default();
        let (listener, address) = listen().await;
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let server = Server::builder()
            .dynamic(|request: Request<Value>| async move { Ok::<_, Status>(request.into_body()) });
        let server = server.observer(notes.clone());
        let served = tokio::spawn(server.serve_with_listener(listener, async { drop(stopped.await) }));
        let _idle = TcpStream::connect(&address).await.expect("it listens");
        notes.wait_for("accepted").await;
        if drains {
            stop.send(()).expect("served");
        } else {
            served.abort();
        }
        notes.wait_for(why).await;
    }
}

/// An address where somebody listens, or did.
async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    (listener, address)
}

fn observed(address: &str, notes: &Notes) -> Endpoint {
    Endpoint::new(address).expect("an address").php().observer(notes.clone())
}

#[tokio::test]
async fn an_endpoint_tells_of_its_connections() {
    let notes = Notes::default();
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        // It reads the request, and is gone with it.
        let (mut peer, _) = listener.accept().await.expect("a client");
        drop(listener);
        peer.read_exact(&mut [0; 40]).await.expect("a request");
    });
    let channel = observed(&address, &notes).connect_lazy().expect("settings");
    channel.dynamic().call("/echo", 1).await.expect_err("the server is gone");
    notes.wait_for(&format!("made to {address}")).await;
    notes.wait_for("closed: lost: the connection is lost").await;
    channel.dynamic().call("/echo", 1).await.expect_err("nothing listens");
    notes.wait_for("attempt: nothing listens").await;
    let stats = channel.stats();
    assert_eq!((stats.connected, stats.lost), (1, 1), "{stats:?}");
    assert!(stats.failed_attempts > 0, "{stats:?}");
}

#[tokio::test]
async fn an_endpoint_tells_of_calls_that_expired_and_of_late_answers() {
    let notes = Notes::default();
    let (listener, address) = listen().await;
    let slow = |request: Request<Value>| async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok::<_, Status>(request.into_body())
    };
    tokio::spawn(Server::builder().dynamic(slow).serve_with_listener(listener, std::future::pending()));
    let channel = observed(&address, &notes).connect().await.expect("it listens");
    let dropped = channel.dynamic().call("/slow", 1).into_future();
    tokio::time::timeout(Duration::from_millis(10), dropped).await.expect_err("it takes longer");
    notes.wait_for("dropped: 1 late, 0 unknown").await;
    assert_eq!(channel.stats().late_answers, 1);
    assert_eq!(channel.stats().expired, 0, "its caller gave it up");
    drop(channel);
    notes.wait_for("closed: no longer needed").await;

    // One that would not say itself that the time is over.
    let (silent, address) = listen().await;
    let channel = observed(&address, &notes).connect().await.expect("it listens");
    let _peer = silent.accept().await.expect("a client");
    let expired = channel.dynamic().call("/slow", 1).timeout(Duration::from_millis(10));
    expired.await.expect_err("nobody answers");
    notes.wait_for("expired: 1").await;
    assert_eq!(channel.stats().expired, 1);
}

#[tokio::test]
async fn an_endpoint_tells_of_calls_that_it_sheds() {
    let notes = Notes::default();
    let endpoint = observed("127.0.0.1:1", &notes).max_buffered(1);
    let never = endpoint.connect_with(|_| std::future::pending::<std::io::Result<TcpStream>>());
    let channel = never.connect_lazy().expect("settings");
    // It waits for the connection, and the next one finds no room behind it.
    let first = channel.dynamic().call("/echo", 1).spawn();
    while channel.in_flight() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let status = channel.dynamic().call("/echo", 1).await.expect_err("there is no room");
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    notes.wait_for("shed: 1").await;
    assert_eq!(channel.stats().shed, 1);
    first.abort();
}

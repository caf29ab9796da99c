//! What a server listens on.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use dora_core::call::request::Request;
use dora_core::call::status::Status;
use dora_core::pack::value::Value;
use dora_core::server::{ServeError, Server};
use dora_core::transport::client::endpoint::Endpoint;
use dora_core::transport::server::incoming::Incoming;
use dora_core::value;
use futures_util::stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::oneshot;

const PATIENCE: Duration = Duration::from_secs(30);

fn echo() -> Server {
    Server::builder().dynamic(|request: Request<Value>| async move { Ok::<_, Status>(request.into_body()) })
}

async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("in time")
}

async fn assert_answers(endpoint: Endpoint) {
    let channel = soon(endpoint.php().connect()).await.expect("connects");
    let answer = soon(channel.dynamic().call("/echo", value!(7)).into_future()).await;
    assert_eq!(answer.expect("answered"), value!(7));
}

/// A path for a socket, in a folder of its own.
fn path(name: &str) -> String {
    let folder = std::env::temp_dir().join(format!("dora-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder.join("server.sock").to_str().expect("UTF-8").to_owned()
}

async fn until_it_listens(path: &str) {
    let start = std::time::Instant::now();
    while tokio::net::UnixStream::connect(path).await.is_err() {
        assert!(start.elapsed() < PATIENCE, "nobody listens on {path}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_unix_socket_is_written_as_users_write_it_and_goes_with_its_server() {
    let path = path("written");
    let (stop, stopped) = oneshot::channel::<()>();
    let address = format!("unix:{path}");
    let served = tokio::spawn(echo().serve_with_shutdown(address.clone(), async { drop(stopped.await) }));
    until_it_listens(&path).await;
    assert_answers(Endpoint::new(address.clone()).expect("an address")).await;
    let taken = echo().serve(address).await.expect_err("somebody listens");
    assert!(
        matches!(&taken, ServeError::Listen(error) if error.kind() == io::ErrorKind::AddrInUse),
        "{taken}"
    );
    drop(stop);
    soon(served).await.expect("no panic").expect("served");
    assert!(!std::fs::exists(&path).expect("a folder"), "the path is left as it was");
}

#[tokio::test]
async fn a_path_that_a_dead_server_left_is_taken_over() {
    let path = path("left");
    drop(UnixListener::bind(&path).expect("a socket"));
    tokio::spawn(echo().serve(format!("unix:{path}")));
    until_it_listens(&path).await;
    assert_answers(Endpoint::new(format!("unix:{path}")).expect("an address")).await;
}

#[tokio::test]
async fn what_is_no_socket_is_not_replaced() {
    let path = path("file");
    std::fs::write(&path, "precious").expect("written");
    assert!(echo().share_address().serve(format!("unix:{path}")).await.is_err());
    assert_eq!(std::fs::read_to_string(&path).expect("there"), "precious");
}

#[tokio::test]
async fn a_successor_takes_a_path_and_its_predecessor_leaves_it() {
    let path = path("successor");
    let (stop, stopped) = oneshot::channel::<()>();
    let old = echo().serve_with_shutdown(format!("unix:{path}"), async { drop(stopped.await) });
    let old = tokio::spawn(old);
    until_it_listens(&path).await;
    let inode = std::fs::metadata(&path).expect("a socket").ino();
    tokio::spawn(echo().share_address().serve(format!("unix:{path}")));
    while std::fs::metadata(&path).expect("there is always one").ino() == inode {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(stop);
    soon(old).await.expect("no panic").expect("served");
    assert_answers(Endpoint::new(format!("unix:{path}")).expect("an address")).await;
}

#[tokio::test]
async fn what_is_no_address_is_refused_with_the_mend() {
    let error = echo().serve("http://0.0.0.0:9567").await.expect_err("no address").to_string();
    assert!(error.contains("write \"0.0.0.0:9567\""), "{error}");
}

#[tokio::test]
async fn connections_come_from_a_stream_and_the_server_ends_with_it() {
    let (near, far) = duplex(64 << 10);
    let incoming =
        stream::iter([Err(io::Error::from(io::ErrorKind::ConnectionReset)), Ok(Incoming::new(far))]);
    let served = tokio::spawn(echo().serve_incoming(incoming, std::future::pending()));
    let near = std::sync::Mutex::new(Some(near));
    let endpoint = Endpoint::new("memory:1").expect("an address").connect_with(move |_| {
        let near = near.lock().expect("no panic").take();
        async move { near.ok_or_else(|| io::ErrorKind::ConnectionRefused.into()) }
    });
    assert_answers(endpoint).await;
    soon(served).await.expect("no panic").expect("served");
}

/// As a door does that reads the first bytes to find out whom a connection is for.
#[tokio::test]
async fn a_connection_is_handed_over_with_what_was_read_of_it() {
    let server = echo().connections().expect("no name is claimed twice");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let endpoint = Endpoint::new(address).expect("an address");
    let door = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("accepted");
        let mut first = [0; 7];
        stream.read_exact(&mut first).await.expect("a request");
        tokio::spawn(server.serve(Incoming::from(stream).first(first.to_vec())));
        server
    });
    assert_answers(endpoint).await;
    soon(soon(door).await.expect("no panic").drain()).await;
}

/// All that has finished its handshake is served, however late it is accepted.
#[tokio::test]
async fn who_has_connected_when_the_server_is_told_to_stop_is_served() {
    const CALLERS: usize = 100;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let request = {
        let mut body = Vec::new();
        let call = dora_core::pack::packet::RequestPacket {
            calls: dora_core::pack::packet::Calls::One(dora_core::pack::packet::Call {
                name: "/echo".to_owned().into(),
                param: dora_core::call::body::Body::message(value!(7)),
                timeout: None,
                metadata: Default::default(),
                raw: None,
            }),
            ..Default::default()
        };
        let php = dora_core::call::packer::Packer::Php;
        dora_core::pack::envelope::encode_request(php, &call, &mut body).expect("packs");
        let mut frame = u32::try_from(32 + body.len()).expect("small").to_be_bytes().to_vec();
        frame.extend_from_slice(&[b'0'; 32]);
        frame.extend_from_slice(&body);
        frame
    };
    let mut callers = Vec::new();
    for _ in 0..CALLERS {
        let mut stream = soon(TcpStream::connect(address)).await.expect("in the queue");
        stream.write_all(&request).await.expect("sent");
        callers.push(stream);
    }
    // Told to stop before it has accepted anyone.
    soon(echo().serve_with_listener(listener, std::future::ready(()))).await.expect("served");
    for mut stream in callers {
        let mut answer = Vec::new();
        soon(stream.read_to_end(&mut answer)).await.expect("no reset");
        assert!(answer.len() > 36, "it is answered");
    }
}

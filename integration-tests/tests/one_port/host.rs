//! One server, all doors, one port.

use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use dora::connect::Connect;
use dora::http::Forms;
use dora::swoft::Swoft;
use dora::tls::{Identity, ServerTls};
use dora::{Request, RequestOrigin, Server, Value};
use dora_integration_tests::raw::PATIENCE;
use rcgen::{CertificateParams, KeyPair};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::library::library_server::LibraryServer;
use crate::shelves::Shelves;

/// A server that ends when this is dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    ended: Option<thread::JoinHandle<()>>,
}

impl Running {
    /// Says through which door it was called, after `param.us` microseconds.
    pub(crate) fn start(set: impl FnOnce(Server) -> Server) -> Self {
        Self::with(Swoft::v2(), set)
    }

    /// With another door for Swoft, as both of its versions begin alike.
    pub(crate) fn with(swoft: Swoft, set: impl FnOnce(Server) -> Server) -> Self {
        let door = |request: Request<Value>| async move {
            let us = request.body().get(0).and_then(Value::as_int).unwrap_or(0);
            tokio::time::sleep(Duration::from_micros(us.unsigned_abs())).await;
            Ok(Value::from(request.origin().map_or("none", RequestOrigin::door)))
        };
        let server = Server::builder().dynamic(door).add_service(LibraryServer::new(Shelves::default()));
        let server = server.same_port(Forms::new()).same_port(swoft).same_port(Connect::new());
        let server = set(server);
        let (sender, receiver) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                sender.send(listener.local_addr().expect("bound")).expect("the test waits");
                server.serve_with_listener(listener, async { drop(stopped.await) }).await.expect("it serves");
            });
        });
        let address = receiver.recv_timeout(PATIENCE).expect("it listens");
        Self { address, stop: Some(stop), ended: Some(ended) }
    }

    /// Drains it, and waits for its end.
    pub(crate) fn drain(&mut self) {
        drop(self.stop.take());
        self.ended.take().expect("once").join().expect("no panic");
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("it accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("a setting");
        stream
    }
}

/// A certificate for `localhost`, as PEM, and TLS that shows it.
pub(crate) fn certified() -> (String, ServerTls) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("params");
    let certificate = params.self_signed(&key).expect("a certificate").pem();
    let identity = Identity::from_pem(&certificate, key.serialize_pem()).expect("an identity");
    (certificate, ServerTls::new(identity))
}

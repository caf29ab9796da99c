//! The library, served.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;

use dora::Server;
use dora::connect::Connect;
use dora_integration_tests::raw::PATIENCE;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::library::library_server::LibraryServer;
use crate::shelves::Shelves;

/// A server that stops when this is dropped.
pub(crate) struct Host {
    pub(crate) address: SocketAddr,
    pub(crate) shelves: Shelves,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Host {
    pub(crate) fn start() -> Self {
        Self::with(|server| server, Connect::new())
    }

    /// With limits, and a door, of one's own.
    pub(crate) fn with(set: impl FnOnce(Server) -> Server, door: Connect) -> Self {
        let shelves = Shelves::default();
        let server = set(Server::builder().add_service(LibraryServer::new(shelves.clone())));
        let (sender, receiver) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let dora = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                let http = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                sender.send(http.local_addr().expect("bound")).expect("the test waits");
                let server = server.door_with_listener(http, door);
                server.serve_with_listener(dora, async { drop(stopped.await) }).await.expect("it serves");
            });
        });
        let address = receiver.recv_timeout(PATIENCE).expect("it listens");
        Self { address, shelves, stop: Some(stop), thread: Some(thread) }
    }

    /// Tells it to drain.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// The URL of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "the server panicked");
        }
    }
}

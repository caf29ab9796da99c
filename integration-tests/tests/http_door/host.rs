//! Servers to call.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::mpsc;
use std::thread;

use dora::http::Forms;
use dora::{Control, Server};
use dora_integration_tests::process::{Process, binary};
use dora_integration_tests::raw::PATIENCE;
use tokio::net::TcpListener;

use crate::api;

/// The `legacy-server` example, as a process.
pub(crate) struct LegacyServer {
    pub(crate) http: SocketAddr,
    pub(crate) process: Process,
}

impl LegacyServer {
    pub(crate) fn start() -> Self {
        let path = binary("legacy-server").expect("it builds");
        let mut command = Command::new(path);
        command.args(["--tcp", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
        let mut process = Process::spawn(&mut command).expect("it starts");
        let line = process.line(PATIENCE).expect("a line").unwrap_or_default();
        let http = line.split_once(" http ").and_then(|(_, address)| address.trim().parse().ok());
        let http = http.unwrap_or_else(|| panic!("it said {line:?} and {}", process.errors()));
        Self { http, process }
    }
}

/// Serves the reference service within this process through `door`, until the tests end.
pub(crate) fn serve(server: Server, door: Forms) -> SocketAddr {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        runtime.expect("a runtime").block_on(async move {
            let dora = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let http = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            sender.send(http.local_addr().expect("bound")).expect("the test waits");
            let server = server.door_with_listener(http, door);
            server.serve_with_listener(dora, std::future::pending()).await
        })
    });
    receiver.recv_timeout(PATIENCE).expect("it listens")
}

/// The reference service, with control commands.
pub(crate) fn reference() -> Server {
    Server::builder().dynamic(api::call).control(Control::enabled())
}

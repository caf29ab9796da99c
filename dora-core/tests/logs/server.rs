//! What a server says of its peers and of itself.

use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;

use dora_core::call::request::Request;
use dora_core::call::status::Status;
use dora_core::pack::value::Value;
use dora_core::server::Server;
use dora_core::transport::client::endpoint::Endpoint;
use dora_core::transport::server::cost::Execution;
use tokio::net::TcpListener;
use tracing::Level;
use tracing::level_filters::LevelFilter;

use crate::capture::capture;

const SERVER: &str = "dora::server";

/// Panics as it is told to, at the first poll or a later one, or echoes.
fn server() -> Server {
    Server::builder().dynamic(|request: Request<Value>| async move {
        match request.method().as_str() {
            "/panic" => panic!("at once"),
            "/panic-late" => {
                tokio::time::sleep(Duration::from_millis(1)).await;
                panic!("while it is parked")
            }
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
        let channel = Endpoint::new(address).expect("an address").php().connect().await.expect("connects");
        channel.dynamic().call(name, 1).await.expect_err("it panics");
        let told = notes.event("a handler panicked");
        assert_eq!((told.level, told.target), (Level::ERROR, SERVER));
        assert_eq!((told.get("method"), told.get("panic")), (name, text), "{told:#?}");
        assert!(told.get("peer").starts_with("127.0.0.1:"), "{told:#?}");
    }
}

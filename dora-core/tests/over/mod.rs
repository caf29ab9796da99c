//! What carries connections in tests: TCP, Unix sockets, TLS, and pairs of streams in
//! memory.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use dora_core::middleware::route::Router;
use dora_core::middleware::serves::Serves;
use dora_core::server::Server;
use dora_core::transport::client::endpoint::Endpoint;
use dora_core::transport::client::tls::ClientTls;
use dora_core::transport::io::tls::identity::Identity;
use dora_core::transport::io::tls::trust::Trust;
use dora_core::transport::server::incoming::Incoming;
use dora_core::transport::server::tls::ServerTls;
use futures_util::stream;
use rcgen::{CertificateParams, KeyPair};
use tokio::io::{DuplexStream, duplex};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::mpsc;
use tower::Layer;

/// What carries the connections of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    Tcp,
    Unix,
    Tls,
    Memory,
}

/// Where a server is reached.
#[derive(Clone)]
pub(crate) enum Target {
    Tcp(SocketAddr),
    Tls(SocketAddr),
    Unix(String),
    Memory(mpsc::UnboundedSender<DuplexStream>),
}

/// A certificate for 127.0.0.1 that signs itself, and its key, as PEM.
pub(crate) static CERTIFICATE: LazyLock<(String, String)> = LazyLock::new(|| {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
    (params.self_signed(&key).expect("signed").pem(), key.serialize_pem())
});

/// The server's end of TLS.
fn with_tls<L>(server: Server<L>) -> Server<L> {
    let (certificate, key) = &*CERTIFICATE;
    server.tls(ServerTls::new(Identity::from_pem(certificate, key).expect("an identity")))
}

/// A path for a socket that nobody has.
pub(crate) fn socket_path() -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::SeqCst);
    std::env::temp_dir().join(format!("dora-{}-{count}.sock", std::process::id()))
}

/// Listens; the serving, not yet begun.
pub(crate) async fn listen<L, S>(
    over: Over,
    server: Server<L>,
    signal: impl Future<Output = ()> + Send + 'static,
) -> (Target, Pin<Box<dyn Future<Output = ()> + Send>>)
where
    L: Layer<Router, Service = S> + Send + 'static,
    S: Serves,
{
    match over {
        Over::Unix => {
            let path = socket_path();
            let target = Target::Unix(path.to_str().expect("UTF-8").to_owned());
            let listener = UnixListener::bind(&path).expect("a path");
            let serving = Box::pin(async move {
                server.serve_with_listener(listener, signal).await.expect("serves");
                drop(std::fs::remove_file(path));
            });
            (target, serving)
        }
        Over::Memory => {
            let (sender, receiver) = mpsc::unbounded_channel();
            let incoming = stream::unfold(receiver, |mut receiver| async {
                let far: DuplexStream = receiver.recv().await?;
                Some((Ok::<_, std::io::Error>(Incoming::new(far)), receiver))
            });
            let serving = Box::pin(async move {
                server.serve_incoming(Box::pin(incoming), signal).await.expect("serves");
            });
            (Target::Memory(sender), serving)
        }
        Over::Tcp | Over::Tls => {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("bound");
            let (target, server) = match over {
                Over::Tls => (Target::Tls(address), with_tls(server)),
                _ => (Target::Tcp(address), server),
            };
            let serving = Box::pin(async move {
                server.serve_with_listener(listener, signal).await.expect("serves");
            });
            (target, serving)
        }
    }
}

impl Target {
    pub(crate) fn endpoint(&self) -> Endpoint {
        let endpoint = |address: String| Endpoint::new(address).expect("an address");
        match self {
            Self::Tcp(address) => endpoint(address.to_string()),
            Self::Tls(address) => {
                let trust = Trust::from_pem(&CERTIFICATE.0).expect("a trust");
                endpoint(address.to_string()).tls(ClientTls::new(trust))
            }
            Self::Unix(path) => endpoint(format!("unix:{path}")),
            Self::Memory(sender) => {
                let sender = sender.clone();
                endpoint("memory:1".to_owned()).connect_with(move |_| {
                    let (near, far) = duplex(64 << 10);
                    let sent = sender.send(far);
                    async move {
                        sent.map_err(|_| std::io::Error::from(std::io::ErrorKind::ConnectionRefused))?;
                        Ok(near)
                    }
                })
            }
        }
    }
}

//! What the connections of a run go over. Every test goes over TCP; once more over
//! the others go those that are not about TCP itself (`matrix.rs`).

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};

use dora_core::server::Server;
use dora_core::transport::client::endpoint::Endpoint;
use dora_core::transport::client::tls::ClientTls;
use dora_core::transport::io::tls::identity::Identity;
use dora_core::transport::io::tls::trust::Trust;
use dora_core::transport::server::incoming::Incoming;
use dora_core::transport::server::tls::ServerTls;
use futures_util::stream;
use rcgen::{CertificateParams, KeyPair};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

/// The variable of the environment that says what a run goes over.
pub(crate) const OVER: &str = "DORA_TEST_OVER";

/// Where a server of this run is reached.
#[derive(Clone)]
pub(crate) enum Target {
    Tcp(SocketAddr),
    Tls(SocketAddr),
    Unix(String),
    Memory(mpsc::UnboundedSender<DuplexStream>),
}

/// Both ends' certificates.
struct Certificates {
    identity: Identity,
    trust: Trust,
    der: CertificateDer<'static>,
}

static CERTIFICATES: LazyLock<Certificates> = LazyLock::new(|| {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("signed");
    let (der, certificate) = (certificate.der().clone(), certificate.pem());
    Certificates {
        der,
        identity: Identity::from_pem(&certificate, key.serialize_pem()).expect("an identity"),
        trust: Trust::from_pem(&certificate).expect("a trust"),
    }
});

fn run_goes_over() -> String {
    std::env::var(OVER).unwrap_or_else(|_| "tcp".to_owned())
}

/// Listens on what this run goes over; the serving, not yet begun.
pub(crate) async fn listen(
    server: Server,
    signal: impl Future<Output = ()> + Send + 'static,
) -> (Target, Pin<Box<dyn Future<Output = ()> + Send>>) {
    match run_goes_over().as_str() {
        "unix" => {
            static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
            let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let path = std::env::temp_dir().join(format!("dora-{}-{count}.sock", std::process::id()));
            let target = Target::Unix(path.to_str().expect("UTF-8").to_owned());
            let listener = UnixListener::bind(&path).expect("a path");
            let serving = Box::pin(async move {
                server.serve_with_listener(listener, signal).await.expect("serves");
                drop(std::fs::remove_file(path));
            });
            (target, serving)
        }
        "memory" => {
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
        over => {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("bound");
            let (target, server) = match over {
                "tcp" => (Target::Tcp(address), server),
                "tls" => (Target::Tls(address), server.tls(ServerTls::new(CERTIFICATES.identity.clone()))),
                other => panic!("{OVER}={other}"),
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
                endpoint(address.to_string()).tls(ClientTls::new(CERTIFICATES.trust.clone()))
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

    pub(crate) async fn connect(&self) -> Wire {
        match self {
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address).await.expect("connects");
                stream.set_nodelay(true).expect("a socket");
                Wire::Tcp(stream)
            }
            Self::Tls(address) => {
                let stream = TcpStream::connect(address).await.expect("connects");
                stream.set_nodelay(true).expect("a socket");
                Wire::Other(Box::new(tls(stream).await))
            }
            Self::Unix(path) => Wire::Other(Box::new(UnixStream::connect(path).await.expect("connects"))),
            Self::Memory(sender) => {
                let (near, far) = duplex(64 << 10);
                sender.send(far).expect("served");
                Wire::Other(Box::new(near))
            }
        }
    }
}

async fn tls(stream: TcpStream) -> impl AsyncRead + AsyncWrite + Send + Unpin {
    let mut roots = RootCertStore::empty();
    roots.add(CERTIFICATES.der.clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("shakes hands")
}

/// A connection of a peer that is made by hand.
pub(crate) enum Wire {
    Tcp(TcpStream),
    Other(Box<dyn Io>),
}

pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

impl Wire {
    fn io(&mut self) -> Pin<&mut dyn Io> {
        match self {
            Self::Tcp(stream) => Pin::new(stream),
            Self::Other(stream) => Pin::new(stream),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        self.get_mut().io().poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        self.get_mut().io().poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.get_mut().io().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.get_mut().io().poll_shutdown(cx)
    }
}

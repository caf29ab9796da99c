//! What the connections of a run go over. Test peers speak TCP; a run over
//! something else puts that between them and the end that is tested.

use std::io;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use dora::tls::{ClientTls, Identity, ServerTls, Trust};
use dora::{Endpoint, Incoming, Server};
use futures_util::stream;
use rcgen::{CertificateParams, KeyPair};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, copy, duplex, split};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig, crypto::ring};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// The variable of the environment that says what a run goes over.
const OVER: &str = "DORA_TEST_OVER";

/// What carries connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// TCP: what every test goes over.
    Tcp,
    /// A Unix socket.
    Unix,
    /// TLS over TCP.
    Tls,
    /// A pair of streams in memory.
    Memory,
}

/// What this run goes over.
///
/// # Panics
///
/// When the environment names something else.
#[must_use]
pub fn over() -> Over {
    match std::env::var(OVER).as_deref() {
        Err(_) => Over::Tcp,
        Ok("unix") => Over::Unix,
        Ok("tls") => Over::Tls,
        Ok("memory") => Over::Memory,
        Ok(other) => panic!("{OVER}={other}"),
    }
}

/// Runs `tests` of this program once more, as processes whose connections go over
/// everything but TCP.
///
/// # Panics
///
/// When one of them fails, or there is none.
pub fn run_over_others(tests: &[&str]) {
    for over in ["unix", "tls", "memory"] {
        let program = std::env::current_exe().expect("this test");
        let run = Command::new(program).args(tests).env(OVER, over).output().expect("it runs");
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success(), "over {over}:\n{said}");
        let passed = said.lines().filter(|line| line.ends_with(" ... ok")).count();
        assert_eq!(passed, tests.len(), "over {over}:\n{said}");
    }
}

/// A certificate for 127.0.0.1 that signs itself, and its key, as PEM.
static CERTIFICATE: LazyLock<(String, String)> = LazyLock::new(|| {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
    (params.self_signed(&key).expect("signed").pem(), key.serialize_pem())
});

fn path() -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::SeqCst);
    let path = std::env::temp_dir().join(format!("dora-over-{}-{count}.sock", std::process::id()));
    path.to_str().expect("UTF-8").to_owned()
}

/// Runs `setup` on a runtime in a thread of its own, which lives as long as the
/// process, and hands over what it comes to.
fn aside<T: Send + 'static>(setup: impl Future<Output = T> + Send + 'static) -> T {
    let (sender, receiver) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            sender.send(setup.await).expect("awaited");
            std::future::pending::<()>().await;
        });
    });
    receiver.recv().expect("set up")
}

/// Serves over what this run goes over; the TCP port that leads there.
///
/// # Panics
///
/// When nothing can be listened on.
#[must_use]
pub fn serve(server: Server) -> SocketAddr {
    aside(async {
        let front = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = front.local_addr().expect("bound");
        match over() {
            Over::Tcp => {
                tokio::spawn(server.serve_with_listener(front, std::future::pending()));
            }
            Over::Unix => {
                let path = path();
                let listener = UnixListener::bind(&path).expect("a path");
                tokio::spawn(server.serve_with_listener(listener, std::future::pending()));
                tokio::spawn(forward(front, move || UnixStream::connect(path.clone())));
            }
            Over::Tls => {
                let (chain, key) = &*CERTIFICATE;
                let identity = Identity::from_pem(chain, key).expect("an identity");
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
                let address = listener.local_addr().expect("bound");
                let server = server.tls(ServerTls::new(identity));
                tokio::spawn(server.serve_with_listener(listener, std::future::pending()));
                tokio::spawn(forward(front, move || tls_connect(address)));
            }
            Over::Memory => {
                let (sender, receiver) = mpsc::unbounded_channel();
                let incoming = stream::unfold(receiver, |mut receiver| async {
                    let far: DuplexStream = receiver.recv().await?;
                    Some((Ok::<_, io::Error>(Incoming::new(far)), receiver))
                });
                tokio::spawn(server.serve_incoming(Box::pin(incoming), std::future::pending()));
                tokio::spawn(forward(front, move || {
                    let (near, far) = duplex(64 << 10);
                    let sent = sender.send(far).map_err(|_| io::ErrorKind::ConnectionRefused.into());
                    async move { sent.map(|()| near) }
                }));
            }
        }
        address
    })
}

/// An endpoint whose connections reach the TCP port `server` over what this run
/// goes over.
///
/// # Panics
///
/// When nothing can be listened on.
#[must_use]
pub fn endpoint(server: SocketAddr) -> Endpoint {
    let endpoint = |address: String| Endpoint::new(address).expect("an address");
    match over() {
        Over::Tcp => endpoint(server.to_string()),
        Over::Unix => {
            let path = path();
            let front = path.clone();
            aside(async move {
                let front = UnixListener::bind(front).expect("a path");
                tokio::spawn(async move {
                    while let Ok((near, _)) = front.accept().await {
                        join(near, TcpStream::connect(server));
                    }
                });
            });
            endpoint(format!("unix:{path}"))
        }
        Over::Tls => {
            let address = aside(async move {
                let front = TcpListener::bind("127.0.0.1:0").await.expect("a port");
                let address = front.local_addr().expect("bound");
                tokio::spawn(async move {
                    let acceptor = tls_acceptor();
                    while let Ok((near, _)) = front.accept().await {
                        let near = acceptor.accept(near).await.expect("shakes hands");
                        join(near, TcpStream::connect(server));
                    }
                });
                address
            });
            let trust = Trust::from_pem(&CERTIFICATE.0).expect("a trust");
            endpoint(address.to_string()).tls(ClientTls::new(trust))
        }
        Over::Memory => endpoint("memory:1".to_owned()).connect_with(move |_| async move {
            let (near, far) = duplex(64 << 10);
            join(far, TcpStream::connect(server));
            Ok(near)
        }),
    }
}

/// Leads each connection of `front` on to what `connect` makes.
async fn forward<F, Fut, T>(front: TcpListener, connect: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = io::Result<T>> + Send + 'static,
    T: AsyncRead + AsyncWrite + Send + 'static,
{
    while let Ok((near, _)) = front.accept().await {
        join(near, connect());
    }
}

/// Carries bytes both ways, each until its end: what one side still says is heard
/// though the other has gone.
fn join<A, B>(near: A, far: impl Future<Output = io::Result<B>> + Send + 'static)
where
    A: AsyncRead + AsyncWrite + Send + 'static,
    B: AsyncRead + AsyncWrite + Send + 'static,
{
    tokio::spawn(async move {
        let (mut near_read, mut near_write) = split(near);
        let (mut far_read, mut far_write) = split(far.await.expect("it listens"));
        let there = async {
            let _ = copy(&mut near_read, &mut far_write).await;
            let _ = far_write.shutdown().await;
        };
        let back = async {
            let _ = copy(&mut far_read, &mut near_write).await;
            let _ = near_write.shutdown().await;
        };
        tokio::join!(there, back);
    });
}

async fn tls_connect(address: SocketAddr) -> io::Result<impl AsyncRead + AsyncWrite + Send + 'static> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE.0.as_bytes()).expect("PEM");
    roots.add(certificate).expect("a certificate");
    let config = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    let stream = TcpStream::connect(address).await?;
    TlsConnector::from(std::sync::Arc::new(config)).connect(name, stream).await
}

fn tls_acceptor() -> TlsAcceptor {
    let (chain, key) = &*CERTIFICATE;
    let certificate = CertificateDer::from_pem_slice(chain.as_bytes()).expect("PEM");
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
    let config = ServerConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("they fit");
    TlsAcceptor::from(std::sync::Arc::new(config))
}

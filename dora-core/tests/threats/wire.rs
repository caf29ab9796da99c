//! Connections of peers that are made by hand, over whatever carries them.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, duplex};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::over::{CERTIFICATE, Over, Target, socket_path};

impl Target {
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
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE.0.as_bytes()).expect("a certificate");
    roots.add(certificate).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("shakes hands")
}

/// Accepts connections and hands them over as they are, the handshake of TLS done.
pub(crate) fn accepting(over: Over) -> (Target, mpsc::UnboundedReceiver<Wire>) {
    let (sender, accepted) = mpsc::unbounded_channel();
    let target = match over {
        Over::Memory => {
            let (target, mut streams) = mpsc::unbounded_channel();
            tokio::spawn(async move {
                while let Some(stream) = streams.recv().await
                    && sender.send(Wire::Other(Box::new(stream))).is_ok()
                {}
            });
            Target::Memory(target)
        }
        Over::Unix => {
            let path = SocketPath(socket_path());
            let target = Target::Unix(path.0.to_str().expect("UTF-8").to_owned());
            let listener = UnixListener::bind(&path.0).expect("a path");
            tokio::spawn(async move {
                let _path = path;
                while let Ok((stream, _)) = listener.accept().await
                    && sender.send(Wire::Other(Box::new(stream))).is_ok()
                {}
            });
            target
        }
        Over::Tcp | Over::Tls => {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
            listener.set_nonblocking(true).expect("a socket");
            let address = listener.local_addr().expect("bound");
            let listener = TcpListener::from_std(listener).expect("a runtime");
            let acceptor = (over == Over::Tls).then(acceptor);
            tokio::spawn(accept(listener, acceptor, sender));
            if over == Over::Tls { Target::Tls(address) } else { Target::Tcp(address) }
        }
    };
    (target, accepted)
}

/// Goes with its test.
struct SocketPath(PathBuf);

impl Drop for SocketPath {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, sender: mpsc::UnboundedSender<Wire>) {
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).expect("a socket");
        let wire = match &tls {
            None => Wire::Tcp(stream),
            // Who has gone already makes no connection.
            Some(tls) => match tls.accept(stream).await {
                Ok(stream) => Wire::Other(Box::new(stream)),
                Err(_) => continue,
            },
        };
        if sender.send(wire).is_err() {
            return;
        }
    }
}

fn acceptor() -> TlsAcceptor {
    let (certificate, key) = &*CERTIFICATE;
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a pair");
    TlsAcceptor::from(Arc::new(config))
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

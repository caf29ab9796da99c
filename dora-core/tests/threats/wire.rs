//! Connections of peers that are made by hand, over whatever carries them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, duplex};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

use crate::over::{CERTIFICATE, Target};

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

//! TLS on the client's end.

use std::io;
use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::pki_types::{IpAddr, ServerName};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};

use crate::transport::io::address::Address;
use crate::transport::io::alpn::ALPN;
use crate::transport::io::stream::Stream;
use crate::transport::io::tls::error::TlsError;
use crate::transport::io::tls::identity::Identity;
use crate::transport::io::tls::trust::Trust;
use crate::transport::io::tls::{Cached, provider};

use super::dial::Upgrade;
use super::endpoint::Endpoint;

/// How a client speaks TLS.
///
/// ```no_run
/// use dora::Endpoint;
/// use dora::tls::ClientTls;
/// use dora::tls::Identity;
/// use dora::tls::Trust;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let trust = Trust::from_file("ca.pem")?;
/// let identity = Identity::from_files("client.pem", "client.key")?;
/// let tls = ClientTls::new(trust).identity(identity.clone());
/// let endpoint = Endpoint::new("users.internal:9567")?.tls(tls);
/// // Later, when there is a new certificate:
/// identity.reload(&Identity::from_files("client.pem", "client.key")?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ClientTls {
    trust: Trust,
    identity: Option<Identity>,
    server_name: Option<ServerName<'static>>,
    alpn: Vec<Vec<u8>>,
}

impl ClientTls {
    /// TLS to servers whose certificate an authority of `trust` has signed, for
    /// the host of the endpoint's address.
    #[must_use]
    pub fn new(trust: Trust) -> Self {
        Self { trust, identity: None, server_name: None, alpn: vec![ALPN.to_vec()] }
    }

    /// Shows this certificate to servers that ask for one (mTLS).
    #[must_use]
    pub fn identity(self, identity: Identity) -> Self {
        Self { identity: Some(identity), ..self }
    }

    /// The name that the server's certificate must be for, in place of the
    /// address's host. A Unix socket has none, and needs one here.
    ///
    /// # Errors
    /// It is neither a host name nor an IP address.
    pub fn server_name(self, name: &str) -> Result<Self, TlsError> {
        Ok(Self { server_name: Some(name_of(name)?), ..self })
    }

    /// The protocols that are offered (ALPN), in place of [`ALPN`]; none: nothing
    /// is offered.
    #[must_use]
    pub fn alpn(self, protocols: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        Self { alpn: protocols.into_iter().map(Into::into).collect(), ..self }
    }

    fn config(
        &self,
        roots: Option<Arc<RootCertStore>>,
        key: Option<Arc<CertifiedKey>>,
    ) -> Result<ClientConfig, TlsError> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots.unwrap_or_else(|| self.trust.current()));
        let mut config = match key {
            Some(key) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key))),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols.clone_from(&self.alpn);
        config.resumption = Resumption::in_memory_sessions(8);
        Ok(config)
    }

    fn name(&self, address: &Address) -> Result<ServerName<'static>, TlsError> {
        match (&self.server_name, address) {
            (Some(name), _) => Ok(name.clone()),
            (None, Address::Tcp { host, .. }) => name_of(host),
            (None, Address::Unix(_)) => Err(TlsError::ServerName(address.to_string())),
        }
    }
}

fn name_of(name: &str) -> Result<ServerName<'static>, TlsError> {
    // Without the zone of a link-local address.
    let host = name.split('%').next().unwrap_or_default();
    if let Ok(address) = host.parse::<std::net::IpAddr>() {
        return Ok(ServerName::IpAddress(IpAddr::from(address)));
    }
    ServerName::try_from(host.to_owned()).map_err(|_| TlsError::ServerName(name.to_owned()))
}

impl Endpoint {
    /// Speaks TLS on its connections. Default: plain.
    #[must_use]
    pub fn tls(self, tls: ClientTls) -> Self {
        let shared = Arc::new((tls, Cached::default()));
        self.over(Arc::new(move |stream, address| {
            let shared = Arc::clone(&shared);
            Box::pin(async move { handshake(&shared.0, &shared.1, stream, &address).await })
        }))
    }

    fn over(mut self, upgrade: Arc<Upgrade>) -> Self {
        self.connector.upgrade = Some(upgrade);
        self
    }
}

async fn handshake(
    tls: &ClientTls,
    config: &Cached<ClientConfig>,
    stream: Stream,
    address: &Address,
) -> io::Result<Stream> {
    let made = config.get(Some(&tls.trust), tls.identity.as_ref(), |roots, key| tls.config(roots, key));
    let connector = TlsConnector::from(made.map_err(io::Error::other)?);
    let name = tls.name(address).map_err(io::Error::other)?;
    let stream = connector.connect(name, stream).await.map_err(explain)?;
    Ok(Stream::Other(Box::new(Shaken(stream))))
}

/// A stream whose handshake is done on this end. The server may still refuse it,
/// which the first read tells: a client's certificate is looked at last.
struct Shaken(TlsStream<Stream>);

impl AsyncRead for Shaken {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf).map_err(alerted)
    }
}

impl AsyncWrite for Shaken {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// A failed handshake, and what would mend it.
#[derive(Debug, thiserror::Error)]
#[error("TLS: {source}{hint}")]
struct HandshakeError {
    source: io::Error,
    hint: &'static str,
}

fn explain(source: io::Error) -> io::Error {
    let cause = source.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    let closed = " (the server closed in place of its part of the handshake: it may not speak TLS on this port; take \
                  `.tls(..)` off the endpoint, or give the server one)";
    let hint = match (cause, source.kind()) {
        (Some(cause), _) => mend(cause),
        (None, UnexpectedEof | ConnectionReset | BrokenPipe) => closed,
        (None, _) => "",
    };
    io::Error::new(source.kind(), HandshakeError { source, hint })
}

/// What the server said after the handshake, if it was about that.
fn alerted(source: io::Error) -> io::Error {
    let cause = source.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::AlertReceived(_)) => explain(source),
        _ => source,
    }
}

/// Whether a certificate was refused because it is an authority's.
fn is_authority(error: &(dyn std::error::Error + 'static)) -> bool {
    matches!(error.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}

fn mend(cause: &rustls::Error) -> &'static str {
    use rustls::Error::{AlertReceived, InvalidCertificate, InvalidMessage};
    match cause {
        InvalidMessage(_) => {
            " (the server does not speak TLS on this port: take `.tls(..)` off the endpoint, or give the server one)"
        }
        InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            " (no authority of the endpoint's `Trust` has signed the server's certificate: add the one that has)"
        }
        InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => {
            " (the endpoint's host is no name of the server's certificate: say one that is by \
             `ClientTls::server_name`, or have a certificate made for the host)"
        }
        InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            " (the server needs a new certificate, or a clock is wrong)"
        }
        InvalidCertificate(CertificateError::Other(other)) if is_authority(&*other.0) => {
            " (the server shows a certificate that is for signing others, as `openssl req -x509` makes them: have it \
             sign one for the server, and trust the signing one; or make it with `-addext \
             basicConstraints=critical,CA:FALSE`)"
        }
        AlertReceived(AlertDescription::CertificateRequired) => {
            " (the server asks clients for a certificate: give `ClientTls` an `.identity(..)`)"
        }
        AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::DecryptError,
        ) => {
            " (the server does not believe this client's certificate: the `Trust` of `ServerTls::clients` needs the \
             authority that signed it)"
        }
        AlertReceived(AlertDescription::NoApplicationProtocol) => {
            " (the server speaks none of the protocols that were offered: set `ClientTls::alpn`, or \
             `ServerTls::alpn`, so that they share one)"
        }
        _ => "",
    }
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;

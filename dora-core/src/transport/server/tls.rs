//! TLS on the server's end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, join, split};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{self, AlertDescription, CertificateError, RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;
use webpki::EndEntityCert;

use crate::call::extensions::Extensions;
use crate::transport::io::alpn::ALPN;
use crate::transport::io::stream::Stream;
use crate::transport::io::tls::error::TlsError;
use crate::transport::io::tls::identity::Identity;
use crate::transport::io::tls::trust::Trust;
use crate::transport::io::tls::{Cached, provider};

use super::door::Recognized;
use super::incoming::Incoming;
use super::upgrade::{Port, Upgrade};

/// How a server speaks TLS.
///
/// ```no_run
/// use dora::Server;
/// use dora::tls::Identity;
/// use dora::tls::Trust;
/// use dora::tls::ServerTls;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let identity = Identity::from_files("server.pem", "server.key")?;
/// // Only clients that an authority of ours has signed (mTLS).
/// let tls = ServerTls::new(identity.clone()).clients(Trust::from_file("ca.pem")?);
/// let server = Server::builder().tls(tls);
/// // Later, when there is a new certificate:
/// identity.reload(&Identity::from_files("server.pem", "server.key")?);
/// # drop(server);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ServerTls {
    identity: Identity,
    clients: Option<Trust>,
    optional: bool,
    beside_plain: bool,
    /// Default: what the port speaks.
    alpn: Option<Vec<Vec<u8>>>,
}

impl ServerTls {
    /// TLS with this certificate, to clients of which none is asked for.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self { identity, clients: None, optional: false, beside_plain: false, alpn: None }
    }

    /// Asks clients for a certificate that an authority of `trust` has signed, and
    /// refuses those that have none (mTLS).
    #[must_use]
    pub fn clients(self, trust: Trust) -> Self {
        Self { clients: Some(trust), optional: false, ..self }
    }

    /// As [`clients`](Self::clients), but serves those without a certificate too.
    /// Who has one is to be told by the handlers.
    #[must_use]
    pub fn optional_clients(self, trust: Trust) -> Self {
        Self { clients: Some(trust), optional: true, ..self }
    }

    /// The protocols that are spoken here (ALPN). A client that offers others only is
    /// refused; one that offers none is not. Default: those of the port, which are
    /// [`ALPN`] and what the [doors](crate::server::Server::same_port) on it
    /// [speak](super::door::Door::alpn).
    #[must_use]
    pub fn alpn(self, protocols: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        Self { alpn: Some(protocols.into_iter().map(Into::into).collect()), ..self }
    }

    /// Serves clients that do not begin with TLS too, on the same ports: one is told from
    /// the other by its first two bytes, as no packet under 352 MiB begins so. For a port
    /// whose callers change to TLS one by one. Whoever is to be kept out is kept out by
    /// nothing but a layer: one that asks for a
    /// [`ClientIdentity`], say. Default: all are to speak TLS.
    #[must_use]
    pub fn beside_plain(self) -> Self {
        Self { beside_plain: true, ..self }
    }

    fn config(
        &self,
        roots: Option<Arc<RootCertStore>>,
        key: Option<Arc<CertifiedKey>>,
        port: Port,
    ) -> Result<ServerConfig, TlsError> {
        let builder =
            ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
        let builder = match roots {
            None => builder.with_no_client_auth(),
            Some(roots) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
                let verifier = if self.optional { verifier.allow_unauthenticated() } else { verifier };
                // Only a store without roots is refused, and a trust has some.
                let verifier = verifier.build().map_err(|error| rustls::Error::General(error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let key = key.unwrap_or_else(|| self.identity.current());
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
        config.alpn_protocols = match &self.alpn {
            Some(said) => said.clone(),
            None => port.protocols(ALPN).map(<[u8]>::to_vec).collect(),
        };
        Ok(config)
    }

    /// What makes a TLS connection of one that was accepted.
    pub(crate) fn upgrade(self) -> Upgrade {
        let asks = self.beside_plain.then_some(begins as fn(&[u8]) -> Recognized);
        let shared = Arc::new(Configured { tls: self, ports: Mutex::default() });
        Upgrade::new(asks, move |incoming, port| {
            let shared = Arc::clone(&shared);
            Box::pin(async move { handshake(&shared, incoming, port).await })
        })
    }
}

/// Whether a client speaks TLS that begins so: with a record of a handshake.
fn begins(first: &[u8]) -> Recognized {
    match first {
        [22] => Recognized::Unclear,
        [22, 3, ..] => Recognized::Yes,
        _ => Recognized::No,
    }
}

/// TLS, as each port of a server has it: few, and so a list.
struct Configured {
    tls: ServerTls,
    ports: Mutex<Vec<(Port, Arc<Cached<ServerConfig>>)>>,
}

impl Configured {
    fn of(&self, port: Port) -> Arc<Cached<ServerConfig>> {
        let mut ports = self.ports.lock();
        if let Some((_, config)) = ports.iter().find(|(known, _)| *known == port) {
            return Arc::clone(config);
        }
        let config = Arc::default();
        ports.push((port, Arc::clone(&config)));
        config
    }
}

async fn handshake(configured: &Configured, incoming: Incoming, port: Port) -> io::Result<Incoming> {
    let (tls, config) = (&configured.tls, configured.of(port.clone()));
    let made =
        config.get(tls.clients.as_ref(), Some(&tls.identity), |roots, key| tls.config(roots, key, port));
    let acceptor = TlsAcceptor::from(made.map_err(io::Error::other)?);
    let Incoming { stream, first, peer, mut values, .. } = incoming;
    let (stream, protocol) = match first.is_empty() {
        true => boxed(accept(acceptor, stream).await?, &mut values),
        // The beginning of the handshake was read by whoever accepted.
        false => {
            let (reader, writer) = split(stream);
            let whole = join(io::Cursor::new(first).chain(reader), writer);
            boxed(accept(acceptor, whole).await?, &mut values)
        }
    };
    Ok(Incoming { stream, first: Bytes::new(), peer, values, protocol })
}

/// How long a client that is refused may take to hear why.
const FAREWELL: Duration = Duration::from_millis(500);

async fn accept<T: AsyncRead + AsyncWrite + Unpin>(
    acceptor: TlsAcceptor,
    stream: T,
) -> io::Result<TlsStream<T>> {
    let (error, mut stream) = match acceptor.accept(stream).into_fallible().await {
        Ok(stream) => return Ok(stream),
        Err(refused) => refused,
    };
    // A client may have sent its first requests by now: closed with them unread,
    // the connection is reset, and the reset eats the alert.
    let heard = async {
        stream.shutdown().await?;
        let mut junk = [0; 1024];
        while stream.read(&mut junk).await? > 0 {}
        io::Result::Ok(())
    };
    // Whatever comes of it, the connection is over.
    let _ = timeout(FAREWELL, heard).await;
    Err(explain(&error))
}

/// Adds what the client has proved to the connection's values; with the stream, what it
/// is agreed to speak.
fn boxed<T>(stream: TlsStream<T>, values: &mut Extensions) -> (Stream, Option<Bytes>)
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    if let Some(identity) = stream.get_ref().1.peer_certificates().and_then(ClientIdentity::of) {
        values.insert(identity);
    }
    let protocol = stream.get_ref().1.alpn_protocol().map(Bytes::copy_from_slice);
    (Stream::Other(Box::new(stream)), protocol)
}

/// Who a client has proved to be by its certificate: a value of its connection.
///
/// ```
/// # use dora::Request;
/// # use dora::Status;
/// use dora::tls::ClientIdentity;
///
/// fn tenant(request: &Request) -> Result<&str, Status> {
///     let values = request.origin().map(|origin| origin.connection().values());
///     let client = values.and_then(|values| values.get::<ClientIdentity>());
///     client.and_then(|client| client.dns_names().next()).ok_or_else(|| Status::permission_denied("who?"))
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdentity(Arc<Proved>);

#[derive(Debug, PartialEq, Eq)]
struct Proved {
    chain: Vec<CertificateDer<'static>>,
    dns_names: Vec<String>,
    uri_names: Vec<String>,
}

impl ClientIdentity {
    fn of(chain: &[CertificateDer<'static>]) -> Option<Self> {
        // It was verified a moment ago, so it is one.
        let certificate = EndEntityCert::try_from(chain.first()?).ok()?;
        let owned = |name: &str| name.to_owned();
        Some(Self(Arc::new(Proved {
            dns_names: certificate.valid_dns_names().map(owned).collect(),
            uri_names: certificate.valid_uri_names().map(owned).collect(),
            chain: chain.to_vec(),
        })))
    }

    /// The DNS names of its certificate (subjectAltName).
    pub fn dns_names(&self) -> impl Iterator<Item = &str> {
        self.0.dns_names.iter().map(String::as_str)
    }

    /// The URIs of its certificate, such as SPIFFE's.
    pub fn uri_names(&self) -> impl Iterator<Item = &str> {
        self.0.uri_names.iter().map(String::as_str)
    }

    /// The certificates it has shown in DER, its own first.
    pub fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        self.0.chain.iter().map(AsRef::as_ref)
    }
}

/// What a failed handshake means, and what would mend it.
fn explain(error: &io::Error) -> io::Error {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    io::Error::new(error.kind(), format!("TLS: {error}{}", cause.map_or("", mend)))
}

fn mend(cause: &rustls::Error) -> &'static str {
    use rustls::Error::{AlertReceived, InvalidCertificate, InvalidMessage, NoCertificatesPresented};
    match cause {
        InvalidMessage(_) => {
            " (the client does not speak TLS, and this port does: give its endpoint `.tls(..)`, or take it off the \
             server)"
        }
        NoCertificatesPresented => {
            " (clients must show a certificate here: give the client's `ClientTls` an `.identity(..)`, or take \
             `ServerTls::optional_clients`)"
        }
        InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            " (no authority of `ServerTls::clients` has signed the client's certificate: add the one that has)"
        }
        AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::DecryptError,
        ) => {
            " (the client does not believe this server's certificate: its `Trust` needs the authority that signed \
             it, and its endpoint a name that the certificate is for)"
        }
        rustls::Error::NoApplicationProtocol => {
            " (the client offers none of this port's protocols: set `ClientTls::alpn`, or `ServerTls::alpn`, so that \
             they share one)"
        }
        _ => "",
    }
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;

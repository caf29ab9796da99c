//! TLS on the server's end.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, join, split};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;

use crate::transport::io::stream::Stream;
use crate::transport::io::tls::error::TlsError;
use crate::transport::io::tls::identity::Identity;
use crate::transport::io::tls::trust::Trust;
use crate::transport::io::tls::{ALPN, Cached, provider};

use super::connections::Upgrade;
use super::incoming::Incoming;

/// How a server speaks TLS.
///
/// ```no_run
/// use dora_core::server::Server;
/// use dora_core::transport::io::tls::identity::Identity;
/// use dora_core::transport::io::tls::trust::Trust;
/// use dora_core::transport::server::tls::ServerTls;
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
    alpn: Vec<Vec<u8>>,
}

impl ServerTls {
    /// TLS with this certificate, to clients of which none is asked for.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self { identity, clients: None, optional: false, alpn: vec![ALPN.to_vec()] }
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

    /// The protocols that are spoken here (ALPN), in place of [`ALPN`]. A client
    /// that offers others only is refused; one that offers none is not.
    #[must_use]
    pub fn alpn(self, protocols: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        Self { alpn: protocols.into_iter().map(Into::into).collect(), ..self }
    }

    fn config(
        &self,
        roots: Option<Arc<RootCertStore>>,
        key: Option<Arc<CertifiedKey>>,
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
        config.alpn_protocols.clone_from(&self.alpn);
        Ok(config)
    }

    /// What makes a TLS connection of one that was accepted.
    pub(crate) fn upgrade(self) -> Arc<Upgrade> {
        let shared = Arc::new((self, Cached::default()));
        Arc::new(move |incoming| {
            let shared = Arc::clone(&shared);
            Box::pin(async move { handshake(&shared.0, &shared.1, incoming).await })
        })
    }
}

async fn handshake(
    tls: &ServerTls,
    config: &Cached<ServerConfig>,
    incoming: Incoming,
) -> io::Result<Incoming> {
    let made = config.get(tls.clients.as_ref(), Some(&tls.identity), |roots, key| tls.config(roots, key));
    let acceptor = TlsAcceptor::from(made.map_err(io::Error::other)?);
    let Incoming { stream, first, peer } = incoming;
    let stream = match first.is_empty() {
        true => boxed(acceptor.accept(stream).await.map_err(|error| explain(&error))?),
        // The beginning of the handshake was read by whoever accepted.
        false => {
            let (reader, writer) = split(stream);
            let whole = join(io::Cursor::new(first).chain(reader), writer);
            boxed(acceptor.accept(whole).await.map_err(|error| explain(&error))?)
        }
    };
    Ok(Incoming::over(stream, peer))
}

fn boxed<T>(stream: TlsStream<T>) -> Stream
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    Stream::Other(Box::new(stream))
}

/// What a failed handshake means, in words.
fn explain(error: &io::Error) -> io::Error {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    let hint = match cause {
        Some(rustls::Error::InvalidMessage(_)) => " (the client does not speak TLS; this port does)",
        _ => "",
    };
    io::Error::new(error.kind(), format!("TLS: {error}{hint}"))
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;

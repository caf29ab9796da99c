//! Redis over TLS.

use std::fs;

use redis::{
    Client, ClientTlsConfig, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo, TlsCertificates,
};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tower::BoxError;

use crate::error::TargetError;
use crate::url::{TargetUrl, TlsFiles};

/// Whom to trust, and what to show: files that are read at each connection, so that renewed
/// ones are taken without a restart.
#[derive(Clone)]
pub(super) struct Tls(TlsFiles);

impl Tls {
    /// # Errors
    /// A file cannot be read, or one is missing.
    pub(super) fn take(url: &mut TargetUrl) -> Result<Self, TargetError> {
        let tls = Self(url.take_tls()?);
        tls.read().map_err(|error| TargetError::new(error.to_string()))?;
        Ok(tls)
    }

    fn read(&self) -> Result<TlsCertificates, BoxError> {
        let read = |path: &String| {
            fs::read(path).map_err(|error| format!("cannot read {path:?}, for TLS to Redis: {error}"))
        };
        let root_cert = self.0.ca.as_ref().map(read).transpose()?;
        let client_tls = match &self.0.identity {
            Some((cert, key)) => Some(ClientTlsConfig { client_cert: read(cert)?, client_key: read(key)? }),
            None => None,
        };
        Ok(TlsCertificates { client_tls, root_cert })
    }

    pub(super) fn client(
        &self,
        host: &str,
        port: u16,
        settings: &RedisConnectionInfo,
    ) -> Result<Client, BoxError> {
        // The client of Redis takes the one of the process, and panics if there are two to
        // choose from.
        if CryptoProvider::get_default().is_none() {
            // Somebody else was quicker.
            drop(ring::default_provider().install_default());
        }
        let addr = ConnectionAddr::TcpTls { host: host.to_owned(), port, insecure: false, tls_params: None };
        let info = addr.into_connection_info()?.set_redis_settings(settings.clone());
        Ok(Client::build_with_tls(info, self.read()?)?)
    }
}

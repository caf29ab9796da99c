//! What can be wrong with keys and certificates.

use std::io;
use std::path::PathBuf;

use tokio_rustls::rustls;
use tokio_rustls::rustls::pki_types::pem;

/// Why keys or certificates cannot be used. What was loaded before stays in use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not PEM.
    #[error("no PEM: {0}")]
    Pem(#[source] pem::Error),
    /// There is no certificate in it.
    #[error("there is no certificate in it (a section \"BEGIN CERTIFICATE\")")]
    NoCertificate,
    /// There is no private key in it.
    #[error("there is no private key in it (a section \"BEGIN PRIVATE KEY\")")]
    NoKey,
    /// The key does not fit the certificate, or one of them is no good.
    #[error("{0}")]
    Unusable(#[from] rustls::Error),
    /// The name that a server should prove is none.
    #[error("{0:?} is no name that a certificate could have; write a host name or an IP address")]
    ServerName(String),
}

pub(super) fn read(path: PathBuf) -> Result<Vec<u8>, TlsError> {
    std::fs::read(&path).map_err(|source| TlsError::File { path, source })
}

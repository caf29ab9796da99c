//! What can be wrong with keys and certificates.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use tokio_rustls::rustls;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

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
    /// What is in a file is no good.
    #[error("{}: {source}", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<TlsError>,
    },
    /// It is not PEM.
    #[error("no PEM: {0}")]
    Pem(#[source] pem::Error),
    /// There is no certificate in it.
    #[error("there is no certificate in it (a section \"BEGIN CERTIFICATE\"){instead}")]
    NoCertificate {
        /// What is in it instead.
        instead: PemContent,
    },
    /// There is no private key in it.
    #[error("there is no private key in it (a section \"BEGIN PRIVATE KEY\"){instead}")]
    NoKey {
        /// What is in it instead.
        instead: PemContent,
    },
    /// The key does not fit the certificate, or one of them is no good.
    #[error("{}{}", .0, mend(.0))]
    Unusable(#[from] rustls::Error),
    /// The name that a server should prove is none.
    #[error("{0:?} is no name that a certificate could have; write a host name or an IP address")]
    ServerName(String),
}

/// What stands in PEM text in which something else was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PemContent {
    /// A certificate, and no key.
    Certificate,
    /// A private key, and no certificate.
    Key,
    /// Neither.
    Nothing,
}

impl PemContent {
    pub(super) fn in_pem(text: &[u8]) -> Self {
        match (CertificateDer::from_pem_slice(text), PrivateKeyDer::from_pem_slice(text)) {
            (Ok(_), _) => Self::Certificate,
            (_, Ok(_)) => Self::Key,
            _ => Self::Nothing,
        }
    }
}

/// The end of the sentence that says what is missing.
impl fmt::Display for PemContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => ", but a certificate: are certificate and key swapped?",
            Self::Key => ", but a private key: are certificate and key swapped?",
            Self::Nothing => "",
        })
    }
}

impl TlsError {
    /// The same, of what is in this file.
    pub(super) fn of_file(self, path: &Path) -> Self {
        Self::InFile { path: path.to_owned(), source: Box::new(self) }
    }

    /// The same, of the file of the two that it is about.
    pub(super) fn of_identity(self, chain: &Path, key: &Path) -> Self {
        match self {
            Self::NoKey { .. } => self.of_file(key),
            _ => self.of_file(chain),
        }
    }
}

fn mend(error: &rustls::Error) -> &'static str {
    match error {
        rustls::Error::InconsistentKeys(_) => {
            " (the key is not the certificate's: give it the one that the certificate was made for)"
        }
        _ => "",
    }
}

pub(super) fn read(path: PathBuf) -> Result<Vec<u8>, TlsError> {
    std::fs::read(&path).map_err(|source| TlsError::File { path, source })
}

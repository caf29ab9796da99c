//! What an end shows.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::RwLock;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;

use super::error::{PemContent, TlsError, read};
use super::provider;

/// A certificate chain and its private key. Clones share them: what
/// [`reload`](Self::reload) brings is shown by all connections made from then on.
#[derive(Clone)]
pub struct Identity(Arc<RwLock<Arc<CertifiedKey>>>);

impl Identity {
    /// The identity in PEM text: the certificate first, then those that lead to
    /// the authority's; the key as PKCS #8, SEC1 or PKCS #1.
    ///
    /// # Errors
    /// One of them is missing or no good, or they do not fit.
    pub fn from_pem(chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<Self, TlsError> {
        Ok(Self(Arc::new(RwLock::new(certified(chain.as_ref(), key.as_ref())?))))
    }

    /// The identity in two PEM files. They are read now, and where the caller
    /// stands: at a start or reload, not between calls.
    ///
    /// # Errors
    /// As [`from_pem`](Self::from_pem), with the file that it is about, or a file
    /// cannot be read.
    pub fn from_files(chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Result<Self, TlsError> {
        let (chain, key) = (chain.into(), key.into());
        let (chain_pem, key_pem) = (read(chain.clone())?, read(key.clone())?);
        Self::from_pem(chain_pem, key_pem).map_err(|error| error.of_identity(&chain, &key))
    }

    /// Shows what `newer` holds from now on, on new connections; those that stand
    /// keep what they have.
    pub fn reload(&self, newer: &Self) {
        let newer = newer.current();
        *self.0.write() = newer;
    }

    /// What is shown now.
    pub(in crate::transport) fn current(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read())
    }
}

/// Says nothing about the key.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

fn certified(chain_pem: &[u8], key: &[u8]) -> Result<Arc<CertifiedKey>, TlsError> {
    let chain = CertificateDer::pem_slice_iter(chain_pem).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(TlsError::Pem)?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate { instead: PemContent::in_pem(chain_pem) });
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey { instead: PemContent::in_pem(key) },
        error => TlsError::Pem(error),
    })?;
    Ok(Arc::new(CertifiedKey::from_der(chain, key, &provider())?))
}

//! What an end believes.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::RwLock;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

use super::error::{PemContent, TlsError, read};

/// The authorities whose certificates are believed. Clones share them: what
/// [`reload`](Self::reload) brings holds for all connections made from then on.
#[derive(Clone)]
pub struct Trust(Arc<RwLock<Arc<RootCertStore>>>);

impl Trust {
    /// The authorities in PEM text: one certificate or several.
    ///
    /// # Errors
    /// There is none in it, or one is no good.
    pub fn from_pem(authorities: impl AsRef<[u8]>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        let authorities = authorities.as_ref();
        for certificate in CertificateDer::pem_slice_iter(authorities) {
            roots.add(certificate.map_err(TlsError::Pem)?)?;
        }
        if roots.is_empty() {
            return Err(TlsError::NoCertificate { instead: PemContent::in_pem(authorities) });
        }
        Ok(Self(Arc::new(RwLock::new(Arc::new(roots)))))
    }

    /// The authorities in a PEM file, read now and where the caller stands.
    ///
    /// # Errors
    /// As [`from_pem`](Self::from_pem), or the file cannot be read.
    pub fn from_file(authorities: impl Into<PathBuf>) -> Result<Self, TlsError> {
        let path = authorities.into();
        Self::from_pem(read(path.clone())?).map_err(|error| error.of_file(&path))
    }

    /// Believes what `newer` holds from now on, on new connections; those that
    /// stand are not judged again.
    pub fn reload(&self, newer: &Self) {
        let newer = newer.current();
        *self.0.write() = newer;
    }

    /// What is believed now. Never empty.
    pub(in crate::transport) fn current(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.0.read())
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trust({} authorities)", self.current().len())
    }
}

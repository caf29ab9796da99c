//! A configuration that is made anew when what it was made of was reloaded.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::sign::CertifiedKey;

use super::error::TlsError;
use super::identity::Identity;
use super::trust::Trust;

/// A `C` made of an identity and a trust, kept until one of them is reloaded:
/// with it goes its store of sessions, so no session outlives the trust that it
/// was begun under.
pub(in crate::transport) struct Cached<C>(Mutex<Option<(Made, Arc<C>)>>);

/// What a configuration was made of.
struct Made {
    trust: Option<Arc<RootCertStore>>,
    identity: Option<Arc<CertifiedKey>>,
}

impl Made {
    fn is(&self, other: &Self) -> bool {
        same(self.trust.as_ref(), other.trust.as_ref())
            && same(self.identity.as_ref(), other.identity.as_ref())
    }
}

fn same<T>(one: Option<&Arc<T>>, other: Option<&Arc<T>>) -> bool {
    one.map(Arc::as_ptr) == other.map(Arc::as_ptr)
}

impl<C> Cached<C> {
    /// The configuration, made by `make` if there is none, or one of older parts.
    pub(in crate::transport) fn get(
        &self,
        trust: Option<&Trust>,
        identity: Option<&Identity>,
        make: impl FnOnce(Option<Arc<RootCertStore>>, Option<Arc<CertifiedKey>>) -> Result<C, TlsError>,
    ) -> Result<Arc<C>, TlsError> {
        let parts = Made { trust: trust.map(Trust::current), identity: identity.map(Identity::current) };
        let mut kept = self.0.lock();
        if let Some((made, config)) = &*kept
            && made.is(&parts)
        {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(make(parts.trust.clone(), parts.identity.clone())?);
        *kept = Some((parts, Arc::clone(&config)));
        Ok(config)
    }
}

impl<C> Default for Cached<C> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<C> fmt::Debug for Cached<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cached")
    }
}

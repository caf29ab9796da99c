//! Targets `etcd://..`.

use std::sync::Arc;
use std::time::Duration;

use dora_core::discovery::directory::Directory;
use dora_core::discovery::register::{DEFAULT_LEASE, Registries};

use crate::backend::Backend;
use crate::config::source::BoxSource;
use crate::error::TargetError;
use crate::url::TargetUrl;

use super::cluster::Etcd;

/// Where members listen for clients by default.
const PORT: u16 = 2379;

#[derive(Debug)]
struct Opened {
    etcd: Etcd,
    lease: Duration,
}

pub(crate) fn open(url: &mut TargetUrl) -> Result<Arc<dyn Backend>, TargetError> {
    let (etcd, path) = cluster(url)?;
    let etcd = if path.is_empty() { etcd } else { etcd.prefix(path) };
    let lease = url.take_lease("lease")?.unwrap_or(DEFAULT_LEASE);
    Ok(Arc::new(Opened { etcd, lease }))
}

/// A key that a configuration is read from.
pub(crate) fn key(url: &mut TargetUrl, key: String) -> Result<BoxSource, TargetError> {
    let (etcd, path) = cluster(url)?;
    match path.is_empty() {
        true => Ok(BoxSource::new(etcd.key(key))),
        false => Err(TargetError::new(format!("the whole key stands in `key`; write \"?key={path}/{key}\""))),
    }
}

/// The cluster that the line names, with all that it says of it, and the path behind it.
fn cluster(url: &mut TargetUrl) -> Result<(Etcd, String), TargetError> {
    let authority = url.authority(PORT)?;
    let mut etcd = Etcd::new(authority.hosts.iter().map(|host| host.address()));
    if let Some(first) = authority.hosts.first()
        && let Some(user) = &first.user
    {
        etcd = etcd.user(user, first.password.as_deref().unwrap_or_default());
    }
    let tls = url.take_tls()?;
    match (tls.ca, tls.identity) {
        (None, None) => {}
        (Some(ca), None) => etcd = etcd.ca(ca),
        (Some(ca), Some((cert, key))) => etcd = etcd.ca(ca).identity(cert, key),
        (None, Some(_)) => return Err(TargetError::new("cert and cert_key go with ca")),
    }
    etcd.check().map_err(|error| TargetError::new(error.to_string()))?;
    Ok((etcd, authority.path))
}

impl Backend for Opened {
    fn directory(&self, _: Option<&str>) -> Directory {
        Directory::new(self.etcd.discover()).lease(self.lease)
    }

    fn registries(&self) -> Registries {
        Registries::new(self.etcd.register().with_lease(self.lease))
    }
}

//! A configuration under a key of etcd.

use dora_core::call::status::BoxError;
use etcd_client::KeyValue;

use crate::config::source::Source;

use super::cluster::{Cluster, Etcd};
use super::mirror::Mirror;

/// A key of etcd that a configuration is read from: watched, so that a change is there at
/// once.
#[derive(Debug)]
pub struct EtcdKey {
    mirror: Mirror<Vec<u8>>,
    key: String,
}

impl Etcd {
    /// The value under `key`, whatever the prefix of instances.
    #[must_use]
    pub fn key(&self, key: impl Into<String>) -> EtcdKey {
        EtcdKey::new(self.cluster(), key.into())
    }
}

impl EtcdKey {
    fn new(cluster: Cluster, key: String) -> Self {
        let mirror = Mirror::key(cluster, key.clone(), |key: &KeyValue| key.value().to_vec());
        Self { mirror, key }
    }
}

impl Source for EtcdKey {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, BoxError> {
        Ok(self.mirror.next().await?.values().next().cloned())
    }

    fn name(&self) -> String {
        format!("etcd://{}?key={}", self.mirror.cluster().addresses(), self.key)
    }
}

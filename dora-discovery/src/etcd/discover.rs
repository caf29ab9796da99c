//! Finds the instances below a prefix.

use std::sync::Arc;

use dora_core::call::status::BoxError;
use dora_core::discovery::discover::{Discover, Listing};
use dora_core::discovery::record::InstanceRecord;
use etcd_client::KeyValue;

use crate::json;

use super::cluster::Cluster;
use super::mirror::Mirror;

/// Finds instances in etcd: lists them, and watches from the revision of the list. When
/// nothing changes, the member is asked every 3 s whether it is there.
#[derive(Debug)]
pub struct EtcdDiscover(Mirror<Option<Arc<InstanceRecord>>>);

impl EtcdDiscover {
    pub(super) fn new(cluster: Cluster) -> Self {
        let folder = cluster.key("");
        Self(Mirror::folder(cluster, folder, record))
    }
}

/// `None`: it is not understood.
fn record(key: &KeyValue) -> Option<Arc<InstanceRecord>> {
    json::decode(key.value()).ok().map(Arc::new)
}

impl Discover for EtcdDiscover {
    async fn next(&mut self) -> Result<Listing, BoxError> {
        let known = self.0.next().await?;
        let instances: Listing = known.values().flatten().cloned().collect();
        Ok(instances.with_skipped(known.values().filter(|record| record.is_none()).count()))
    }

    fn name(&self) -> String {
        self.0.cluster().name()
    }
}

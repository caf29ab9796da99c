//! Instances that a directory finds.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::call::status::Status;
use crate::discovery::record::InstanceRecord;
use crate::discovery::watch::{DirectoryStatus, StatusCell, Watch};

use super::balancer::Shared;
use super::builder::FleetBuilder;
use super::instance::InstanceKey;
use super::node::Node;

/// Where a fleet's instances are looked for; the task that does it ends with this.
pub(super) struct Followed {
    status: StatusCell,
    /// Dropped with the fleet.
    _alive: oneshot::Sender<()>,
}

impl Followed {
    pub(super) fn new(watch: &Watch) -> (Self, oneshot::Receiver<()>) {
        let (alive, ended) = oneshot::channel();
        (Self { status: watch.status_cell(), _alive: alive }, ended)
    }

    pub(super) fn status(&self) -> DirectoryStatus {
        self.status.get()
    }
}

/// Takes lists over until the fleet is gone.
pub(super) async fn follow_watch<S: Clone>(
    fleet: Weak<Shared<S>>,
    mut watch: Watch,
    mut connect: impl FnMut(&InstanceRecord) -> Result<Vec<S>, Status>,
    mut ended: oneshot::Receiver<()>,
) {
    let mut known = Known(HashMap::new());
    loop {
        let instances = tokio::select! {
            _ = &mut ended => return,
            instances = watch.changed() => instances,
        };
        let Some(fleet) = fleet.upgrade() else { return };
        let mut settings = fleet.settings.clone();
        if fleet.nodes.load().is_none() {
            // They were there before the fleet was.
            settings = settings.slow_start(Duration::ZERO);
        }
        fleet.replace(known.update(&instances, &settings, &mut connect));
    }
}

/// The instances of a fleet, by address.
struct Known<S>(HashMap<String, (u64, Arc<Node<S>>)>);

impl<S: Clone> Known<S> {
    /// The nodes of these instances. Who was there keeps the node, or if the weight changed
    /// the connections; a later run has neither.
    fn update(
        &mut self,
        instances: &[Arc<InstanceRecord>],
        settings: &FleetBuilder,
        connect: &mut impl FnMut(&InstanceRecord) -> Result<Vec<S>, Status>,
    ) -> Vec<Arc<Node<S>>> {
        let mut before = std::mem::take(&mut self.0);
        let mut nodes = Vec::with_capacity(instances.len());
        for record in instances {
            let weight = record.weight.max(1);
            let same_run = before.remove(&record.address).filter(|(run, _)| *run == record.generation);
            let services = match same_run {
                Some((_, node)) if node.weight == weight => Err(node),
                Some((_, node)) => Ok(node.services()),
                None => match connect(record) {
                    Ok(services) => Ok(services),
                    Err(error) => {
                        let instance = &record.address;
                        tracing::warn!(target: "dora::fleet", instance, %error, "an instance cannot be called");
                        continue;
                    }
                },
            };
            let key = || InstanceKey::from(record.address.as_str()).with_weight(weight);
            let node = services.map_or_else(|node| node, |services| settings.node(key(), services));
            self.0.insert(record.address.clone(), (record.generation, Arc::clone(&node)));
            nodes.push(node);
        }
        nodes
    }
}

#[cfg(test)]
#[path = "followed_tests.rs"]
mod tests;

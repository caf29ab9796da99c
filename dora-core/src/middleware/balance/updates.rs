//! Instances that come and go.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Weak};

use tower::discover::{Change, Discover};

use crate::call::status::{BoxError, Status};

use super::balancer::Shared;
use super::instance::InstanceKey;
use super::node::Node;

/// Takes changes over until there are no more, or the fleet is gone.
pub(super) async fn follow<D, S>(
    fleet: Weak<Shared<S>>,
    changes: D,
    connect: impl Fn(D::Service) -> Result<Vec<S>, Status>,
) where
    D: Discover<Key = InstanceKey, Error: Into<BoxError>>,
{
    let mut changes = pin!(changes);
    loop {
        // A fleet that nobody has any more is noticed with the next change; the task
        // holds nothing of it meanwhile.
        let Some(change) = poll_fn(|cx| changes.as_mut().poll_discover(cx)).await else { return };
        let Some(fleet) = fleet.upgrade() else { return };
        match change {
            Ok(Change::Remove(key)) => fleet.remove(&key),
            Ok(Change::Insert(key, service)) => match connect(service) {
                Ok(services) => fleet.insert(key, services),
                Err(error) => {
                    tracing::warn!(target: "dora::fleet", instance = %key.name, %error, "an instance cannot be called");
                }
            },
            Err(error) => {
                let error: BoxError = error.into();
                tracing::warn!(target: "dora::fleet", error = %error, "a change of the fleet was not understood");
            }
        }
    }
}

impl<S> Shared<S> {
    fn insert(&self, key: InstanceKey, services: Vec<S>) {
        let mut nodes = self.all_but(&key);
        nodes.push(self.settings.node(key, services));
        self.replace(nodes);
    }

    fn remove(&self, key: &InstanceKey) {
        self.replace(self.all_but(key));
    }

    fn all_but(&self, key: &InstanceKey) -> Vec<Arc<Node<S>>> {
        let nodes = self.nodes.load();
        let nodes = nodes.iter().flat_map(|nodes| nodes.iter());
        nodes.filter(|node| node.name != key.name).cloned().collect()
    }

    pub(super) fn replace(&self, nodes: Vec<Arc<Node<S>>>) {
        // The only writer is the task of the fleet: what follows changes, or lists.
        self.nodes.store(Some(Arc::new(nodes)));
        self.changed.notify_waiters();
    }
}

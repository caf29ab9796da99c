//! Instances that come and go.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Weak};

use tower::discover::{Change, Discover};

use crate::call::status::BoxError;

use super::fleet::{InstanceKey, Shared};

/// Takes changes over until there are no more, or the fleet is gone.
pub(super) async fn follow<D, S>(fleet: Weak<Shared<S>>, changes: D)
where
    D: Discover<Key = InstanceKey, Service = S, Error: Into<BoxError>>,
{
    let mut changes = pin!(changes);
    loop {
        // A fleet that nobody has any more is noticed with the next change; the task
        // holds nothing of it meanwhile.
        let Some(change) = poll_fn(|cx| changes.as_mut().poll_discover(cx)).await else { return };
        let Some(fleet) = fleet.upgrade() else { return };
        match change {
            Ok(change) => fleet.take_over(change),
            Err(error) => {
                let error: BoxError = error.into();
                tracing::warn!(target: "dora::fleet", error = %error, "a change of the fleet was not understood");
            }
        }
    }
}

impl<S> Shared<S> {
    fn take_over(&self, change: Change<InstanceKey, S>) {
        let known = self.nodes.load_full();
        let mut nodes = known.map(|nodes| (*nodes).clone()).unwrap_or_default();
        match change {
            Change::Insert(key, service) => {
                nodes.retain(|node| *node.name != *key.name);
                nodes.push(self.settings.node(key, service));
            }
            Change::Remove(key) => nodes.retain(|node| *node.name != *key.name),
        }
        // The only writer is the task of the fleet.
        self.nodes.store(Some(Arc::new(nodes)));
        self.changed.notify_waiters();
    }
}

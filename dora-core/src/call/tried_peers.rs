//! Where a call was tried already.

use std::sync::Arc;

use parking_lot::Mutex;

/// The servers that a call failed at already, as their endpoints are called: put
/// into a request's extensions by a layer that tries again, for whoever chooses
/// the next server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TriedPeers(Vec<Arc<str>>);

impl TriedPeers {
    /// Adds a server.
    pub fn add(&mut self, peer: impl Into<Arc<str>>) {
        let peer = peer.into();
        if !self.contains(&peer) {
            self.0.push(peer);
        }
    }

    /// Whether the call failed at this server.
    #[must_use]
    pub fn contains(&self, peer: &str) -> bool {
        self.0.iter().any(|tried| **tried == *peer)
    }
}

/// The instances that tries of a call are given to, for those that are made beside them:
/// in the extensions of each, and told by whoever chooses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hosts(Arc<Mutex<Vec<Arc<str>>>>);

impl Hosts {
    /// One of the tries was given to this instance.
    pub(crate) fn add(&self, instance: &Arc<str>) {
        self.0.lock().push(Arc::clone(instance));
    }

    /// Whether one was given to this instance.
    pub(crate) fn contain(&self, instance: &str) -> bool {
        self.0.lock().iter().any(|host| **host == *instance)
    }
}

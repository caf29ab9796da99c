//! Where a call was tried already.

use std::sync::Arc;

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

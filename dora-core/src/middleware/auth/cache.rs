//! Identities by the tokens that they were found by.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use parking_lot::Mutex;
use tokio::time::Instant;

/// Identities that are kept; those beyond these are asked for at each call.
const MOST: usize = 10_000;

/// Identities by token, for a time. The tokens themselves are not kept: what they are told
/// by is 128 bits of keyed hashes, which nobody can aim at.
pub(super) struct Cache<T> {
    time: Duration,
    hashers: (RandomState, RandomState),
    kept: Mutex<Kept<T>>,
}

/// Identities, and until when they are kept.
type Kept<T> = HashMap<(u64, u64), (Instant, Arc<T>), foldhash::fast::RandomState>;

impl<T> Cache<T> {
    pub(super) fn new(time: Duration) -> Self {
        Self { time, hashers: (RandomState::new(), RandomState::new()), kept: Mutex::default() }
    }

    fn key(&self, token: &str) -> (u64, u64) {
        (self.hashers.0.hash_one(token), self.hashers.1.hash_one(token))
    }

    pub(super) fn get(&self, token: &str) -> Option<Arc<T>> {
        let kept = self.kept.lock();
        let (until, identity) = kept.get(&self.key(token))?;
        (Instant::now() < *until).then(|| Arc::clone(identity))
    }

    pub(super) fn put(&self, token: &str, identity: Arc<T>) {
        let now = Instant::now();
        let mut kept = self.kept.lock();
        if kept.len() >= MOST {
            kept.retain(|_, (until, _)| now < *until);
        }
        if kept.len() < MOST {
            kept.insert(self.key(token), (now + self.time, identity));
        }
    }
}

//! Finding keys in large maps.

use foldhash::quality::RandomState;
use hashbrown::HashTable;
use std::hash::BuildHasher;

use super::Value;
use super::key::{Key, KeyRef};

/// Where each key stands. Seeded at random: keys are chosen by the peer.
#[derive(Clone, Default)]
pub(super) struct Index {
    positions: HashTable<usize>,
    state: RandomState,
}

impl Index {
    /// Under so many entries, looking at each is as fast as hashing.
    pub(super) const WORTH_IT: usize = 16;

    pub(super) fn build(entries: &[(Key, Value)]) -> Self {
        let mut index = Self::default();
        for (position, (key, _)) in entries.iter().enumerate() {
            index.insert(key, position, entries);
        }
        index
    }

    pub(super) fn find(&self, key: &KeyRef<'_>, entries: &[(Key, Value)]) -> Option<usize> {
        self.positions
            .find(self.state.hash_one(key), |position| {
                entries.get(*position).is_some_and(|(at, _)| key.matches(at))
            })
            .copied()
    }

    /// `key` must not be in the index, and stands at `position` of `entries`.
    pub(super) fn insert(&mut self, key: &Key, position: usize, entries: &[(Key, Value)]) {
        let state = &self.state;
        self.positions.insert_unique(state.hash_one(key.as_ref()), position, |position| {
            entries.get(*position).map_or(0, |(key, _)| state.hash_one(key.as_ref()))
        });
    }
}

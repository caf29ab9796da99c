//! What several registries say together, as one list. Is told the time, and knows no
//! registry.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::directory::Filter;
use super::discover::Listing;
use super::record::InstanceRecord;

/// A list, sorted by address.
pub(super) type Instances = Arc<[Arc<InstanceRecord>]>;

pub(super) struct View {
    sources: Vec<Source>,
    filter: Filter,
    lease: Duration,
}

/// What one registry says.
#[derive(Default)]
struct Source {
    state: State,
    /// Its last list, as it told it.
    told: Listing,
    /// Its instances as they are used: those of its last list, and behind them those that
    /// are kept.
    used: Vec<Arc<InstanceRecord>>,
    /// Until then it may lack somebody who is there.
    recovering_until: Option<Instant>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// Nothing was heard yet.
    #[default]
    Asked,
    Up,
    Down,
}

/// Whether a registry still says so.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Word {
    /// It did when it was last heard, or before it lost what it knew.
    Last,
    Now,
}

impl Source {
    /// What stands behind a used instance.
    fn word(&self, index: usize) -> Word {
        match self.state {
            State::Up if index < self.told.instances.len() => Word::Now,
            _ => Word::Last,
        }
    }
}

impl View {
    pub(super) fn new(sources: usize, filter: Filter, lease: Duration) -> Self {
        let sources = (0..sources).map(|_| Source::default()).collect();
        Self { sources, filter, lease }
    }

    /// A registry has told its list.
    pub(super) fn listed(&mut self, index: usize, listing: Listing, now: Instant) {
        let lease = self.lease;
        let Some(source) = self.sources.get_mut(index) else { return };
        let is_back = source.state == State::Down;
        if (is_back || listing.recovering) && source.recovering_until.is_none() {
            source.recovering_until = Some(now + lease);
        } else if !listing.recovering && source.recovering_until.is_some_and(|until| until <= now) {
            source.recovering_until = None;
        }
        source.state = State::Up;
        source.told = listing;
        self.apply(index, now);
    }

    /// A registry cannot be asked.
    pub(super) fn failed(&mut self, index: usize) {
        if let Some(source) = self.sources.get_mut(index) {
            source.state = State::Down;
            source.recovering_until = None;
        }
    }

    /// When [`elapsed`](Self::elapsed) has something to do.
    pub(super) fn next_deadline(&self, now: Instant) -> Option<Instant> {
        self.sources.iter().filter_map(|source| source.recovering_until.filter(|until| *until > now)).min()
    }

    /// Who was kept while a registry recovered is dropped when the time is over.
    pub(super) fn elapsed(&mut self, now: Instant) {
        for index in 0..self.sources.len() {
            let source = &self.sources[index];
            if source.state == State::Up && source.recovering_until.is_some_and(|until| until <= now) {
                self.apply(index, now);
            }
        }
    }

    /// The list, once it is known: as soon as one registry has somebody, or all were
    /// asked and one has answered.
    pub(super) fn merged(&self) -> Option<Instances> {
        // Of two runs at an address the one is believed that a registry tells of now: one of
        // which there is no more than a last word may be over, whatever its clock said.
        let mut known: HashMap<&str, (Word, &Arc<InstanceRecord>)> = HashMap::new();
        for source in &self.sources {
            for (index, instance) in source.used.iter().enumerate() {
                let word = source.word(index);
                let place = known.entry(&instance.address).or_insert((word, instance));
                if word > place.0 || (word == place.0 && instance.supersedes(place.1)) {
                    *place = (word, instance);
                }
            }
        }
        let known = known.into_values().map(|(_, instance)| instance);
        let taken = known.filter(|instance| self.filter.takes(instance));
        let mut taken: Vec<_> = taken.cloned().collect();
        let answered = self.sources.iter().any(|source| source.state == State::Up);
        let asked = self.sources.iter().any(|source| source.state == State::Asked);
        if taken.is_empty() && (asked || !answered) {
            return None;
        }
        taken.sort_unstable_by(|a, b| a.address.cmp(&b.address));
        Some(taken.into())
    }

    /// Records that were passed over.
    pub(super) fn skipped(&self) -> usize {
        self.sources.iter().map(|source| source.told.skipped).sum()
    }

    /// What a registry told becomes what is used.
    fn apply(&mut self, index: usize, now: Instant) {
        let source = &mut self.sources[index];
        let recovers = source.recovering_until.is_some_and(|until| until > now);
        let mut used = source.told.instances.to_vec();
        let before = std::mem::take(&mut source.used);
        let mut gone = Vec::new();
        if !before.is_empty() {
            let told: HashMap<&str, ()> =
                source.told.instances.iter().map(|instance| (&*instance.address, ())).collect();
            let missing = before.into_iter().filter(|instance| !told.contains_key(&*instance.address));
            match recovers {
                true => used.extend(missing),
                false => gone.extend(missing),
            }
        }
        source.used = used;
        self.forget(&gone, now);
    }

    /// One registry has seen the end of these: others that cannot tell lose them, too.
    fn forget(&mut self, gone: &[Arc<InstanceRecord>], now: Instant) {
        if gone.is_empty() {
            return;
        }
        for source in &mut self.sources {
            let told = &source.told.instances;
            let recovers = source.recovering_until.is_some_and(|until| until > now);
            let kept = |instance: &Arc<InstanceRecord>| match source.state {
                State::Down => false,
                // It says so itself, now.
                _ => !recovers || told.iter().any(|told| told.address == instance.address),
            };
            source.used.retain(|instance| {
                let same = |gone: &&Arc<InstanceRecord>| {
                    gone.address == instance.address && !instance.supersedes(gone)
                };
                kept(instance) || !gone.iter().any(|gone| same(&gone))
            });
        }
    }
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;

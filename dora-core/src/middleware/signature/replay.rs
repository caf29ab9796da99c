//! Signatures that were seen already.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

/// Nonces of signatures that are still in time, in two generations, so that the old ones go
/// without a look at each.
#[derive(Debug)]
pub(super) struct Seen {
    /// How long a generation lasts, in milliseconds: no shorter than a signature is in time.
    lasts: u64,
    most: usize,
    hasher: RandomState,
    begun: u64,
    current: HashSet<u64, foldhash::fast::RandomState>,
    former: HashSet<u64, foldhash::fast::RandomState>,
}

/// Why a signature is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It was seen already.
    Again,
    /// More cannot be remembered: whether it was seen cannot be known for long enough.
    Full,
}

impl Seen {
    pub(super) fn new(lasts: u64, most: usize) -> Self {
        let (current, former) = Default::default();
        Self { lasts, most, hasher: RandomState::new(), begun: 0, current, former }
    }

    /// Remembers a signature, `now` milliseconds since 1970.
    pub(super) fn note(&mut self, key: &str, nonce: &[u8], now: u64) -> Result<(), Refusal> {
        if now.saturating_sub(self.begun) >= self.lasts {
            let former = std::mem::take(&mut self.current);
            let skipped = now.saturating_sub(self.begun) >= self.lasts.saturating_mul(2);
            self.former = if skipped { HashSet::default() } else { former };
            self.begun = now;
        }
        // A keyed hash, as it has to be told by 64 bits.
        let hash = self.hasher.hash_one((key, nonce));
        if self.current.contains(&hash) || self.former.contains(&hash) {
            return Err(Refusal::Again);
        }
        if self.current.len() + self.former.len() >= self.most {
            return Err(Refusal::Full);
        }
        self.current.insert(hash);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_known_for_its_time_and_the_rest_forgotten() {
        let mut seen = Seen::new(1_000, 3);
        assert_eq!(seen.note("k", b"a", 10_000), Ok(()));
        assert_eq!(seen.note("k", b"a", 10_999), Err(Refusal::Again));
        assert_eq!(seen.note("l", b"a", 10_999), Ok(()), "another key's");
        assert_eq!(seen.note("k", b"a", 11_900), Err(Refusal::Again), "of the former generation");
        assert_eq!(seen.note("k", b"b", 11_950), Ok(()));
        assert_eq!(seen.note("k", b"c", 11_960), Err(Refusal::Full));
        assert_eq!(seen.note("k", b"c", 13_000), Ok(()));
        assert_eq!(seen.note("k", b"a", 13_000), Ok(()), "it is no longer in time itself");
        assert_eq!(seen.note("k", b"b", 20_000), Ok(()));
        assert_eq!(seen.former.len(), 0, "after a time without any");
    }
}

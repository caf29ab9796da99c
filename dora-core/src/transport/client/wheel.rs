//! Which of many deadlines are due, without looking at all of them.
//!
//! A hashed timing wheel: places that fall due in the same tick are chained to
//! one another, so setting and clearing a deadline is a few stores, and finding
//! those that are due looks at their tick alone.

use std::time::Duration;

use tokio::time::Instant;

/// How far apart deadlines are looked after; one may be this much late.
pub(super) const TICK_NANOS: u64 = 4_000_000;
const PER_SECOND: u64 = 1_000_000_000 / TICK_NANOS;

/// Ticks until the wheel comes round: a deadline further off is looked at, and
/// left, once a round.
const TICKS: u64 = 128;

/// No place.
const NONE: u32 = u32::MAX;

/// The deadlines of the places of a table.
#[derive(Debug, Default)]
pub(super) struct Wheel {
    /// Made when there is a first deadline.
    ring: Option<Box<Ring>>,
}

#[derive(Debug)]
struct Ring {
    /// Tick 0.
    start: Instant,
    /// The tick that is to be looked at next.
    next: u64,
    /// The first place of each tick's chain.
    heads: [u32; TICKS as usize],
    /// Which chains are not empty.
    filled: u128,
    /// By place.
    links: Vec<Link>,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    before: u32,
    after: u32,
    /// The tick in which it falls due; `None` without a deadline.
    due: Option<u64>,
}

const UNLINKED: Link = Link { before: NONE, after: NONE, due: None };

impl Wheel {
    /// Sets the deadline of `place`, which has none.
    #[inline]
    pub(super) fn set(&mut self, place: u32, deadline: Instant, now: Instant) {
        let ring = self.ring.get_or_insert_with(|| Box::new(Ring::new(now)));
        ring.set(place, deadline, now);
    }

    /// Takes the deadline of `place` off, if it has one.
    #[inline]
    pub(super) fn clear(&mut self, place: u32) {
        if let Some(ring) = &mut self.ring {
            ring.clear(place);
        }
    }

    /// When to look for places that are due; `None` when no place has a deadline.
    /// It may be too early, and is then another after that look.
    pub(super) fn next(&self) -> Option<Instant> {
        let ring = self.ring.as_ref().filter(|ring| ring.filled != 0)?;
        let turned = ring.filled.rotate_right((ring.next % TICKS) as u32);
        let ticks = ring.next + u64::from(turned.trailing_zeros());
        // A tick is over at its end: nothing is due too early.
        Some(ring.start + Duration::from_nanos(TICK_NANOS * (ticks + 1)))
    }

    /// Takes off up to `most` places that are due at `now`. Fewer than `most`:
    /// these were all.
    pub(super) fn due(&mut self, now: Instant, most: usize, due: &mut Vec<u32>) {
        if let Some(ring) = &mut self.ring {
            ring.due(now, most, due);
        }
    }

    /// Forgets the places from `len` on, none of which has a deadline.
    pub(super) fn truncate(&mut self, len: usize) {
        if let Some(ring) = &mut self.ring {
            ring.links.truncate(len);
            ring.links.shrink_to_fit();
        }
    }
}

impl Ring {
    fn new(start: Instant) -> Self {
        Self { start, next: 0, heads: [NONE; TICKS as usize], filled: 0, links: Vec::new() }
    }

    fn tick(&self, at: Instant) -> u64 {
        let passed = at.saturating_duration_since(self.start);
        passed.as_secs() * PER_SECOND + u64::from(passed.subsec_nanos()) / TICK_NANOS
    }

    fn set(&mut self, place: u32, deadline: Instant, now: Instant) {
        if self.filled == 0 {
            // Nothing waited meanwhile: there is nothing to look back at.
            self.next = self.next.max(self.tick(now));
        }
        let due = self.tick(deadline).max(self.next);
        let bucket = (due % TICKS) as usize;
        let place_at = place as usize;
        if self.links.len() <= place_at {
            self.links.resize(place_at + 1, UNLINKED);
        }
        let head = self.heads[bucket];
        self.links[place_at] = Link { before: NONE, after: head, due: Some(due) };
        if head != NONE {
            self.links[head as usize].before = place;
        }
        self.heads[bucket] = place;
        self.filled |= 1 << bucket;
    }

    fn clear(&mut self, place: u32) {
        let Some(link) = self.links.get_mut(place as usize) else { return };
        let Link { before, after, due: Some(due) } = std::mem::replace(link, UNLINKED) else { return };
        let bucket = (due % TICKS) as usize;
        match before {
            NONE => self.heads[bucket] = after,
            before => self.links[before as usize].after = after,
        }
        match after {
            NONE => {}
            after => self.links[after as usize].before = before,
        }
        if self.heads[bucket] == NONE {
            self.filled &= !(1 << bucket);
        }
    }

    fn due(&mut self, now: Instant, most: usize, due: &mut Vec<u32>) {
        let Some(last) = self.tick(now).checked_sub(1) else { return };
        // More than a round behind, every chain is looked at once.
        let from = self.next.max(last.saturating_sub(TICKS - 1));
        for tick in from..=last {
            self.next = tick;
            let mut place = self.heads[(tick % TICKS) as usize];
            while place != NONE {
                let link = self.links[place as usize];
                if link.due.is_some_and(|due| due <= last) {
                    if due.len() >= most {
                        return;
                    }
                    self.clear(place);
                    due.push(place);
                }
                place = link.after;
            }
        }
        self.next = self.next.max(last + 1);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const TICK: Duration = Duration::from_nanos(TICK_NANOS);

    fn due(wheel: &mut Wheel, now: Instant) -> Vec<u32> {
        let mut due = Vec::new();
        wheel.due(now, usize::MAX, &mut due);
        due.sort_unstable();
        due
    }

    #[test]
    fn deadlines_are_found_when_they_have_passed_and_not_before() {
        let start = Instant::now();
        let mut wheel = Wheel::default();
        let mut known = BTreeMap::new();
        let mut random = fastrand::Rng::with_seed(7);
        let mut now = start;
        for step in 0..20_000_u32 {
            let place = random.u32(..500);
            if known.remove(&place).is_some() {
                wheel.clear(place);
            } else {
                let deadline = now + Duration::from_micros(random.u64(..3_000_000));
                wheel.set(place, deadline, now);
                known.insert(place, deadline);
            }
            now += Duration::from_micros(random.u64(..if step % 1000 == 0 { 2_000_000 } else { 2_000 }));
            for place in due(&mut wheel, now) {
                let deadline = known.remove(&place).expect("it has a deadline");
                assert!(deadline <= now, "too early");
            }
            assert!(known.values().all(|deadline| *deadline + 2 * TICK > now), "too late");
            match (wheel.next(), known.values().min()) {
                (None, earliest) => assert!(earliest.is_none()),
                (Some(next), Some(earliest)) => assert!(next <= *earliest + TICK, "the look is too late"),
                (Some(_), None) => panic!("there is nothing to look for"),
            }
        }
    }

    #[test]
    fn many_that_are_due_at_once_come_in_pieces() {
        let now = Instant::now();
        let mut wheel = Wheel::default();
        (0..1000).for_each(|place| wheel.set(place, now + Duration::from_millis(1), now));
        let (mut all, mut pieces) = (Vec::new(), 0);
        while wheel.next().is_some() {
            let mut piece = Vec::new();
            wheel.due(now + Duration::from_secs(1), 64, &mut piece);
            assert!(piece.len() <= 64);
            all.extend(piece);
            pieces += 1;
        }
        assert_eq!((all.len(), pieces), (1000, 16));
    }

    #[test]
    fn one_that_is_due_is_found_among_many_that_are_not() {
        let now = Instant::now();
        let mut wheel = Wheel::default();
        (0..100_000).for_each(|place| wheel.set(place, now + Duration::from_secs(3600), now));
        wheel.set(100_000, now, now);
        assert_eq!(due(&mut wheel, now + 2 * TICK), [100_000]);
        (0..100_000).for_each(|place| wheel.clear(place));
        assert_eq!(wheel.next(), None);
        wheel.truncate(10);
        wheel.set(20, now, now);
        assert_eq!(due(&mut wheel, now + 3 * TICK), [20]);
    }
}

//! What methods cost, learned while they run, and where they run by it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use parking_lot::RwLock;

/// Where the handlers of a method run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Execution {
    /// As tasks of the runtime, on any core, once they have shown to cost more than
    /// about 50 us of computing at a time; else where their request is read. On a
    /// runtime of one thread: always there.
    #[default]
    Learned,
    /// Where their request is read: the fastest for handlers that compute little,
    /// and at most one of them at a time for each connection.
    Inline,
    /// As tasks of the runtime.
    Spawned,
}

/// What all methods of a server cost.
#[derive(Debug)]
pub(super) struct Costs {
    execution: Execution,
    forced: HashMap<Box<[u8]>, Execution, foldhash::fast::RandomState>,
    /// Of calls with small bodies, and with large ones: those take longer to read,
    /// whatever is done with them then.
    learned: [RwLock<Learned>; 2],
    /// For names beyond those that are kept apart.
    others: Arc<Cost>,
}

type Learned = HashMap<Box<[u8]>, Arc<Cost>, foldhash::fast::RandomState>;

/// Bodies from this size on are large.
pub(super) const LARGE: usize = 16 << 10;

/// Names may be the callers' invention: no more than these are kept apart.
const NAMES: usize = 4096;

/// Nor longer ones, in bytes.
pub(super) const LONGEST: usize = 1024;

/// What a method costs.
#[derive(Debug)]
pub(super) struct Cost {
    execution: Execution,
    /// Nanoseconds of a first poll, and of a later one, on average.
    first: AtomicU32,
    later: AtomicU32,
    samples: AtomicU32,
    dear: AtomicBool,
}

/// Over this a method becomes dear, under the second one cheap again.
const DEAR: u32 = 50_000;
const CHEAP: u32 = 25_000;

/// One measurement counts for no more: the system may have had other plans.
const MOST: u32 = 4 * DEAR;

/// So many calls of a method are all measured; of later ones, one in 16.
const NEW: u32 = 16;

impl Costs {
    pub(super) fn new(execution: Execution, forced: impl IntoIterator<Item = (String, Execution)>) -> Self {
        let forced = forced.into_iter().map(|(name, execution)| (name.into_bytes().into(), execution));
        Self {
            execution,
            forced: forced.collect(),
            learned: Default::default(),
            others: Arc::new(Cost::new(execution)),
        }
    }

    /// What calls of `name` cost, with a large body or not.
    pub(super) fn of(&self, name: &[u8], large: bool) -> Arc<Cost> {
        let learned = &self.learned[usize::from(large)];
        if let Some(cost) = learned.read().get(name) {
            return Arc::clone(cost);
        }
        let forced = self.forced.get(name).copied();
        let mut learned = learned.write();
        let is_kept = forced.is_some() || name.len() <= LONGEST && learned.len() < NAMES;
        if !is_kept && !learned.contains_key(name) {
            return Arc::clone(&self.others);
        }
        let execution = forced.unwrap_or(self.execution);
        Arc::clone(learned.entry(name.into()).or_insert_with(|| Arc::new(Cost::new(execution))))
    }
}

impl Cost {
    const fn new(execution: Execution) -> Self {
        Self {
            execution,
            first: AtomicU32::new(0),
            later: AtomicU32::new(0),
            samples: AtomicU32::new(0),
            dear: AtomicBool::new(false),
        }
    }

    /// Whether its calls are tasks of their own; `parallel`: where there are several
    /// cores to run them on.
    pub(super) fn is_spawned(&self, parallel: bool) -> bool {
        match self.execution {
            Execution::Learned => parallel && self.dear.load(Ordering::Relaxed),
            Execution::Inline => false,
            Execution::Spawned => true,
        }
    }

    /// Runs a poll, and now and then measures it.
    pub(super) fn measure<T>(&self, is_first: bool, poll: impl FnOnce() -> T) -> T {
        let measured = self.execution == Execution::Learned
            && (self.samples.load(Ordering::Relaxed) < NEW || fastrand::u8(..) < 16);
        if !measured {
            return poll();
        }
        let start = Instant::now();
        let polled = poll();
        self.add(is_first, start.elapsed());
        polled
    }

    fn add(&self, is_first: bool, took: Duration) {
        let took = u32::try_from(took.as_nanos()).unwrap_or(u32::MAX).min(MOST);
        // Two at once may lose one of them: it is an average.
        let average = if is_first { &self.first } else { &self.later };
        let before = average.load(Ordering::Relaxed);
        average.store(before - before / 8 + took / 8, Ordering::Relaxed);
        let samples = self.samples.load(Ordering::Relaxed);
        self.samples.store(samples.saturating_add(1), Ordering::Relaxed);
        let most = self.first.load(Ordering::Relaxed).max(self.later.load(Ordering::Relaxed));
        if most > DEAR {
            self.dear.store(true, Ordering::Relaxed);
        } else if most < CHEAP {
            self.dear.store(false, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: Duration = Duration::from_micros(1);

    fn cost() -> Cost {
        Cost::new(Execution::Learned)
    }

    #[test]
    fn a_method_is_dear_after_a_few_dear_polls_and_cheap_again_later() {
        let cost = cost();
        let polls = (1..).find(|_| {
            cost.add(true, 100 * US);
            cost.is_spawned(true)
        });
        assert!((3..16).contains(&polls.expect("dear")), "{polls:?}");
        for _ in 0..4 {
            cost.add(true, 40 * US);
        }
        assert!(cost.is_spawned(true), "not at once");
        for _ in 0..40 {
            cost.add(true, 5 * US);
        }
        assert!(!cost.is_spawned(true));
    }

    #[test]
    fn one_long_pause_makes_no_method_dear() {
        let cost = cost();
        for _ in 0..20 {
            cost.add(true, 2 * US);
        }
        cost.add(true, Duration::from_secs(1));
        assert!(!cost.is_spawned(true));
    }

    #[test]
    fn later_polls_count_for_themselves() {
        let cost = cost();
        for _ in 0..50 {
            cost.add(true, US);
            cost.add(false, 200 * US);
        }
        assert!(cost.is_spawned(true));
    }

    #[test]
    fn methods_and_sizes_are_apart_and_names_bounded() {
        let costs = Costs::new(Execution::Learned, [("/forced".to_owned(), Execution::Spawned)]);
        assert!(costs.of(b"/forced", false).is_spawned(true) && costs.of(b"/forced", true).is_spawned(true));
        assert!(Arc::ptr_eq(&costs.of(b"/a", false), &costs.of(b"/a", false)));
        assert!(!Arc::ptr_eq(&costs.of(b"/a", false), &costs.of(b"/a", true)));
        for name in 0..2 * NAMES {
            costs.of(format!("/{name}").as_bytes(), false);
        }
        assert_eq!(costs.learned[0].read().len(), NAMES);
        assert!(Arc::ptr_eq(&costs.of(b"/x", false), &costs.of(b"/y", false)));
    }

    #[test]
    fn long_names_are_not_kept() {
        let long = "/".repeat(LONGEST + 1);
        let costs = Costs::new(Execution::Learned, [(format!("{long}x"), Execution::Spawned)]);
        assert!(Arc::ptr_eq(&costs.of(long.as_bytes(), true), &costs.others));
        assert_eq!(costs.learned[1].read().len(), 0);
        assert!(costs.of(format!("{long}x").as_bytes(), false).is_spawned(true), "not a caller's invention");
    }

    #[test]
    fn what_is_forced_is_not_measured() {
        let inline = Cost::new(Execution::Inline);
        for _ in 0..50 {
            inline.measure(true, || std::thread::sleep(100 * US));
        }
        assert!(!inline.is_spawned(true) && inline.first.load(Ordering::Relaxed) == 0);
    }
}

//! What calls take of late, by method: from which time on one is slow.

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use parking_lot::{Mutex, RwLock};

use crate::call::name::MethodName;

/// Methods that are measured by themselves; those beyond are measured together, since
/// names may come from outside and must not grow without end.
const MOST_METHODS: usize = 1_024;

/// Fewer answers say nothing yet.
const ENOUGH: u32 = 50;

/// After so many answers those before count half.
const MEMORY: u32 = 1_000;

/// Each power of two of microseconds in so many steps: 19 % apart.
const STEPS: usize = 4;

/// From a microsecond to over an hour.
const BUCKETS: usize = 32 * STEPS;

/// What calls take of late.
#[derive(Debug, Default)]
pub(super) struct Latencies {
    methods: RwLock<HashMap<MethodName, Arc<Mutex<Histogram>>, foldhash::fast::RandomState>>,
    others: Arc<Mutex<Histogram>>,
}

impl Latencies {
    /// Those of a method.
    pub(super) fn of(&self, method: &MethodName) -> Arc<Mutex<Histogram>> {
        if let Some(known) = self.methods.read().get(method) {
            return Arc::clone(known);
        }
        let mut methods = self.methods.write();
        if methods.len() >= MOST_METHODS && !methods.contains_key(method) {
            return Arc::clone(&self.others);
        }
        Arc::clone(methods.entry(method.clone()).or_default())
    }
}

/// Counts of what answers took, by powers of two in steps.
#[derive(Debug)]
pub(super) struct Histogram {
    counts: Box<[u32; BUCKETS]>,
    total: u32,
}

impl Histogram {
    /// A call took so long; one that was given up, at least.
    pub(super) fn record(&mut self, took: Duration) {
        if self.total >= MEMORY {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.total = self.counts.iter().sum();
        }
        if let Some(count) = self.counts.get_mut(bucket(took)) {
            *count += 1;
            self.total += 1;
        }
    }

    /// The time that this share of the calls is within, once enough have been seen.
    pub(super) fn quantile(&self, share: f64) -> Option<Duration> {
        if self.total < ENOUGH {
            return None;
        }
        let wanted = (f64::from(self.total) * share).ceil() as u32;
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        Some(end_of(found.unwrap_or(BUCKETS - 1)))
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: Box::new([0; BUCKETS]), total: 0 }
    }
}

fn bucket(took: Duration) -> usize {
    let micros = (took.as_nanos() as f64 / 1_000.0).max(1.0);
    ((micros.log2() * STEPS as f64) as usize).min(BUCKETS - 1)
}

/// Where a bucket ends.
fn end_of(bucket: usize) -> Duration {
    Duration::from_secs_f64(((bucket + 1) as f64 / STEPS as f64).exp2() / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(time: u64) -> Duration {
        Duration::from_millis(time)
    }

    #[test]
    fn a_quantile_is_found_to_a_fifth() {
        let mut histogram = Histogram::default();
        for number in 0..1_000 {
            assert!(number >= ENOUGH as usize || histogram.quantile(0.5).is_none(), "{number} say nothing");
            histogram.record(ms(if number % 20 == 0 { 100 } else { 2 }));
        }
        for (share, exact) in [(0.5, ms(2)), (0.94, ms(2)), (0.97, ms(100)), (1.0, ms(100))] {
            let found = histogram.quantile(share).expect("enough were seen");
            assert!((exact..exact.mul_f64(1.25)).contains(&found), "{share}: {found:?}, not {exact:?}");
        }
    }

    #[test]
    fn what_was_long_ago_is_forgotten() {
        let mut histogram = Histogram::default();
        (0..2_000).for_each(|_| histogram.record(ms(100)));
        (0..8_000).for_each(|_| histogram.record(ms(1)));
        assert!(histogram.quantile(0.95).expect("enough were seen") < ms(2));
        assert!(histogram.total <= MEMORY);
    }

    #[test]
    fn no_time_is_out_of_range() {
        let mut histogram = Histogram::default();
        for took in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
            (0..50).for_each(|_| histogram.record(took));
        }
        assert!(histogram.quantile(0.1).expect("enough") <= Duration::from_micros(2));
        assert!(histogram.quantile(1.0).expect("enough") > Duration::from_secs(3_600));
    }

    #[test]
    fn methods_are_measured_by_themselves_up_to_a_number() {
        let latencies = Latencies::default();
        let name = |number: usize| MethodName::from(format!("/m/{number}"));
        for number in 0..MOST_METHODS {
            latencies.of(&name(number)).lock().record(ms(1));
        }
        assert!(Arc::ptr_eq(&latencies.of(&name(7)), &latencies.of(&name(7))));
        assert!(Arc::ptr_eq(&latencies.of(&name(MOST_METHODS)), &latencies.others));
        assert!(!Arc::ptr_eq(&latencies.of(&name(MOST_METHODS - 1)), &latencies.others));
    }
}

//! Latencies counted in buckets, each at most 1.6 % wide, without a lock.

use std::{
    array,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

/// Buckets per power of two.
const STEPS: usize = 1 << STEP_BITS;
const STEP_BITS: u32 = 6;
/// Powers of two: up to 2^36 ns, which is 68 s.
const OCTAVES: usize = 31;
const BUCKETS: usize = STEPS * OCTAVES;
const SHARDS: usize = 16;

/// Counts latencies from many threads: each has a shard to itself, so that no cache line goes to
/// and fro.
pub(crate) struct Histogram {
    shards: [Box<[AtomicU64]>; SHARDS],
}

/// What was counted.
pub(crate) struct Counts {
    buckets: Vec<u64>,
    total: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { shards: array::from_fn(|_| (0..BUCKETS).map(|_| AtomicU64::new(0)).collect()) }
    }

    /// Counts one latency.
    pub(crate) fn record(&self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        let shard = SHARD.with(|shard| *shard);
        self.shards[shard][bucket(nanos)].fetch_add(1, Ordering::Relaxed);
    }

    /// Adds up what all threads have counted.
    pub(crate) fn counts(&self) -> Counts {
        let buckets: Vec<u64> = (0..BUCKETS)
            .map(|index| {
                let counts = self.shards.iter();
                counts.map(|shard| shard[index].load(Ordering::Relaxed)).sum()
            })
            .collect();
        let total = buckets.iter().sum();
        Counts { buckets, total }
    }
}

impl Counts {
    /// How many latencies were counted.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The latency that the fraction `quantile` of all calls did not exceed, in microseconds;
    /// interpolated within its bucket. Zero if nothing was counted.
    pub(crate) fn quantile_micros(&self, quantile: f64) -> f64 {
        let rank = (self.total as f64 * quantile).max(1.0);
        let mut below = 0.0;
        for (index, &count) in self.buckets.iter().enumerate() {
            let count = count as f64;
            if count > 0.0 && below + count >= rank {
                let (low, high) = (lower_bound(index), lower_bound(index + 1));
                let part = (rank - below) / count;
                return (low as f64 + (high - low) as f64 * part) / 1e3;
            }
            below += count;
        }
        0.0
    }
}

thread_local! {
    static SHARD: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS
    };
}

/// Values under `STEPS` have a bucket each; above, the power of two and the next `STEP_BITS` bits
/// tell the bucket.
fn bucket(nanos: u64) -> usize {
    let octave = (u64::BITS - nanos.leading_zeros()).saturating_sub(STEP_BITS + 1);
    let step = (nanos >> octave) as usize;
    (octave as usize * STEPS + step).min(BUCKETS - 1)
}

fn lower_bound(bucket: usize) -> u64 {
    if bucket < 2 * STEPS {
        return bucket as u64;
    }
    let octave = bucket / STEPS - 1;
    ((STEPS + bucket % STEPS) as u64) << octave
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_contiguous_and_narrow() {
        for index in 1..BUCKETS - 1 {
            let (low, high) = (lower_bound(index), lower_bound(index + 1));
            assert!(low < high);
            assert_eq!(bucket(low), index);
            assert_eq!(bucket(high - 1), index);
            assert!((high - low - 1) as f64 <= 0.016 * low as f64);
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_of_a_uniform_load() {
        let histogram = Histogram::new();
        for micros in 1..=1000 {
            histogram.record(Duration::from_micros(micros));
        }
        let counts = histogram.counts();
        assert_eq!(counts.total(), 1000);
        assert!((counts.quantile_micros(0.5) - 500.0).abs() < 10.0);
        assert!((counts.quantile_micros(0.99) - 990.0).abs() < 20.0);
    }
}

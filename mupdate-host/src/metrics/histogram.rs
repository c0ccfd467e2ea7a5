//! Sizes and times by how many were no larger than what.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// A histogram that one thread fills and any other reads, without a lock. A reader may see one observation in part.
#[derive(Debug)]
pub struct Histogram {
    /// Ascending, in the unit of what is observed.
    bounds: &'static [u64],
    /// What is observed is shown divided by this.
    scale: f64,
    /// One more than there are bounds: the last is for what is above them all.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// What a histogram holds at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// All observations together.
    pub sum: f64,
    /// How many there were.
    pub count: u64,
    /// Each upper bound, the last of them infinite, with how many are below it and above the one before.
    pub buckets: Vec<(f64, u64)>,
}

/// From a tenth of a millisecond, on fast disks, to ten seconds, on dying ones.
const TIMES: &[u64] = &[
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    10_000_000_000,
];

const SIZES: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];

impl Histogram {
    /// Of times, shown in seconds.
    #[must_use]
    pub fn of_times() -> Self {
        Self::new(TIMES, 1e9)
    }

    /// Of numbers of things.
    #[must_use]
    pub fn of_sizes() -> Self {
        Self::new(SIZES, 1.0)
    }

    fn new(bounds: &'static [u64], scale: f64) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, scale, counts, sum: AtomicU64::new(0) }
    }

    /// Something took that long.
    pub fn took(&self, time: Duration) {
        self.observe(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// There were so many of something.
    pub fn observe(&self, value: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// What was observed so far.
    #[must_use]
    pub fn observed(&self) -> Observed {
        let counts: Vec<u64> = self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let bounds = self.bounds.iter().map(|bound| *bound as f64 / self.scale).chain([f64::INFINITY]);
        Observed {
            sum: self.sum.load(Ordering::Relaxed) as f64 / self.scale,
            count: counts.iter().sum(),
            buckets: bounds.zip(counts.iter().copied()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_observation_is_in_the_first_bucket_that_holds_it() {
        let sizes = Histogram::of_sizes();
        for size in [1, 2, 3, 4, 5000] {
            sizes.observe(size);
        }
        let Observed { sum, count, buckets } = sizes.observed();
        assert_eq!((sum, count), (5010.0, 5));
        assert_eq!(buckets[..3], [(1.0, 1), (2.0, 1), (4.0, 2)]);
        assert_eq!(buckets.last(), Some(&(f64::INFINITY, 1)));
        let times = Histogram::of_times();
        times.took(Duration::from_millis(250));
        assert_eq!(times.observed().buckets[10], (0.25, 1));
        assert_eq!(times.observed().sum, 0.25);
    }
}

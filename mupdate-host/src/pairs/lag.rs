//! How long echoes take, as a histogram: a fixed number of counters, whatever comes.

use std::time::Duration;

/// Counters: two for each doubling, from a millisecond to more than a day, and one for what is longer.
const BUCKETS: usize = 56;

/// Times between changes and their echoes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lags {
    buckets: [u64; BUCKETS],
    count: u64,
    sum: Duration,
    longest: Duration,
    last: Duration,
}

impl Default for Lags {
    fn default() -> Self {
        let (sum, longest, last) = Default::default();
        Self { buckets: [0; BUCKETS], count: 0, sum, longest, last }
    }
}

impl Lags {
    /// An echo came so long after its change.
    pub fn add(&mut self, lag: Duration) {
        self.buckets[bucket(lag)] += 1;
        self.count += 1;
        self.sum = self.sum.saturating_add(lag);
        self.longest = self.longest.max(lag);
        self.last = lag;
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// All of them together.
    #[must_use]
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// The longest.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.longest
    }

    /// The last one.
    #[must_use]
    pub fn last(&self) -> Duration {
        self.last
    }

    /// The time within which so many of a hundred came: at most two fifths too long, and never longer than the longest.
    #[must_use]
    pub fn within(&self, percent: u64) -> Duration {
        let wanted = self.count.saturating_mul(percent).div_ceil(100).max(1);
        let mut seen = 0;
        for (at, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted && at + 1 < BUCKETS {
                return end(at).min(self.longest);
            }
        }
        self.longest
    }

    /// For people: upper ends of those intervals in which any came, and how many came in each. The last has no end.
    pub fn steps(&self) -> impl Iterator<Item = (Option<Duration>, u64)> + '_ {
        let all = self.buckets.iter().enumerate().filter(|(_, count)| **count > 0);
        all.map(|(at, count)| ((at + 1 < BUCKETS).then(|| end(at)), *count))
    }

    /// For exporters: upper ends of intervals, and how many came within each. The last has no end.
    pub fn cumulated(&self) -> impl Iterator<Item = (Option<Duration>, u64)> + '_ {
        let mut seen = 0;
        self.buckets.iter().enumerate().map(move |(at, count)| {
            seen += count;
            ((at + 1 < BUCKETS).then(|| end(at)), seen)
        })
    }
}

/// 1, 1.5, 2, 3, 4, 6, 8, ... milliseconds.
fn end(at: usize) -> Duration {
    let doubled = 1_u64 << (at / 2);
    Duration::from_micros(if at.is_multiple_of(2) { 1000 * doubled } else { 1500 * doubled })
}

fn bucket(lag: Duration) -> usize {
    let millis = lag.as_millis().max(1);
    let doublings = usize::try_from(millis.ilog2()).unwrap_or(BUCKETS);
    let first = (2 * doublings).saturating_sub(1).min(BUCKETS - 1);
    (first..BUCKETS - 1).find(|at| lag <= end(*at)).unwrap_or(BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_is_counted_where_it_belongs() {
        let micros = (0..40_u32).flat_map(|power| {
            let at = 1_u64 << power;
            [at - 1, at, at + 1, at + at / 2]
        });
        for micros in micros.chain([u64::MAX]) {
            let lag = Duration::from_micros(micros);
            let at = bucket(lag);
            assert!(at == BUCKETS - 1 || lag <= end(at), "{lag:?} in {at}");
            assert!(at == 0 || lag > end(at - 1), "{lag:?} in {at}");
        }
    }

    #[test]
    fn says_how_long_most_take() {
        let mut lags = Lags::default();
        for millis in 1..=100 {
            lags.add(Duration::from_millis(millis));
        }
        lags.add(Duration::from_millis(5));
        assert_eq!((lags.count(), lags.last().as_millis(), lags.longest().as_millis()), (101, 5, 100));
        assert_eq!(lags.within(50).as_millis(), 64);
        assert_eq!(lags.within(99).as_millis(), 100);
        assert_eq!(lags.sum().as_millis(), 5055);
        assert_eq!(lags.cumulated().last(), Some((None, 101)));
        assert_eq!(lags.steps().map(|(_, count)| count).sum::<u64>(), 101);
        assert_eq!(lags.steps().next(), Some((Some(Duration::from_millis(1)), 1)));
        assert_eq!(Lags::default().within(50), Duration::ZERO);
        lags.add(Duration::from_secs(1_000_000_000));
        assert_eq!(lags.within(100).as_secs(), 1_000_000_000);
    }
}

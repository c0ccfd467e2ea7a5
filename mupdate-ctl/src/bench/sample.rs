//! What one case came to on one server in one round.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// Times that can be told apart: from a nanosecond to two minutes, to three digits.
const LONGEST: u64 = 120_000_000_000;

/// What was seen in one round.
#[derive(Debug, Clone)]
pub struct Sample {
    /// How long it took in all.
    pub elapsed: Duration,
    /// Octets of the server's memory for each connection, where that is what is measured.
    pub memory_each: Option<u64>,
    /// Nanoseconds that each operation took.
    times: Histogram<u64>,
}

impl Default for Sample {
    fn default() -> Self {
        let times = Histogram::new_with_bounds(1, LONGEST, 3).expect("sound bounds");
        Self { elapsed: Duration::ZERO, memory_each: None, times }
    }
}

impl Sample {
    /// An operation that began then has ended.
    pub fn done(&mut self, since: Instant) {
        self.took(since.elapsed());
    }

    /// An operation took that long.
    pub fn took(&mut self, time: Duration) {
        self.times.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(LONGEST).max(1));
    }

    /// What another client saw at the same time.
    pub fn join(&mut self, other: &Self) {
        self.times.add(&other.times).expect("the same bounds");
    }

    /// The figures of it.
    pub fn figures(&self) -> Figures {
        let seconds = self.elapsed.as_secs_f64().max(f64::EPSILON);
        #[allow(clippy::cast_precision_loss, reason = "figures for people")]
        let rate = self.times.len() as f64 / seconds;
        let at = |quantile| Duration::from_nanos(self.times.value_at_quantile(quantile));
        Figures {
            operations: self.times.len(),
            rate,
            p50: at(0.5),
            p99: at(0.99),
            max: Duration::from_nanos(self.times.max()),
            memory_each: self.memory_each,
        }
    }
}

/// The figures of a sample, or the medians of several.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// Operations that were timed.
    pub operations: u64,
    /// Operations a second.
    pub rate: f64,
    /// The time that half of them took at most.
    pub p50: Duration,
    /// The time that 99 of 100 took at most.
    pub p99: Duration,
    /// The longest time.
    pub max: Duration,
    /// Octets of the server's memory for each connection.
    pub memory_each: Option<u64>,
}

impl Figures {
    /// Each figure's own median; `None` of nothing.
    pub fn median(all: &[Self]) -> Option<Self> {
        if all.is_empty() {
            return None;
        }
        let mut rates: Vec<f64> = all.iter().map(|figures| figures.rate).collect();
        rates.sort_by(f64::total_cmp);
        Some(Self {
            operations: middle(all.iter().map(|figures| figures.operations))?,
            rate: rates[rates.len() / 2],
            p50: middle(all.iter().map(|figures| figures.p50))?,
            p99: middle(all.iter().map(|figures| figures.p99))?,
            max: middle(all.iter().map(|figures| figures.max))?,
            memory_each: middle(all.iter().filter_map(|figures| figures.memory_each)),
        })
    }
}

fn middle<T: Ord + Copy>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut values: Vec<T> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(millis: &[u64]) -> Sample {
        let mut sample = Sample { elapsed: Duration::from_secs(2), ..Sample::default() };
        millis.iter().for_each(|time| sample.took(Duration::from_millis(*time)));
        sample
    }

    fn near(time: Duration, millis: u64) -> bool {
        time.abs_diff(Duration::from_millis(millis)) <= Duration::from_millis(millis) / 500
    }

    #[test]
    fn figures_of_what_several_clients_saw() {
        let mut all = sample(&[1, 2, 3]);
        all.join(&sample(&[4, 500]));
        let figures = all.figures();
        assert_eq!((figures.operations, figures.rate), (5, 2.5));
        assert!(near(figures.p50, 3) && near(figures.p99, 500) && near(figures.max, 500), "{figures:?}");
    }

    #[test]
    fn medians_stand_for_each_figure() {
        let all = [&[1][..], &[30, 30, 30], &[2, 2]].map(|millis| sample(millis).figures());
        let median = Figures::median(&all).expect("three");
        assert_eq!((median.operations, median.rate), (2, 1.0));
        assert!(near(median.max, 2), "{median:?}");
        assert_eq!(Figures::median(&[]), None);
    }
}

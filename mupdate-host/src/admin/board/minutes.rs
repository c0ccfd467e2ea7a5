//! Counts by the minute, from counters that only grow: they are looked at when a minute ends, and never where they are
//! counted.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::admin::api;
use crate::sync::{Mutex, lock};

/// Minutes that are kept, the one under way not counted.
const KEPT: usize = 60;

const MINUTE: Duration = Duration::from_secs(60);

/// What is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub changes: u64,
    pub refused: u64,
}

/// The last hour.
#[derive(Debug)]
pub(super) struct Minutes(Mutex<Hour>);

#[derive(Debug)]
struct Hour {
    /// When the minute under way began.
    begun: Instant,
    /// The counters at that moment.
    base: Counts,
    past: VecDeque<Counts>,
}

impl Counts {
    fn since(self, base: Self) -> Self {
        Self {
            changes: self.changes.saturating_sub(base.changes),
            refused: self.refused.saturating_sub(base.refused),
        }
    }
}

impl Minutes {
    /// From now on.
    pub fn new(now: Instant) -> Self {
        Self(Mutex::new(Hour { begun: now, base: Counts::default(), past: VecDeque::new() }))
    }

    /// When the minute under way ends, and the counters are to be looked at.
    pub fn due(&self) -> Instant {
        lock(&self.0).begun + MINUTE
    }

    /// The counters are so now.
    pub fn look(&self, now: Instant, counts: Counts) {
        lock(&self.0).look(now, counts);
    }

    /// What there was in each minute. `now_ms` is the time of day.
    pub fn told(&self, now: Instant, now_ms: u64, counts: Counts) -> api::Minutes {
        let mut hour = lock(&self.0);
        hour.look(now, counts);
        let under_way = counts.since(hour.base);
        let gone = now.saturating_duration_since(hour.begun).as_millis();
        let all = || hour.past.iter().copied().chain([under_way]);
        api::Minutes {
            last_ms: super::brief::second(now_ms.saturating_sub(u64::try_from(gone).unwrap_or(u64::MAX))),
            changes: all().map(|counts| counts.changes).collect(),
            refused: all().map(|counts| counts.refused).collect(),
        }
    }
}

impl Hour {
    /// What was counted belongs to the first minute that has ended since; of others, if there are any, nobody knows better.
    fn look(&mut self, now: Instant, counts: Counts) {
        let ended = now.saturating_duration_since(self.begun).as_secs() / MINUTE.as_secs();
        if ended == 0 {
            return;
        }
        self.past.push_back(counts.since(self.base));
        let idle = usize::try_from(ended - 1).unwrap_or(usize::MAX).min(KEPT);
        self.past.extend(std::iter::repeat_n(Counts::default(), idle));
        self.past.drain(..self.past.len().saturating_sub(KEPT));
        self.base = counts;
        self.begun += MINUTE.saturating_mul(u32::try_from(ended).unwrap_or(u32::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_told_by_the_minute() {
        let start = Instant::now();
        let (minutes, at) = (Minutes::new(start), |seconds: u64| start + Duration::from_secs(seconds));
        let counts = |changes| Counts { changes, refused: changes / 10 };
        let told = |seconds, changes| minutes.told(at(seconds), 1_000_000, counts(changes));
        assert_eq!(told(30, 20).changes, [20]);
        assert_eq!(told(30, 20).last_ms, 970_000);
        minutes.look(at(59), counts(90));
        assert_eq!(minutes.due(), at(60));
        minutes.look(at(60), counts(100));
        assert_eq!(minutes.due(), at(120));
        assert_eq!((told(75, 103).changes, told(75, 103).refused), (vec![100, 3], vec![10, 0]));
        assert_eq!(told(75, 103).last_ms, 985_000);
        assert_eq!(told(250, 107).changes, [100, 7, 0, 0, 0], "nobody looked");
        assert_eq!(told(1_000_000, 110).changes.len(), KEPT + 1, "an hour is kept");
        assert_eq!(told(1_000_000, 115).changes.last(), Some(&5));
    }
}

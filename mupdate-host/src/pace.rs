//! How fast each user's commands are taken, over all of his connections: `limits.commands_per_second`.
//!
//! Each user has a row of moments, one behind the other at the even distance that the rate gives, and each command of his
//! takes the next one. Who has taken none for a while may be ahead of his row by a burst. A connection that waits for its
//! moment has taken it, so all of a user's connections come on by one command each, in turn, and none waits longer than all
//! of them take for one.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use crate::sync::Mutex;

/// How fast commands are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// In the long run.
    pub per_second: u32,
    /// At once, by whoever has sent none for so long.
    pub burst: u32,
}

impl Rate {
    /// From one command to the next.
    fn distance(self) -> Duration {
        Duration::from_secs(1) / self.per_second.max(1)
    }
}

/// The rows of all users. It remembers those who are connected, or were so lately that their row is not over.
#[derive(Debug, Default)]
pub struct Paces(Mutex<BTreeMap<String, Arc<Pace>>>);

impl Paces {
    /// This user's row.
    pub fn of(&self, user: &str, now: Instant) -> Arc<Pace> {
        let mut paces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pace) = paces.get(user) {
            return Arc::clone(pace);
        }
        // Only a new user makes it longer.
        paces.retain(|_, pace| Arc::strong_count(pace) > 1 || !pace.is_over(now));
        Arc::clone(paces.entry(user.to_owned()).or_default())
    }
}

/// The row of a user: where it ends.
#[derive(Debug, Default)]
pub struct Pace(Mutex<Option<Instant>>);

impl Pace {
    /// Take the next moment, which has passed if a command may be taken now.
    pub fn next(&self, rate: Rate, now: Instant) -> Instant {
        let mut end = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let moment = end.map_or(now, |end| end.max(now));
        *end = Some(moment + rate.distance());
        // Without an earlier one there is nothing to be ahead of.
        moment.checked_sub(rate.distance() * rate.burst.saturating_sub(1)).unwrap_or(now)
    }

    fn is_over(&self, now: Instant) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_none_or(|end| end <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_second: 10, burst: 3 };
    const DISTANCE: Duration = Duration::from_millis(100);

    #[test]
    fn a_burst_is_taken_at_once_and_the_rest_evenly() {
        let (pace, start) = (Pace::default(), Instant::now());
        let waits = |pace: &Pace, at: Instant| pace.next(RATE, at).saturating_duration_since(at);
        let first: Vec<_> = (0..6).map(|_| waits(&pace, start)).collect();
        assert_eq!(first, [0, 0, 0, 1, 2, 3].map(|count| DISTANCE * count));
        // Half a second later the row has come on by five.
        let later = start + DISTANCE * 5;
        assert_eq!([waits(&pace, later), waits(&pace, later)], [Duration::ZERO; 2]);
        assert_eq!(waits(&pace, later), DISTANCE);
        // Who rests for an hour has no more than one burst.
        let rested = start + Duration::from_secs(3600);
        let after: Vec<_> = (0..4).map(|_| waits(&pace, rested)).collect();
        assert_eq!(after, [0, 0, 0, 1].map(|count| DISTANCE * count));
    }

    #[test]
    fn a_row_is_the_users_and_outlives_his_connection_but_not_for_ever() {
        let (paces, start) = (Paces::default(), Instant::now());
        let known = |paces: &Paces| paces.0.lock().unwrap_or_else(PoisonError::into_inner).len();
        let first = paces.of("one", start);
        assert!(Arc::ptr_eq(&first, &paces.of("one", start)));
        first.next(RATE, start);
        drop(first);
        assert_eq!(paces.of("two", start).next(RATE, start), start - DISTANCE * 2, "his own");
        assert_eq!(known(&paces), 2);
        assert!(paces.of("one", start).next(RATE, start) > start - DISTANCE * 2, "remembered");
        let later = start + Duration::from_secs(1);
        let _third = paces.of("three", later);
        assert_eq!(known(&paces), 1);
    }
}

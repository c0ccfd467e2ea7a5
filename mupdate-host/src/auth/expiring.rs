//! What is remembered until a time, and of a bounded number.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// Keys with the time up to which each matters. When there are too many, those that would be forgotten first are
/// forgotten at once: whoever floods it with new keys pushes out new keys, not those that have gathered time.
#[derive(Debug)]
pub(super) struct Expiring<K> {
    until: BTreeMap<K, Instant>,
    /// The same, in the order of time.
    order: BTreeSet<(Instant, K)>,
    most: usize,
}

impl<K: Ord + Clone> Expiring<K> {
    /// Nothing yet, and never more than `most`.
    pub fn new(most: usize) -> Self {
        Self { until: BTreeMap::new(), order: BTreeSet::new(), most }
    }

    /// Up to when this key matters, if it still does.
    pub fn get(&self, key: &K, now: Instant) -> Option<Instant> {
        self.until.get(key).copied().filter(|until| *until > now)
    }

    /// From here on this key matters until then.
    pub fn set(&mut self, key: K, until: Instant, now: Instant) {
        if let Some(before) = self.until.insert(key.clone(), until) {
            self.order.remove(&(before, key.clone()));
        }
        self.order.insert((until, key));
        while self.order.len() > self.most || self.order.first().is_some_and(|(until, _)| *until <= now) {
            let Some((_, key)) = self.order.pop_first() else { break };
            self.until.remove(&key);
        }
    }

    /// How many are kept.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        debug_assert_eq!(self.until.len(), self.order.len());
        self.until.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_over_is_forgotten_and_what_would_be_first_makes_room() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut keys = Expiring::new(3);
        for (key, until) in [("b", 20), ("a", 10), ("c", 30)] {
            keys.set(key, at(until), start);
        }
        assert_eq!((keys.get(&"a", start), keys.get(&"a", at(10))), (Some(at(10)), None));
        keys.set("a", at(40), start);
        keys.set("d", at(25), start);
        assert_eq!(keys.get(&"b", start), None, "made room");
        keys.set("e", at(5), start);
        assert_eq!(keys.get(&"e", start), None, "pushes out nobody who matters longer");
        keys.set("a", at(50), at(35));
        assert_eq!(keys.len(), 1, "the others are over");
    }
}

//! How many of something each key has, with a bound for each: connections of an address, connections of a user.

use std::{collections::BTreeMap, fmt, sync::Arc};

use crate::sync::{Mutex, lock};

/// The counts. Only keys that have something are kept, so memory is bounded by what is counted.
pub struct Tally<K: Ord>(Mutex<BTreeMap<K, usize>>);

impl<K: Ord + Clone> Tally<K> {
    /// One more for this key, unless it has `limit` already; `None` is without limit, and counted all the same, since
    /// there may be a limit tomorrow.
    pub fn take(self: &Arc<Self>, key: K, limit: Option<usize>) -> Option<Share<K>> {
        let mut counts = lock(&self.0);
        let count = counts.get(&key).copied().unwrap_or(0);
        if limit.is_some_and(|limit| count >= limit) {
            return None;
        }
        counts.insert(key.clone(), count + 1);
        drop(counts);
        Some(Share { key, tally: Arc::clone(self) })
    }

    /// How much all keys have together.
    pub fn total(&self) -> usize {
        lock(&self.0).values().sum()
    }
}

impl<K: Ord> Default for Tally<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Ord> fmt::Debug for Tally<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tally").field("keys", &lock(&self.0).len()).finish()
    }
}

/// One of what is counted, given back when dropped.
pub struct Share<K: Ord> {
    key: K,
    tally: Arc<Tally<K>>,
}

impl<K: Ord> Drop for Share<K> {
    fn drop(&mut self) {
        let mut counts = lock(&self.tally.0);
        match counts.get_mut(&self.key) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(counts.remove(&self.key)),
        }
    }
}

impl<K: Ord + fmt::Debug> fmt::Debug for Share<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Share").field(&self.key).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_own_bound_and_gives_back_what_it_took() {
        let tally = Arc::new(Tally::default());
        let (first, _second) = (tally.take("a", Some(2)), tally.take("a", Some(2)));
        assert!(tally.take("a", Some(2)).is_none());
        assert!(tally.take("b", Some(2)).is_some(), "and gives it back at once");
        drop(first);
        assert!(tally.take("a", Some(2)).is_some());
        assert_eq!(format!("{tally:?}"), "Tally { keys: 1 }");
    }

    #[test]
    fn what_was_taken_without_a_limit_counts_when_there_is_one() {
        let tally = Arc::new(Tally::default());
        let shares: Vec<_> = (0..3).map(|_| tally.take(7, None).expect("no limit")).collect();
        assert!(tally.take(7, Some(3)).is_none());
        drop(shares);
        assert!(tally.take(7, Some(3)).is_some());
        assert_eq!(lock(&tally.0).len(), 0, "nothing is kept of who has nothing");
    }
}

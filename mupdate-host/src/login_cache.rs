//! Logins that were verified a moment ago.
//!
//! A Cyrus backend opens a new connection for every operation on a mailbox, and logs in each time; the hash that protects
//! the kept passwords is slow on purpose. What is remembered is a keyed hash over user, password and record: the key lives
//! and dies with the process, so memory read later tells nothing, and a changed password no longer matches.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::scram::{ScramRecord, keyed};
use crate::sync::{Mutex, MutexGuard, lock};

/// Names one combination of user, password and record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint")
    }
}

/// The memory of verified logins; at most `entries` of them, each for `lifetime`.
pub struct LoginCache {
    key: Zeroizing<[u8; 32]>,
    entries: usize,
    lifetime: Duration,
    known: Mutex<Known>,
}

/// Every entry of `until` has an entry in `ages` with the same time; `ages` is in the order of time, and no longer than
/// the cache may be.
#[derive(Default)]
struct Known {
    until: BTreeMap<Fingerprint, Instant>,
    ages: VecDeque<(Instant, Fingerprint)>,
}

impl LoginCache {
    /// An empty cache with a fresh key.
    ///
    /// # Errors
    /// The operating system gives no random octets.
    pub fn new(entries: usize, lifetime: Duration) -> Result<Self, getrandom::Error> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *key)?;
        Ok(Self { key, entries, lifetime, known: Mutex::default() })
    }

    /// The name of this combination.
    pub fn fingerprint(&self, user: &str, password: &[u8], record: &ScramRecord) -> Fingerprint {
        let [salt, stored_key] = record.identity();
        // The lengths keep two combinations apart whose octets are the same in a row.
        let lengths = [user.len(), password.len(), salt.len()].map(|length| (length as u64).to_be_bytes());
        let [user_length, password_length, salt_length] = &lengths;
        Fingerprint(keyed(
            &*self.key,
            &[user_length, user.as_bytes(), password_length, password, salt_length, salt, stored_key],
        ))
    }

    /// The name of this combination for a user who has no record, since somebody else knows the password.
    pub fn fingerprint_elsewhere(&self, user: &str, password: &[u8]) -> Fingerprint {
        // No record has a salt without octets, so this is none of theirs.
        let lengths = [user.len(), password.len(), 0].map(|length| (length as u64).to_be_bytes());
        let [user_length, password_length, salt_length] = &lengths;
        Fingerprint(keyed(
            &*self.key,
            &[user_length, user.as_bytes(), password_length, password, salt_length],
        ))
    }

    /// Whether this combination was verified lately. (How long the look-up takes tells about keyed hashes only, which nobody
    /// outside can compute.)
    pub fn knows(&self, fingerprint: &Fingerprint, now: Instant) -> bool {
        self.known().until.get(fingerprint).is_some_and(|until| now < *until)
    }

    /// Remembers a combination that was verified; the oldest ones make room.
    pub fn remember(&self, fingerprint: Fingerprint, now: Instant) {
        let mut guard = self.known();
        let known = &mut *guard;
        let until = now + self.lifetime;
        known.until.insert(fingerprint, until);
        known.ages.push_back((until, fingerprint));
        while known.ages.len() > self.entries || known.ages.front().is_some_and(|(until, _)| *until <= now) {
            let Some((until, oldest)) = known.ages.pop_front() else { break };
            // One that was verified again since has a younger entry further back.
            if known.until.get(&oldest) == Some(&until) {
                known.until.remove(&oldest);
            }
        }
    }

    /// Forgets everything.
    pub fn clear(&self) {
        *self.known() = Known::default();
    }

    /// Logins remembered now, expired ones included.
    pub fn len(&self) -> usize {
        self.known().until.len()
    }

    /// Nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing that panics happens under the lock, and half a change would only cost a hash.
        lock(&self.known)
    }
}

impl fmt::Debug for LoginCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginCache").field("entries", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scram::Hash;
    use std::sync::OnceLock;

    const MINUTE: Duration = Duration::from_secs(60);

    fn record() -> &'static ScramRecord {
        static RECORD: OnceLock<ScramRecord> = OnceLock::new();
        RECORD.get_or_init(new_record)
    }

    fn new_record() -> ScramRecord {
        ScramRecord::new(Hash::Sha256, b"secret", 4096).unwrap()
    }

    fn user(cache: &LoginCache, number: usize) -> Fingerprint {
        cache.fingerprint(&format!("user{number}"), b"secret", record())
    }

    #[test]
    fn what_was_verified_is_known_until_it_expires() {
        let (cache, now) = (LoginCache::new(10, MINUTE).unwrap(), Instant::now());
        let print = user(&cache, 1);
        assert!(!cache.knows(&print, now));
        cache.remember(print, now);
        assert!(cache.knows(&print, now + MINUTE - Duration::from_millis(1)));
        assert!(!cache.knows(&print, now + MINUTE));
        cache.remember(user(&cache, 2), now + MINUTE);
        assert_eq!(cache.len(), 1);
        cache.clear();
        assert!(cache.is_empty());
    }

    #[test]
    fn user_password_and_record_all_count() {
        let cache = LoginCache::new(10, MINUTE).unwrap();
        let base = cache.fingerprint("user", b"secret", record());
        assert_eq!(base, cache.fingerprint("user", b"secret", record()));
        assert_ne!(base, cache.fingerprint("users", b"ecret", record()));
        assert_ne!(base, cache.fingerprint("user", b"Secret", record()));
        assert_ne!(base, cache.fingerprint("user", b"secret", &new_record()));
        let other = LoginCache::new(10, MINUTE).unwrap();
        assert_ne!(base, other.fingerprint("user", b"secret", record()));
    }

    #[test]
    fn the_oldest_make_room() {
        let (cache, now) = (LoginCache::new(3, MINUTE).unwrap(), Instant::now());
        for number in 0..5 {
            cache.remember(user(&cache, number), now);
        }
        let known: Vec<bool> = (0..5).map(|number| cache.knows(&user(&cache, number), now)).collect();
        assert_eq!(known, [false, false, true, true, true]);
        assert_eq!(cache.len(), 3);
    }

    #[test]
    fn verifying_the_same_again_stays_within_bounds() {
        let (cache, now) = (LoginCache::new(3, MINUTE).unwrap(), Instant::now());
        for second in 0..100 {
            cache.remember(user(&cache, 0), now + Duration::from_secs(second));
        }
        assert_eq!((cache.len(), cache.known().ages.len()), (1, 3));
        assert!(cache.knows(&user(&cache, 0), now + Duration::from_secs(158)));
    }

    #[test]
    fn a_cache_without_room_remembers_nothing() {
        let (cache, now) = (LoginCache::new(0, MINUTE).unwrap(), Instant::now());
        cache.remember(user(&cache, 1), now);
        assert!(cache.is_empty() && !cache.knows(&user(&cache, 1), now));
    }
}

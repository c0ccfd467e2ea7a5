//! After the dump of an UPDATE: which mailboxes the peer may have lost in merging it.
//!
//! A Cyrus frontend merges our list with its own by plain octet comparison. If mailboxes were deleted while it was
//! away, that merge can pass over others, which exist, in silence. They are found from the tombstones and put into
//! the peer's feed, to be told again. For a peer that follows some servers only, what moved to another one is gone as
//! well, and has no tombstone: such a peer is told again whatever it can have lost at all. And some peers lose mailboxes of
//! one domain by those of another, whether anything was deleted or not.

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;

use bytes::Bytes;
use mupdate_core::directory::{
    KeyRange, Revision, at_risk, can_be_at_risk, domain_of, risk_ranges, stem, v36_name,
};
use mupdate_proto::MailboxName;

use super::error::StoreError;
use super::locations::Lookup;
use super::record::Stored;
use super::{Store, tombstones};
use crate::feeds::Subscription;
use crate::sync::lock;

/// Under which name is remembered of which master all that is here was a copy once; nothing is, of whoever has never followed
/// one, and of a replica that lacks something, an empty word.
pub const FOLLOWED: &str = "upstream_synced";

/// Tombstones that are worked through in one step: a fraction of a millisecond for ordinary names.
const TOMBSTONES: usize = 64;

/// Mailboxes that one read transaction may look at.
const STEPS: usize = 4096;

/// Names that are remembered between tombstones that endanger the same neighbours.
const REMEMBERED: usize = 65_536;

/// A search for the names that a subscriber can have lost, under way. Made by [`Store::reannounce`].
///
/// It is done in steps, since a client that nobody knows has every deletion that is remembered against it: many, and
/// other connections do not wait for that.
#[derive(Debug)]
pub struct Reannounce {
    reached: Revision,
    search: Plan,
}

/// Where to look.
#[derive(Debug)]
enum Plan {
    /// Around what was deleted, and around every domain.
    Neighbours(Around),
    /// Everywhere, from this key on.
    All(Bound<Vec<u8>>),
}

/// The search around deleted names and around domains.
#[derive(Debug, Default)]
struct Around {
    /// The deletion that was looked at last.
    since: Revision,
    /// Where the next domain is looked for, once there is no deletion left.
    domains: Option<Vec<u8>>,
    /// The names in a range that was looked at, less those that are in the feed by now. Deleted siblings endanger
    /// the same ranges, so those need to be read once only.
    ranges: BTreeMap<KeyRange, Vec<Vec<u8>>>,
    /// The stems of deleted names around which everything at risk was found.
    done: HashSet<Vec<u8>>,
    /// How much that is: names, ranges and stems.
    remembered: usize,
}

impl Store {
    /// Begin to put every mailbox that is at risk from a deletion after `since` into the feed of a subscriber, if it
    /// wants that mailbox's server. `None`, or a revision from another life of this store: every deletion that
    /// is remembered counts. Where the store was filled by following a master, deletions are not all that counts then: the
    /// peer may have names from there that this store never had. It is told again whatever it can have lost at all.
    #[must_use]
    pub fn reannounce(&self, since: Option<Revision>, subscription: &Subscription) -> Reannounce {
        // Asked first: what is published by now is in the feed, or was in the dump.
        let reached = subscription.published();
        let since = since.filter(|&since| since <= reached);
        let search = if subscription.whole() && (since.is_some() || !self.has_followed()) {
            Plan::Neighbours(Around { since: since.unwrap_or(0), ..Around::default() })
        } else {
            Plan::All(Bound::Unbounded)
        };
        Reannounce { reached, search }
    }

    /// What is here came from a master that was followed, once. If that cannot be read, nothing of the search can.
    fn has_followed(&self) -> bool {
        self.remembered(FOLLOWED).is_ok_and(|word| word.is_some())
    }

    /// Go on with a search. At its end, returns the revision that the peer has reached when it has the dump and what
    /// its feed holds now.
    ///
    /// # Errors
    /// The store cannot be read. Some names may be in the feed, which does no harm.
    pub fn reannounce_some(
        &self,
        under_way: &mut Reannounce,
        subscription: &Subscription,
    ) -> Result<Option<Revision>, StoreError> {
        let done = match &mut under_way.search {
            Plan::Neighbours(around) => match around.domains.take() {
                None => {
                    if self.around_deleted(around, subscription)? {
                        // LMDB has no empty keys, and no name has a NUL.
                        around.domains = Some(vec![0]);
                    }
                    false
                }
                Some(from) => {
                    around.domains = self.around_domains(around, from, subscription)?;
                    around.domains.is_none()
                }
            },
            Plan::All(from) => self.everywhere(from, subscription)?,
        };
        Ok(done.then_some(under_way.reached))
    }

    /// Look around some more of what was deleted. True: that was the last.
    fn around_deleted(
        &self,
        under_way: &mut Around,
        subscription: &Subscription,
    ) -> Result<bool, StoreError> {
        let graves = {
            let txn = self.inner.env.read_txn()?;
            tombstones::after(&self.inner.tables, &txn, under_way.since, TOMBSTONES)?
        };
        let mut search = Search { store: self, subscription, under_way };
        for (revision, key) in &graves {
            search.around_stem(&v36_name(key))?;
            search.under_way.since = *revision;
        }
        Ok(graves.len() < TOMBSTONES)
    }

    /// Look around some more domains. Returns where the next one is to be looked for.
    fn around_domains(
        &self,
        under_way: &mut Around,
        mut from: Vec<u8>,
        subscription: &Subscription,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let mut domains = Vec::new();
        let mut over = false;
        {
            let txn = self.inner.env.read_txn()?;
            for _ in 0..TOMBSTONES {
                let Some(entry) = self
                    .inner
                    .tables
                    .mailboxes
                    .range(&txn, &(Bound::Included(&from[..]), Bound::Unbounded))?
                    .next()
                else {
                    over = true;
                    break;
                };
                let (key, _) = entry?;
                from = behind(key);
                domains.extend(domain_of(&v36_name(key)).map(<[u8]>::to_vec));
            }
        }
        let mut search = Search { store: self, subscription, under_way };
        for domain in domains {
            search.around(&domain)?;
        }
        Ok((!over).then_some(from))
    }

    /// Look at some more of all names. True: those were the last.
    fn everywhere(&self, from: &mut Bound<Vec<u8>>, subscription: &Subscription) -> Result<bool, StoreError> {
        let txn = self.inner.env.read_txn()?;
        let mut lookup = Lookup::new(&self.inner.tables, &txn);
        let mut last = None;
        let range = (from.as_ref().map(Vec::as_slice), Bound::Unbounded);
        for entry in self.inner.tables.mailboxes.range(&txn, &range)?.take(STEPS) {
            let (key, octets) = entry?;
            last = Some(key);
            let name = v36_name(key);
            if can_be_at_risk(&name) && subscription.wants(lookup.location(Stored::decode(octets)?.location)?)
            {
                touch(subscription, &name);
            }
        }
        if let Some(key) = last {
            *from = Bound::Excluded(key.to_vec());
        }
        Ok(last.is_none())
    }
}

/// The first key that can be of another domain, or of none, than this one: behind the whole domain, or behind all the
/// children of a name that has none.
fn behind(key: &[u8]) -> Vec<u8> {
    // In keys these two stand for the `!` behind a domain and for a `.` where there is no domain, and for nothing else.
    match key.iter().position(|octet| [0x1D, 0x1F].contains(octet)) {
        Some(at) => [&key[..at], &[key[at] + 1]].concat(),
        None => [key, &[0x01]].concat(),
    }
}

/// Put a name into the feed.
fn touch(subscription: &Subscription, name: &[u8]) {
    if let Ok(mailbox) = MailboxName::new(Bytes::copy_from_slice(name)) {
        lock(subscription.feed()).touch(mailbox);
        subscription.reannounced();
    }
}

struct Search<'a> {
    store: &'a Store,
    subscription: &'a Subscription,
    under_way: &'a mut Around,
}

impl Search<'_> {
    /// Put into the feed whatever is at risk from one deleted name, unless that was done for another of its stem.
    fn around_stem(&mut self, deleted: &[u8]) -> Result<(), StoreError> {
        let Some((stem, exception)) = stem(deleted) else { return self.around(deleted) };
        if self.under_way.done.contains(stem) {
            return Ok(());
        }
        self.around(deleted)?;
        let settled = match &exception {
            Some(range) => self.is_empty(range)?,
            None => true,
        };
        if settled {
            self.make_room(1);
            self.under_way.remembered += 1;
            self.under_way.done.insert(stem.to_vec());
        }
        Ok(())
    }

    fn is_empty(&self, (from, to): &KeyRange) -> Result<bool, StoreError> {
        let txn = self.store.inner.env.read_txn()?;
        let range = (Bound::Included(&from[..]), Bound::Excluded(&to[..]));
        Ok(self.store.inner.tables.mailboxes.range(&txn, &range)?.next().transpose()?.is_none())
    }

    /// Put into the feed whatever is at risk from one deleted name.
    fn around(&mut self, deleted: &[u8]) -> Result<(), StoreError> {
        for range in risk_ranges(deleted) {
            let safe = match self.under_way.ranges.remove(&range) {
                Some(mut names) => {
                    self.under_way.remembered -= 1 + names.len();
                    names.retain(|name| !self.touched(deleted, name));
                    Some(names)
                }
                None => self.read(deleted, &range)?,
            };
            if let Some(safe) = safe {
                self.remember(range, safe);
            }
        }
        Ok(())
    }

    fn remember(&mut self, range: KeyRange, names: Vec<Vec<u8>>) {
        self.make_room(1 + names.len());
        self.under_way.remembered += 1 + names.len();
        self.under_way.ranges.insert(range, names);
    }

    /// What is remembered saves work, and can be forgotten.
    fn make_room(&mut self, wanted: usize) {
        let Around { ranges, done, remembered, .. } = &mut *self.under_way;
        if *remembered + wanted > REMEMBERED {
            ranges.clear();
            done.clear();
            *remembered = 0;
        }
    }

    /// Put a name into the feed if it is at risk.
    fn touched(&self, deleted: &[u8], name: &[u8]) -> bool {
        let risky = at_risk(deleted, name);
        if risky {
            touch(self.subscription, name);
        }
        risky
    }

    /// Look at all names in a range that the subscriber wants to hear of. Returns those that are not at risk, unless
    /// they are too many to be kept.
    fn read(&self, deleted: &[u8], (from, to): &KeyRange) -> Result<Option<Vec<Vec<u8>>>, StoreError> {
        let tables = &self.store.inner.tables;
        let mut safe = Some(Vec::new());
        let mut from = Bound::Included(from.clone());
        loop {
            let txn = self.store.inner.env.read_txn()?;
            let mut lookup = Lookup::new(tables, &txn);
            let range = (from.as_ref().map(Vec::as_slice), Bound::Excluded(&to[..]));
            let mut last = None;
            for entry in tables.mailboxes.range(&txn, &range)?.take(STEPS) {
                let (key, octets) = entry?;
                last = Some(key);
                let location = lookup.location(Stored::decode(octets)?.location)?;
                let name = v36_name(key);
                if self.subscription.wants(location) && !self.touched(deleted, &name) {
                    safe = safe.filter(|names: &Vec<_>| names.len() < REMEMBERED / 2);
                    if let Some(names) = &mut safe {
                        names.push(name);
                    }
                }
            }
            match last {
                Some(key) => from = Bound::Excluded(key.to_vec()),
                None => return Ok(safe),
            }
        }
    }
}

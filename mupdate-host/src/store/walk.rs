//! Walks mailboxes in v36 order, inside one read transaction: all of them, or those of some locations, merged.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Bound;

use heed::types::Bytes as Octets;
use heed::{RoRange, RoTxn};
use mupdate_core::directory::Revision;

use super::error::StoreError;
use super::locations::{Lookup, Reach};
use super::record::Stored;
use super::tables::Tables;

/// Locations that are merged at most; a walk over more of them goes through all mailboxes instead.
const MERGED: usize = 256;

/// A walk over the mailboxes behind a cursor.
pub(super) struct Walk<'t> {
    tables: &'t Tables,
    txn: &'t RoTxn<'t>,
    lookup: Lookup<'t>,
    source: Source<'t>,
}

enum Source<'t> {
    /// Through `mailboxes`; the caller drops what is not covered.
    Everything(RoRange<'t, Octets, Octets>),
    /// Through `by_location`.
    Merged(Merged<'t>),
}

/// A mailbox's key and its record.
type Found<'t> = (&'t [u8], &'t [u8]);

/// Through the mailboxes of some locations.
struct Merged<'t> {
    /// The next key of each location, and which of `ranges` more come from.
    next: BinaryHeap<Reverse<(&'t [u8], usize)>>,
    ranges: Vec<RoRange<'t, Octets, Octets>>,
    /// Through `mailboxes`, behind the one found last.
    beside: Option<RoRange<'t, Octets, Octets>>,
}

/// A mailbox that a walk came by.
pub(super) struct Step<'t> {
    /// Its v36 key.
    pub key: &'t [u8],
    /// Its location.
    pub location: &'t [u8],
    /// Its ACL; `None` for a reservation.
    pub acl: Option<&'t [u8]>,
    /// The revision that changed it last.
    pub revision: Revision,
}

impl<'t> Walk<'t> {
    /// Begin behind the mailbox with this key, or with the first.
    pub(super) fn new(
        tables: &'t Tables,
        txn: &'t RoTxn<'t>,
        reach: &Reach,
        after: Option<&[u8]>,
    ) -> Result<Self, StoreError> {
        let source = match reach.ids(tables, txn, MERGED)? {
            None => {
                let from = after.map_or(Bound::Unbounded, Bound::Excluded);
                Source::Everything(tables.mailboxes.range(txn, &(from, Bound::Unbounded))?)
            }
            Some(ids) => Source::merged(tables, txn, &ids, after)?,
        };
        Ok(Self { tables, txn, lookup: Lookup::new(tables, txn), source })
    }

    /// The next mailbox. It need not be covered: ask [`Reach::covers`].
    pub(super) fn next(&mut self) -> Result<Option<Step<'t>>, StoreError> {
        let (key, octets) = match &mut self.source {
            Source::Everything(range) => match range.next() {
                Some(entry) => entry?,
                None => return Ok(None),
            },
            Source::Merged(merged) => match merged.next(self.tables, self.txn)? {
                Some(entry) => entry,
                None => return Ok(None),
            },
        };
        let stored = Stored::decode(octets)?;
        Ok(Some(Step {
            key,
            location: self.lookup.location(stored.location)?,
            acl: stored.acl,
            revision: stored.revision,
        }))
    }
}

impl<'t> Source<'t> {
    fn merged(
        tables: &'t Tables,
        txn: &'t RoTxn<'t>,
        ids: &[u32],
        after: Option<&[u8]>,
    ) -> Result<Self, StoreError> {
        let mut next = BinaryHeap::with_capacity(ids.len());
        let mut ranges = Vec::with_capacity(ids.len());
        for &id in ids {
            let from = super::locations::member_key(id, after.unwrap_or_default());
            let from = if after.is_some() { Bound::Excluded(&from[..]) } else { Bound::Included(&from[..]) };
            let end = id.checked_add(1).map(u32::to_be_bytes);
            let end = end.as_ref().map_or(Bound::Unbounded, |end| Bound::Excluded(&end[..]));
            let mut range = tables.by_location.range(txn, &(from, end))?;
            if let Some(key) = next_member(&mut range)? {
                next.push(Reverse((key, ranges.len())));
                ranges.push(range);
            }
        }
        Ok(Self::Merged(Merged { next, ranges, beside: None }))
    }
}

impl<'t> Merged<'t> {
    /// The next mailbox and its record.
    fn next(&mut self, tables: &Tables, txn: &'t RoTxn<'t>) -> Result<Option<Found<'t>>, StoreError> {
        let Some(Reverse((key, at))) = self.next.pop() else { return Ok(None) };
        if let Some(next) = next_member(&mut self.ranges[at])? {
            self.next.push(Reverse((next, at)));
        }
        let octets = self.record(tables, txn, key)?;
        Ok(Some((key, octets.ok_or(StoreError::Corrupt("index by location"))?)))
    }

    /// The record of a mailbox that comes after all that were asked for before. A user's mailboxes are together, and so the
    /// next one is mostly the one behind the last, which is found without a search.
    fn record(
        &mut self,
        tables: &Tables,
        txn: &'t RoTxn<'t>,
        wanted: &[u8],
    ) -> Result<Option<&'t [u8]>, StoreError> {
        if let Some((key, octets)) = self.beside.as_mut().and_then(Iterator::next).transpose()?
            && key == wanted
        {
            return Ok(Some(octets));
        }
        let mut range = tables.mailboxes.range(txn, &(Bound::Included(wanted), Bound::Unbounded))?;
        let found = range.next().transpose()?;
        self.beside = Some(range);
        Ok(found.and_then(|(key, octets)| (key == wanted).then_some(octets)))
    }
}

/// The key of the next mailbox of one location.
fn next_member<'t>(range: &mut RoRange<'t, Octets, Octets>) -> Result<Option<&'t [u8]>, StoreError> {
    match range.next() {
        Some(entry) => {
            let (key, _) = entry?;
            key.get(4..).map(Some).ok_or(StoreError::Corrupt("index by location"))
        }
        None => Ok(None),
    }
}

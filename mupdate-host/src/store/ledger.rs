//! The locations that one write transaction deals with: their ids and counts, written once, at the end.

use std::collections::BTreeMap;

use heed::RoTxn;
use mupdate_proto::Location;

use super::error::StoreError;
use super::locations::{self, Place};
use super::redo::Staged;
use super::tables::Tables;

/// Partitions of a server that are looked at to count its names.
const PARTITIONS: usize = 1024;

/// Ids and counts as the transaction has left them so far.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    lines: BTreeMap<u32, Line>,
    ids: BTreeMap<Location, u32>,
    /// The id after the one given out last, once one was.
    next: Option<u32>,
}

/// One location.
#[derive(Debug)]
struct Line {
    location: Location,
    active: u64,
    reserved: u64,
    /// What `locations` says is active and reserved there; `None` if neither it nor `places` has the location.
    stored: Option<(u64, u64)>,
}

impl Line {
    /// It has to be written. To give a mailbox another ACL changes no count, and then one page less is written.
    fn changed(&self) -> bool {
        self.stored.unwrap_or_default() != (self.active, self.reserved)
    }
}

impl Ledger {
    /// The location with this id, if the transaction has dealt with it.
    pub(super) fn location(&self, id: u32) -> Option<&Location> {
        self.lines.get(&id).map(|line| &line.location)
    }

    /// The id of a location; a new one if it has none.
    pub(super) fn id_of(
        &mut self,
        tables: &Tables,
        txn: &RoTxn<'_>,
        location: &Location,
    ) -> Result<u32, StoreError> {
        if let Some(&id) = self.ids.get(location) {
            return Ok(id);
        }
        match locations::id_of(tables, txn, location.as_bytes())? {
            Some(id) => {
                self.line(tables, txn, id)?;
                Ok(id)
            }
            None => {
                let id = self.free_id(tables, txn)?;
                let location = location.detached();
                self.ids.insert(location.clone(), id);
                let line = Line { location, active: 0, reserved: 0, stored: None };
                self.lines.insert(id, line);
                Ok(id)
            }
        }
    }

    /// Count a mailbox in (`+1`) or out (`-1`) at a location.
    pub(super) fn count(
        &mut self,
        tables: &Tables,
        txn: &RoTxn<'_>,
        id: u32,
        active: bool,
        by: i64,
    ) -> Result<(), StoreError> {
        let line = self.line(tables, txn, id)?;
        let count = if active { &mut line.active } else { &mut line.reserved };
        *count = count.checked_add_signed(by).ok_or(StoreError::Corrupt("count of a location"))?;
        Ok(())
    }

    /// How many names a server has, as the transaction has left them so far. Of a server with more than [`PARTITIONS`]
    /// not all are counted.
    pub(super) fn names_at(
        &self,
        tables: &Tables,
        txn: &RoTxn<'_>,
        server: &[u8],
    ) -> Result<u64, StoreError> {
        let is_of = |location: &Location| location.server() == server;
        let known = self.lines.values().filter(|line| is_of(&line.location));
        let known: u64 = known.map(|line| line.active + line.reserved).sum();
        let others = locations::ids_of_server(tables, txn, server, PARTITIONS)?;
        let mut names = known;
        for id in others.into_iter().filter(|id| !self.lines.contains_key(id)) {
            let place = locations::place(tables, txn, id)?.ok_or(StoreError::Corrupt("location"))?;
            names += place.active + place.reserved;
        }
        Ok(names)
    }

    /// Write everything down. Locations that hold nothing are forgotten.
    pub(super) fn settle(self, tables: &Tables, txn: &mut Staged<'_>) -> Result<(), StoreError> {
        for (id, line) in self.lines.iter().filter(|(_, line)| line.changed()) {
            let location = line.location.as_bytes();
            let used = line.active > 0 || line.reserved > 0;
            if used {
                let place = Place { active: line.active, reserved: line.reserved, location };
                tables.locations.put(txn, &id.to_be_bytes(), &place.encode())?;
            }
            if used && line.stored.is_none() {
                locations::enter(tables, txn, location, *id)?;
            }
            if !used && line.stored.is_some() {
                tables.locations.delete(txn, &id.to_be_bytes())?;
                locations::leave(tables, txn, location, *id)?;
            }
        }
        if let Some(next) = self.next {
            tables.set_number(txn, "next_location", next.into())?;
        }
        Ok(())
    }

    fn line(&mut self, tables: &Tables, txn: &RoTxn<'_>, id: u32) -> Result<&mut Line, StoreError> {
        use std::collections::btree_map::Entry;
        match self.lines.entry(id) {
            Entry::Occupied(line) => Ok(line.into_mut()),
            Entry::Vacant(vacant) => {
                let place = locations::place(tables, txn, id)?.ok_or(StoreError::Corrupt("location"))?;
                let location = locations::checked(place.location)?;
                self.ids.insert(location.clone(), id);
                let (active, reserved) = (place.active, place.reserved);
                Ok(vacant.insert(Line { location, active, reserved, stored: Some((active, reserved)) }))
            }
        }
    }

    /// An id that no location has. They go round, so that one is not reused soon after it was given up.
    fn free_id(&mut self, tables: &Tables, txn: &RoTxn<'_>) -> Result<u32, StoreError> {
        let mut id = match self.next {
            Some(id) => id,
            None => u32::try_from(tables.next_location(txn)?).unwrap_or_default(),
        };
        while self.lines.contains_key(&id) || locations::place(tables, txn, id)?.is_some() {
            id = id.wrapping_add(1);
        }
        self.next = Some(id.wrapping_add(1));
        Ok(id)
    }
}

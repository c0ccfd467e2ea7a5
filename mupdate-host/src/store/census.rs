//! How many names each server has, and how much room there is.

use std::collections::BTreeMap;

use heed::RoTxn;
use mupdate_proto::Location;
use rustix::fs::statvfs;

use super::error::StoreError;
use super::{Obstacle, Store, locations::Place};

/// Servers that are counted each for itself, and octets of a name of one. All others are counted together: what backends say
/// must not take more memory than that.
const EACH: (usize, usize) = (100_000, 512);

/// How many names a server has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServerCounts {
    /// Active mailboxes.
    pub active: u64,
    /// Reserved names.
    pub reserved: u64,
}

/// Who has how much.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// Servers that have names.
    pub servers: BTreeMap<Vec<u8>, ServerCounts>,
    /// What those have that are too many, or called too long.
    pub others: ServerCounts,
    /// Locations that have names.
    pub locations: u64,
    /// Deletions that are remembered.
    pub tombstones: u64,
}

impl Census {
    /// All names.
    #[must_use]
    pub fn all(&self) -> ServerCounts {
        self.servers.values().fold(self.others, |sum, counts| ServerCounts {
            active: sum.active + counts.active,
            reserved: sum.reserved + counts.reserved,
        })
    }

    fn add(&mut self, place: &Place<'_>) {
        let server = Location::server_of(place.location);
        let alone = self.servers.len() < EACH.0 && server.len() <= EACH.1;
        let counts = match self.servers.get_mut(server) {
            Some(counts) => counts,
            None if !alone => &mut self.others,
            None => self.servers.entry(server.to_vec()).or_default(),
        };
        counts.active += place.active;
        counts.reserved += place.reserved;
        self.locations += 1;
    }
}

impl Store {
    /// Count the names of each server. Takes as long as there are locations.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn census(&self) -> Result<Census, StoreError> {
        let txn = self.inner.env.read_txn()?;
        let mut census = Census { tombstones: self.inner.tables.tombstones.len(&txn)?, ..Census::default() };
        for place in self.places(&txn)? {
            census.add(&place?);
        }
        Ok(census)
    }

    /// How many names there are, active and reserved. Takes no time.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn names(&self) -> Result<u64, StoreError> {
        let txn = self.inner.env.read_txn()?;
        Ok(self.inner.tables.mailboxes.len(&txn)?)
    }

    /// All locations that have mailboxes.
    pub(super) fn places<'t>(
        &self,
        txn: &'t RoTxn<'_>,
    ) -> Result<impl Iterator<Item = Result<Place<'t>, StoreError>>, StoreError> {
        let entries = self.inner.tables.locations.iter(txn)?;
        Ok(entries.map(|entry| Place::decode(entry?.1)))
    }

    /// What would keep changes from being written now, as far as it can be seen without writing any.
    #[must_use]
    pub fn obstacle(&self) -> Option<Obstacle> {
        let place = &self.inner.place;
        if !place.is_there() {
            return Some(Obstacle::Gone);
        }
        place.is_full().then_some(Obstacle::DiskFull)
    }

    /// Octets that are free on the disk of the data directory, for whom the daemon runs as, and octets that it has;
    /// `None` if the system does not tell.
    #[must_use]
    pub fn disk(&self) -> Option<(u64, u64)> {
        let disk = statvfs(self.inner.env.path()).ok()?;
        let octets = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        Some((octets(disk.f_bavail), octets(disk.f_blocks)))
    }

    /// The first of these.
    #[must_use]
    pub fn disk_free(&self) -> Option<u64> {
        self.disk().map(|(free, _)| free)
    }
}

#[cfg(test)]
mod tests {
    use mupdate_core::directory::{Batch, Edit, Record, State};
    use mupdate_proto::MailboxName;

    use super::*;
    use crate::store::StoreOptions;

    #[test]
    fn what_is_called_too_long_is_counted_together() {
        let dir = tempfile::tempdir().expect("a directory");
        let options = StoreOptions { map_size: 16 << 20, ..StoreOptions::default() };
        let store = Store::open(dir.path(), options).expect("opens");
        let mut txn = store.begin().expect("no other writer");
        let mut batch = Batch::new(0);
        for (at, server) in ["be1".to_owned(), "x".repeat(5000), "y".repeat(70_000)].iter().enumerate() {
            let location = Location::new(format!("{server}!p")).expect("legal");
            let record = Some(Record { location, state: State::Reserved });
            let mailbox = MailboxName::new(format!("m{at}")).expect("legal");
            batch.set(&mut txn, &Edit { mailbox, record }, ()).expect("room");
        }
        drop(batch);
        txn.commit().expect("room");
        let census = store.census().expect("readable");
        assert_eq!(census.servers.keys().collect::<Vec<_>>(), [b"be1"]);
        assert_eq!(census.others, ServerCounts { active: 0, reserved: 2 });
        assert_eq!((census.all().reserved, census.locations, store.names().expect("readable")), (3, 3, 3));
        assert_eq!(store.occupied().expect("readable").len(), 2, "of 70,000 octets is none");
    }
}

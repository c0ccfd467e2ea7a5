//! How many names each server has, and how much room there is.

use std::collections::BTreeMap;

use mupdate_proto::Location;
use rustix::fs::statvfs;

use super::error::StoreError;
use super::{Store, locations};

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
    /// Deletions that are remembered.
    pub tombstones: u64,
}

impl Store {
    /// Count the names of each server. Takes as long as there are locations.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn census(&self) -> Result<Census, StoreError> {
        let txn = self.inner.env.read_txn()?;
        let tables = &self.inner.tables;
        let mut census = Census { tombstones: tables.tombstones.len(&txn)?, ..Census::default() };
        for entry in tables.locations.iter(&txn)? {
            let place = locations::Place::decode(entry?.1)?;
            let server = Location::server_of(place.location);
            let counts = match census.servers.get_mut(server) {
                Some(counts) => counts,
                None => census.servers.entry(server.to_vec()).or_default(),
            };
            counts.active += place.active;
            counts.reserved += place.reserved;
        }
        Ok(census)
    }

    /// Octets that are free on the disk of the data directory, for whom the daemon runs as, and octets that it has;
    /// `None` if the system does not tell.
    #[must_use]
    pub fn disk(&self) -> Option<(u64, u64)> {
        let disk = statvfs(self.inner.env.path()).ok()?;
        let octets = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        Some((octets(disk.f_bavail), octets(disk.f_blocks)))
    }
}

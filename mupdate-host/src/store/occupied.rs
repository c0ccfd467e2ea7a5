//! What there is where, in numbers; and whether there is room for more.

use mupdate_proto::Location;

use super::{Obstacle, Store, StoreError, journal::LONGEST, locations};

/// Locations that are looked at.
const MOST: usize = 100_000;

/// A location that has mailboxes, and how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occupied {
    /// The location, as on the wire.
    pub location: Vec<u8>,
    /// Active mailboxes.
    pub active: u64,
    /// Reserved names.
    pub reserved: u64,
}

impl Occupied {
    /// The server, before the `!`.
    #[must_use]
    pub fn server(&self) -> &[u8] {
        Location::server_of(&self.location)
    }

    /// The partition, behind it; empty where none is said.
    #[must_use]
    pub fn partition(&self) -> &[u8] {
        self.location.get(self.server().len() + 1..).unwrap_or_default()
    }
}

impl Store {
    /// All locations that have mailboxes, sorted by server and partition; of very many some, and none that is longer than the
    /// journal keeps: what backends say must not take more memory than that.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn occupied(&self) -> Result<Vec<Occupied>, StoreError> {
        let txn = self.inner.env.read_txn()?;
        let mut all = Vec::new();
        for entry in self.inner.tables.locations.iter(&txn)?.take(MOST) {
            let locations::Place { active, reserved, location } = locations::Place::decode(entry?.1)?;
            if location.len() <= LONGEST {
                all.push(Occupied { location: location.to_vec(), active, reserved });
            }
        }
        all.sort_by(|a, b| (a.server(), a.partition()).cmp(&(b.server(), b.partition())));
        Ok(all)
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

    /// Octets that are free on the disk, as far as the system says.
    #[must_use]
    pub fn disk_free(&self) -> Option<u64> {
        self.inner.place.free()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_has_a_server_and_perhaps_a_partition() {
        for (location, server, partition) in [
            (&b"be1!p1"[..], &b"be1"[..], &b"p1"[..]),
            (b"be1!", b"be1", b""),
            (b"be1", b"be1", b""),
            (b"be1!a!b", b"be1", b"a!b"),
        ] {
            let occupied = Occupied { location: location.to_vec(), active: 0, reserved: 0 };
            assert_eq!((occupied.server(), occupied.partition()), (server, partition));
        }
    }
}

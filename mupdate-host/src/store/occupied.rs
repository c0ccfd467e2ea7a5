//! What there is where, in numbers.

use mupdate_proto::Location;

use super::{Store, StoreError, journal::LONGEST, locations::Place};

/// Locations that are told apart.
const PLACES: usize = 100_000;

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
        for place in self.places(&txn)?.take(PLACES) {
            let Place { active, reserved, location } = place?;
            if location.len() <= LONGEST {
                all.push(Occupied { location: location.to_vec(), active, reserved });
            }
        }
        all.sort_by(|a, b| (a.server(), a.partition()).cmp(&(b.server(), b.partition())));
        Ok(all)
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

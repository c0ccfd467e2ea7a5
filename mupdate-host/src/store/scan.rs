//! Goes through all mailboxes for those who look for something: in steps, each a short transaction.

use std::ops::Bound;

use mupdate_core::directory::{Revision, v36_name};

use super::Store;
use super::error::StoreError;
use super::locations::Lookup;
use super::record::Stored;

/// Mailboxes that one step looks at.
const STEP: usize = 8192;

/// What a scan came by.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The mailbox's name.
    pub name: &'a [u8],
    /// Its location.
    pub location: &'a [u8],
    /// Its ACL; `None` for a reservation.
    pub acl: Option<&'a [u8]>,
    /// The revision that changed it last.
    pub revision: Revision,
}

/// How far a scan has come.
#[derive(Debug, Default)]
pub struct Scan {
    /// The v36 key looked at last.
    cursor: Option<Vec<u8>>,
}

impl Store {
    /// Look at some more mailboxes. False: that was the last of them.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn scan(&self, scan: &mut Scan, mut each: impl FnMut(Seen<'_>)) -> Result<bool, StoreError> {
        let txn = self.inner.env.read_txn()?;
        let tables = &self.inner.tables;
        let mut lookup = Lookup::new(tables, &txn);
        let from = scan.cursor.take();
        let from = from.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        for entry in tables.mailboxes.range(&txn, &(from, Bound::Unbounded))?.take(STEP) {
            let (key, octets) = entry?;
            let Stored { location, revision, acl } = Stored::decode(octets)?;
            let location = lookup.location(location)?;
            each(Seen { name: &v36_name(key), location, acl, revision });
            match &mut scan.cursor {
                Some(cursor) => {
                    cursor.clear();
                    cursor.extend_from_slice(key);
                }
                None => scan.cursor = Some(key.to_vec()),
            }
        }
        Ok(scan.cursor.is_some())
    }
}

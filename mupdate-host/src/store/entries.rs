//! Reading the directory by and by, with all that is known of each name: for operators.

use mupdate_core::directory::{Record, Revision, State, v36_key, v36_name};
use mupdate_core::server::Scope;
use mupdate_proto::{MailboxName, ServerName};

use super::locations::{self, Reach};
use super::read::fetch;
use super::walk::Walk;
use super::{Store, StoreError};

/// Names that one page looks at, so that none takes long, however few of them it gives.
const STEPS: usize = 16_384;

/// Octets after which a page ends: ACLs can be long.
const OCTETS: usize = 64 * 1024;

/// A name, and all that is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name, as on the wire.
    pub name: Vec<u8>,
    /// Where it is.
    pub location: Vec<u8>,
    /// Its ACL; `None` for a reservation.
    pub acl: Option<Vec<u8>>,
    /// The revision of its last change.
    pub revision: Revision,
}

impl Entry {
    /// Is this what is known of it?
    #[must_use]
    pub fn is(&self, Record { location, state }: &Record) -> bool {
        let acl = match state {
            State::Active(acl) => Some(acl.as_bytes()),
            State::Reserved => None,
        };
        self.location == location.as_bytes() && self.acl.as_deref() == acl
    }
}

/// A walk in progress, in the order of the tables.
#[derive(Debug)]
pub struct Entries {
    reach: Reach,
    /// The v36 key looked at last.
    cursor: Option<Vec<u8>>,
    over: bool,
}

impl Entries {
    /// All names, or those of one server, which costs what that one has; behind this name.
    #[must_use]
    pub fn new(server: Option<ServerName>, after: Option<&[u8]>) -> Self {
        let scope = server.map_or(Scope::All, |server| Scope::Servers([server].into()));
        let cursor = after.map(|name| {
            let mut key = Vec::with_capacity(name.len());
            v36_key(name, &mut key);
            key
        });
        Self { reach: scope.into(), cursor, over: false }
    }

    /// Everything was looked at.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over
    }
}

impl Store {
    /// The next names of a walk that are wanted, by name and by whether they are active, of `most` at most. A page can be
    /// empty and not the last: ask [`Entries::is_over`].
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn next_entries(
        &self,
        entries: &mut Entries,
        most: usize,
        mut wanted: impl FnMut(&[u8], bool) -> bool,
    ) -> Result<Vec<Entry>, StoreError> {
        let txn = self.inner.env.read_txn()?;
        let mut walk = Walk::new(&self.inner.tables, &txn, &entries.reach, entries.cursor.as_deref())?;
        let (mut page, mut octets, mut seen) = (Vec::new(), 0, None);
        for _ in 0..STEPS {
            if page.len() >= most || octets >= OCTETS {
                break;
            }
            let Some(step) = walk.next()? else {
                entries.over = true;
                break;
            };
            seen = Some(step.key);
            let name = v36_name(step.key);
            if entries.reach.covers(step.location) && wanted(&name, step.acl.is_some()) {
                octets += name.len() + step.location.len() + step.acl.map_or(0, <[u8]>::len);
                page.push(Entry {
                    name,
                    location: step.location.to_vec(),
                    acl: step.acl.map(<[u8]>::to_vec),
                    revision: step.revision,
                });
            }
        }
        if let Some(key) = seen {
            entries.cursor = Some(key.to_vec());
        }
        Ok(page)
    }

    /// What is known of a name, if anybody has it.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn entry(&self, mailbox: &MailboxName) -> Result<Option<Entry>, StoreError> {
        let txn = self.inner.env.read_txn()?;
        let tables = &self.inner.tables;
        let Some(stored) = fetch(tables, &txn, mailbox.as_bytes())? else { return Ok(None) };
        let place =
            locations::place(tables, &txn, stored.location)?.ok_or(StoreError::Corrupt("location"))?;
        Ok(Some(Entry {
            name: mailbox.as_bytes().to_vec(),
            location: place.location.to_vec(),
            acl: stored.acl.map(<[u8]>::to_vec),
            revision: stored.revision,
        }))
    }

    /// Write a copy of the database as of now into an empty file, without the gaps that changes have left. The writer goes
    /// on; only the pages that it leaves meanwhile are not used again before this is over.
    ///
    /// # Errors
    /// It cannot be read, or the file cannot be written.
    pub fn copy_into(&self, file: &mut std::fs::File) -> std::io::Result<()> {
        let copied = self.inner.env.copy_to_file(file, heed::CompactionOption::Enabled);
        copied.map_err(std::io::Error::other)?;
        file.sync_all()
    }

    /// Is this server's order configured, and not learned?
    #[must_use]
    pub fn is_order_configured(&self, server: &ServerName) -> bool {
        self.inner.orders.load().contains_key(server)
    }
}

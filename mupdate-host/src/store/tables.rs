//! The tables of the store, and the few numbers that describe it as a whole.
//!
//! | table | key | value |
//! |---|---|---|
//! | `mailboxes` | v36 key | state, location id, revision, ACL |
//! | `by_location` | location id, v36 key | |
//! | `locations` | location id | how many mailboxes are active and reserved there, location |
//! | `places` | location (its beginning), location id | |
//! | `tombstones` | revision | v36 key of the mailbox deleted then |
//! | `journal` | revision | who changed what, and what was there before |
//! | `clients` | kind, name | when an UPDATE client was last in sync; which order a server's mailboxes are in |
//! | `meta` | a word | format, revision, next location id, where tombstones and journal begin, what a restart has to know (`word:`) |
//!
//! Numbers are big-endian, so that they sort.

use std::ops::{Bound, Deref};

use heed::types::Bytes as Octets;
use heed::{Database, PutFlags, RoTxn, RwTxn};
use mupdate_core::directory::Revision;

use super::env::Env;
use super::error::{Found, StoreError};
use super::redo::{Op, Staged};

/// The format that this version writes and reads.
pub(super) const FORMAT: u32 = 3;

/// Those before, which are upgraded: the first has no journal, and a version that writes the second knows no redo log.
const BEFORE: [u32; 2] = [1, 2];

/// What the `format` entry begins with; the number follows.
const SIGNATURE: &str = "mupdate directory ";

/// A table: octets to octets. The codecs lie beside what they encode.
///
/// It is read like LMDB's own; what is written to it is noted in the transaction's record as well, so that it can be done
/// once more.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table {
    /// Its place among [all](Tables::all): how records name it.
    number: u8,
    database: Database<Octets, Octets>,
}

impl Deref for Table {
    type Target = Database<Octets, Octets>;

    fn deref(&self) -> &Self::Target {
        &self.database
    }
}

impl Table {
    /// Write a value.
    pub(super) fn put(&self, txn: &mut Staged<'_>, key: &[u8], value: &[u8]) -> Result<(), heed::Error> {
        self.database.put(&mut txn.txn, key, value)?;
        txn.record.note(Op::Put, self.number, key, value);
        Ok(())
    }

    /// Write a value behind all others.
    pub(super) fn append(&self, txn: &mut Staged<'_>, key: &[u8], value: &[u8]) -> Result<(), heed::Error> {
        self.database.put_with_flags(&mut txn.txn, PutFlags::APPEND, key, value)?;
        txn.record.note(Op::Put, self.number, key, value);
        Ok(())
    }

    /// Delete an entry, if it is there.
    pub(super) fn delete(&self, txn: &mut Staged<'_>, key: &[u8]) -> Result<(), heed::Error> {
        if self.database.delete(&mut txn.txn, key)? {
            txn.record.note(Op::Delete, self.number, key, &[]);
        }
        Ok(())
    }

    /// Delete everything up to a key, and that.
    pub(super) fn delete_to(&self, txn: &mut Staged<'_>, key: &[u8]) -> Result<(), heed::Error> {
        let range = (Bound::Unbounded, Bound::Included(key));
        if self.database.delete_range(&mut txn.txn, &range)? > 0 {
            txn.record.note(Op::DeleteTo, self.number, key, &[]);
        }
        Ok(())
    }
}

/// Handles of all tables.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tables {
    pub mailboxes: Table,
    pub by_location: Table,
    pub locations: Table,
    pub places: Table,
    pub tombstones: Table,
    pub journal: Table,
    pub clients: Table,
    pub meta: Table,
}

/// Their names. Records of the redo log know them by their places here.
const NAMES: [&str; 8] =
    ["mailboxes", "by_location", "locations", "places", "tombstones", "journal", "clients", "meta"];

impl Tables {
    /// Make the tables of an empty environment.
    pub(super) fn create(env: &Env, txn: &mut RwTxn<'_>) -> Result<Self, StoreError> {
        let made = Self::gather(|name| env.create_database::<Octets, Octets>(txn, Some(name)).map(Some))?;
        let tables = made.ok_or(StoreError::Corrupt("set of tables"))?;
        tables.meta.database.put(txn, b"format", format!("{SIGNATURE}{FORMAT}").as_bytes())?;
        Ok(tables)
    }

    /// The tables of an environment that was in use before; `None` if one is missing.
    pub(super) fn open(env: &Env, txn: &RoTxn<'_>) -> Result<Option<Self>, heed::Error> {
        Self::gather(|name| env.open_database::<Octets, Octets>(txn, Some(name)))
    }

    fn gather(
        mut database: impl FnMut(&'static str) -> Result<Option<Database<Octets, Octets>>, heed::Error>,
    ) -> Result<Option<Self>, heed::Error> {
        let mut all = Vec::with_capacity(NAMES.len());
        for (number, name) in (0..).zip(NAMES) {
            let Some(database) = database(name)? else { return Ok(None) };
            all.push(Table { number, database });
        }
        let Ok([mailboxes, by_location, locations, places, tombstones, journal, clients, meta]) =
            <[Table; NAMES.len()]>::try_from(all)
        else {
            return Ok(None);
        };
        Ok(Some(Self { mailboxes, by_location, locations, places, tombstones, journal, clients, meta }))
    }

    /// All of them.
    pub(super) fn all(&self) -> [Table; NAMES.len()] {
        let Self { mailboxes, by_location, locations, places, tombstones, journal, clients, meta } = *self;
        [mailboxes, by_location, locations, places, tombstones, journal, clients, meta]
    }

    /// Do once more what a record says was done.
    pub(super) fn redo(
        &self,
        txn: &mut RwTxn<'_>,
        (op, number, key, value): (Op, u8, &[u8], &[u8]),
    ) -> Result<(), StoreError> {
        let all = self.all();
        let table = all.get(usize::from(number)).ok_or(StoreError::Corrupt("redo log"))?.database;
        match op {
            Op::Put => table.put(txn, key, value)?,
            Op::Delete => drop(table.delete(txn, key)?),
            Op::DeleteTo => {
                table.delete_range(txn, &(Bound::Unbounded, Bound::Included(key)))?;
            }
        }
        Ok(())
    }

    /// Forget the journal, if entries are missing, and begin a new one after this revision.
    pub(super) fn begin_journal(&self, txn: &mut RwTxn<'_>, revision: Revision) -> Result<(), StoreError> {
        self.journal.database.clear(txn)?;
        Ok(self.meta.database.put(txn, b"journal_from", &revision.to_be_bytes())?)
    }

    /// Octets that they take.
    pub(super) fn used(&self, txn: &RoTxn<'_>) -> Result<u64, StoreError> {
        let mut used = 0;
        for table in self.all() {
            let stat = table.stat(txn)?;
            let pages = stat.branch_pages + stat.leaf_pages + stat.overflow_pages;
            used += pages as u64 * u64::from(stat.page_size);
        }
        Ok(used)
    }

    /// The revision of the last change.
    pub(super) fn revision(&self, txn: &RoTxn<'_>) -> Result<Revision, StoreError> {
        self.number(txn, "revision")
    }

    /// Where the search for a location's id begins.
    pub(super) fn next_location(&self, txn: &RoTxn<'_>) -> Result<u64, StoreError> {
        self.number(txn, "next_location")
    }

    /// Deletions after this revision all have their tombstone.
    pub(super) fn tombstones_from(&self, txn: &RoTxn<'_>) -> Result<Revision, StoreError> {
        self.number(txn, "tombstones_from")
    }

    /// Changes after this revision all have their entry in the journal, if one is kept.
    pub(super) fn journal_from(&self, txn: &RoTxn<'_>) -> Result<Revision, StoreError> {
        self.number(txn, "journal_from")
    }

    fn number(&self, txn: &RoTxn<'_>, name: &str) -> Result<u64, StoreError> {
        match self.meta.get(txn, name.as_bytes())? {
            Some(octets) => be_u64(octets).ok_or(StoreError::Corrupt("meta entry")),
            None => Ok(0),
        }
    }

    /// What an operator decided, or a replica has to know after a restart.
    pub(super) fn word(&self, txn: &RoTxn<'_>, name: &str) -> Result<Option<String>, StoreError> {
        let octets = self.meta.get(txn, format!("word:{name}").as_bytes())?;
        let text = octets.map(|octets| String::from_utf8(octets.to_vec())).transpose();
        text.map_err(|_| StoreError::Corrupt("meta entry"))
    }

    /// Set or forget one of these.
    pub(super) fn set_word(
        &self,
        txn: &mut Staged<'_>,
        name: &str,
        word: Option<&str>,
    ) -> Result<(), StoreError> {
        let key = format!("word:{name}");
        match word {
            Some(word) => self.meta.put(txn, key.as_bytes(), word.as_bytes())?,
            None => self.meta.delete(txn, key.as_bytes())?,
        }
        Ok(())
    }

    /// Set one of the numbers above.
    pub(super) fn set_number(&self, txn: &mut Staged<'_>, name: &str, number: u64) -> Result<(), StoreError> {
        Ok(self.meta.put(txn, name.as_bytes(), &number.to_be_bytes())?)
    }
}

/// What an environment holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Contents {
    /// Nothing yet.
    Nothing,
    /// A store that this version can use.
    Ours,
    /// A store of a version before, which can be upgraded.
    Older,
    /// Something that must be left alone.
    Other(Found),
}

/// Look at what an environment holds, changing nothing.
pub(super) fn contents(env: &Env) -> Result<Contents, heed::Error> {
    let txn = env.read_txn()?;
    let Some(root) = env.open_database::<Octets, Octets>(&txn, None)? else { return Ok(Contents::Nothing) };
    if root.is_empty(&txn)? {
        return Ok(Contents::Nothing);
    }
    let Some(meta) = env.open_database::<Octets, Octets>(&txn, Some("meta"))? else {
        return Ok(Contents::Other(Found::Foreign));
    };
    let version = meta
        .get(&txn, b"format")?
        .and_then(|octets| std::str::from_utf8(octets).ok())
        .and_then(|text| text.strip_prefix(SIGNATURE))
        .and_then(|number| number.parse().ok());
    Ok(match version {
        Some(FORMAT) => Contents::Ours,
        Some(version) if BEFORE.contains(&version) => Contents::Older,
        Some(version) => Contents::Other(Found::Version(version)),
        None => Contents::Other(Found::Foreign),
    })
}

/// Bring a format before into this one. What had no journal has one, which begins now.
pub(super) fn upgrade(env: &Env, txn: &mut RwTxn<'_>) -> Result<(), StoreError> {
    env.create_database::<Octets, Octets>(txn, Some("journal"))?;
    let meta =
        env.open_database::<Octets, Octets>(txn, Some("meta"))?.ok_or(StoreError::Corrupt("meta table"))?;
    let first = format!("{SIGNATURE}1");
    let revision = meta.get(txn, b"revision")?.map(<[u8]>::to_vec);
    if meta.get(txn, b"format")? == Some(first.as_bytes())
        && let Some(revision) = revision
    {
        meta.put(txn, b"journal_from", &revision)?;
    }
    Ok(meta.put(txn, b"format", format!("{SIGNATURE}{FORMAT}").as_bytes())?)
}

/// A big-endian number that is all of these octets.
pub(super) fn be_u64(octets: &[u8]) -> Option<u64> {
    octets.try_into().ok().map(u64::from_be_bytes)
}

/// A big-endian number that is all of these octets.
pub(super) fn be_u32(octets: &[u8]) -> Option<u32> {
    octets.try_into().ok().map(u32::from_be_bytes)
}

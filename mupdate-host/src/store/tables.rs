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

use heed::types::Bytes as Octets;
use heed::{Database, RoTxn, RwTxn};
use mupdate_core::directory::Revision;

use super::env::Env;
use super::error::{Found, StoreError};

/// The format that this version writes and reads.
pub(super) const FORMAT: u32 = 2;

/// The format before, which is upgraded: it has no journal.
const BEFORE: u32 = 1;

/// What the `format` entry begins with; the number follows.
const SIGNATURE: &str = "mupdate directory ";

/// A table: octets to octets. The codecs lie beside what they encode.
pub(super) type Table = Database<Octets, Octets>;

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

impl Tables {
    /// Make the tables of an empty environment.
    pub(super) fn create(env: &Env, txn: &mut RwTxn<'_>) -> Result<Self, StoreError> {
        let mut table = |name| env.create_database::<Octets, Octets>(txn, Some(name));
        let tables = Self {
            mailboxes: table("mailboxes")?,
            by_location: table("by_location")?,
            locations: table("locations")?,
            places: table("places")?,
            tombstones: table("tombstones")?,
            journal: table("journal")?,
            clients: table("clients")?,
            meta: table("meta")?,
        };
        tables.meta.put(txn, b"format", format!("{SIGNATURE}{FORMAT}").as_bytes())?;
        Ok(tables)
    }

    /// The tables of an environment that was in use before; `None` if one is missing.
    pub(super) fn open(env: &Env, txn: &RoTxn<'_>) -> Result<Option<Self>, heed::Error> {
        let table = |name| env.open_database::<Octets, Octets>(txn, Some(name));
        let (Some(mailboxes), Some(by_location), Some(locations), Some(places)) =
            (table("mailboxes")?, table("by_location")?, table("locations")?, table("places")?)
        else {
            return Ok(None);
        };
        let (Some(tombstones), Some(journal), Some(clients), Some(meta)) =
            (table("tombstones")?, table("journal")?, table("clients")?, table("meta")?)
        else {
            return Ok(None);
        };
        Ok(Some(Self { mailboxes, by_location, locations, places, tombstones, journal, clients, meta }))
    }

    /// All of them.
    pub(super) fn all(&self) -> [Table; 8] {
        let Self { mailboxes, by_location, locations, places, tombstones, journal, clients, meta } = *self;
        [mailboxes, by_location, locations, places, tombstones, journal, clients, meta]
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
        txn: &mut RwTxn<'_>,
        name: &str,
        word: Option<&str>,
    ) -> Result<(), StoreError> {
        let key = format!("word:{name}");
        match word {
            Some(word) => self.meta.put(txn, key.as_bytes(), word.as_bytes())?,
            None => drop(self.meta.delete(txn, key.as_bytes())?),
        }
        Ok(())
    }

    /// Set one of the numbers above.
    pub(super) fn set_number(&self, txn: &mut RwTxn<'_>, name: &str, number: u64) -> Result<(), StoreError> {
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
    /// A store of the version before, which can be upgraded.
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
        Some(BEFORE) => Contents::Older,
        Some(version) => Contents::Other(Found::Version(version)),
        None => Contents::Other(Found::Foreign),
    })
}

/// Bring the format before into this one: there is a journal, which begins now.
pub(super) fn upgrade(env: &Env, txn: &mut RwTxn<'_>) -> Result<(), StoreError> {
    env.create_database::<Octets, Octets>(txn, Some("journal"))?;
    let meta =
        env.open_database::<Octets, Octets>(txn, Some("meta"))?.ok_or(StoreError::Corrupt("meta table"))?;
    if let Some(revision) = meta.get(txn, b"revision")?.map(<[u8]>::to_vec) {
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

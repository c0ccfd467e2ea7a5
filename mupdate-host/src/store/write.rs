//! The write side: one transaction at a time, seen by the core as a [`View`].

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use mupdate_core::directory::{Order, Record, Revision, State, View, v36_key};
use mupdate_proto::{Acl, MailboxName, ServerName};
use rustix::io::Errno;

use super::draining::{self, Draining};
use super::error::{CommitError, Obstacle, StoreError};
use super::journal::{self, Author};
use super::ledger::Ledger;
use super::locations::{self, member_key};
use super::record::Stored;
use super::redo::Staged;
use super::tables::Tables;
use super::{Inner, Store, clients, tombstones};
use crate::admin::api::Deed;

/// Octets of the map that only deletions may use, at least (but no more than an eighth of it) and at most. A deletion writes
/// some fifteen pages anew, and what one transaction has left is not used again before the next but one.
const KEPT_BACK: (u64, u64) = (512 << 10, 16 << 20);

/// How long after a look at the age of the journal's entries the next one comes, in milliseconds.
const LOOK_AGAIN_MS: u64 = 3_600_000;

/// A write transaction. Dropped without [`commit`](WriteTxn::commit), it never was.
///
/// - Only one exists at a time: [`Store::begin`] waits for the other to end.
/// - Everything that it knows beside LMDB's own pages is in itself, so a transaction that fails, for whatever
///   reason, leaves nothing behind.
#[must_use = "a transaction that is not committed is undone"]
pub struct WriteTxn<'s> {
    inner: &'s Inner,
    tables: &'s Tables,
    txn: Staged<'s>,
    /// It is settled at once, as there is little room in the map.
    at_once: bool,
    ledger: Ledger,
    name_limit: usize,
    tombstones: u64,
    /// Who is to be named in the journal; `None` if there is none.
    author: Option<Author>,
    /// Which servers are to be drained from now on, if that changes.
    draining: Option<Draining>,
    /// Octets that the tables took at the beginning.
    used: u64,
    /// What is kept back for deletions was begun by then.
    short: bool,
    /// Has anything been written that can make them take more?
    grows: bool,
    /// The revision of the last change: what was committed last, at first.
    revision: Revision,
    changes: u64,
}

impl Store {
    /// Begin to write.
    ///
    /// # Errors
    /// LMDB refuses, or the data file is not there any more; nothing has happened.
    pub fn begin(&self) -> Result<WriteTxn<'_>, StoreError> {
        let inner = &*self.inner;
        if !inner.place.is_there() {
            return Err(StoreError::Obstacle(Obstacle::Gone));
        }
        let at_once = inner.redo.is_scarce()?;
        let txn = inner.redo.stage(inner.env.write_txn()?);
        let used = inner.tables.used(&txn)?;
        Ok(WriteTxn {
            inner,
            tables: &inner.tables,
            used,
            short: used > open_to_all(inner),
            grows: false,
            revision: inner.tables.revision(&txn)?,
            txn,
            at_once,
            ledger: Ledger::default(),
            name_limit: self.name_limit(),
            tombstones: inner.tombstones,
            author: (inner.journal > 0).then(|| Author::new(crate::clock::now_millis())),
            draining: None,
            changes: 0,
        })
    }
}

impl Store {
    /// Have this one told, once, when the data file turns out to be one that cannot be synced, after what is in it was
    /// answered. It is in the redo log still, but the disk is broken.
    pub fn when_broken(&self, listener: Box<dyn FnOnce(&str) + Send>) {
        self.inner.redo.tell(listener);
    }

    /// Have a full map give back what is free: pages that only the redo log needs, and those that the last transaction has
    /// left, which LMDB uses in the next but one. False: nothing was committed since that was done, and it is full.
    ///
    /// # Errors
    /// What is on the disk is unknown.
    pub fn make_room(&self) -> Result<bool, StoreError> {
        let inner = &*self.inner;
        if !inner.redo.has_room_to_make() {
            return Ok(false);
        }
        let mut txn = inner.redo.stage(inner.env.write_txn()?);
        let revision = inner.tables.revision(&txn)?;
        // Written as it is: a transaction that writes nothing is none.
        let written = inner.tables.set_number(&mut txn, "revision", revision).map_err(CommitError::from);
        match written.and_then(|()| inner.redo.commit(txn, true, |error| failed(inner, error))) {
            Ok(()) => {
                inner.redo.has_made_room();
                Ok(true)
            }
            Err(CommitError::Obstacle(_)) => Ok(false),
            Err(CommitError::Fatal(error)) => Err(error),
        }
    }
}

impl WriteTxn<'_> {
    /// The revision of the last change, this transaction's own included.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// How many records this transaction has changed so far.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// How many names a server has, active and reserved, at so many of its partitions as anybody has.
    ///
    /// # Errors
    /// The transaction has to be given up.
    pub fn names_at(&self, server: &[u8]) -> Result<u64, StoreError> {
        self.ledger.names_at(self.tables, &self.txn, server)
    }

    /// Who makes the changes that follow, for the journal. Until this is called they are the master's that is followed.
    pub fn author(&mut self, user: &str, peer: &str, deed: Deed) {
        if let Some(author) = &mut self.author {
            author.is(user, peer, deed);
        }
    }

    /// The revision that changed a mailbox last, if it is there.
    ///
    /// # Errors
    /// The transaction has to be given up.
    pub fn revision_of(&self, mailbox: &MailboxName) -> Result<Option<Revision>, StoreError> {
        let octets = self.tables.mailboxes.get(&self.txn, &self.key(mailbox)?)?;
        octets.map(|octets| Stored::decode(octets).map(|stored| stored.revision)).transpose()
    }

    /// Give `each` the names that the journal has after a revision. False: they are more than `most`, or the journal does
    /// not go back so far, and not all were given.
    ///
    /// # Errors
    /// The transaction has to be given up.
    pub fn changed_since(
        &self,
        revision: Revision,
        most: usize,
        each: impl FnMut(&MailboxName),
    ) -> Result<bool, StoreError> {
        if self.author.is_none() {
            return Ok(false);
        }
        journal::names_after(self.tables, &self.txn, revision, most, each)
    }

    /// Have a server take no new names, or take them again, if no more than `most` are drained then. False: it was so
    /// already. `None`: they would be more.
    ///
    /// # Errors
    /// The transaction has to be given up.
    pub fn set_draining(
        &mut self,
        server: &ServerName,
        drains: bool,
        most: usize,
    ) -> Result<Option<bool>, StoreError> {
        let mut draining = self.inner.draining.load().as_ref().clone();
        let news = if drains { draining.insert(server.detached()) } else { draining.remove(server) };
        if draining.len() > most {
            return Ok(None);
        }
        draining::write(self.tables, &mut self.txn, server, drains)?;
        self.draining = Some(draining);
        Ok(Some(news))
    }

    /// Remember the order that a server keeps its mailboxes in. The number of servers is bounded: the one that was
    /// learned longest ago is forgotten. False: that was its order already.
    ///
    /// # Errors
    /// The transaction has to be given up.
    pub fn set_order(&mut self, server: &ServerName, order: Order) -> Result<bool, StoreError> {
        clients::set_order(self.tables, &mut self.txn, server, order, self.revision)
    }

    /// Remember that a client has seen everything up to a revision. The number of clients is bounded: the one that is
    /// farthest behind is forgotten.
    ///
    /// # Errors
    /// The transaction has to be given up.
    pub fn set_client(&mut self, client: &[u8], revision: Revision) -> Result<(), StoreError> {
        clients::set_synced(self.tables, &mut self.txn, client, revision)
    }

    /// Remember something about this daemon, or forget it: what has to be known after a restart.
    ///
    /// # Errors
    /// The transaction has to be given up.
    pub fn remember(&mut self, name: &str, word: Option<&str>) -> Result<(), StoreError> {
        self.tables.set_word(&mut self.txn, name, word)
    }

    /// Make it durable. Returns the revision of the last change.
    ///
    /// # Errors
    /// [`CommitError::Obstacle`] if there is no room: nothing has changed. [`CommitError::Fatal`] if it is unknown
    /// what has.
    pub fn commit(self) -> Result<Revision, CommitError> {
        let Self {
            inner,
            tables,
            mut txn,
            at_once,
            ledger,
            author,
            revision,
            changes,
            used,
            short,
            grows,
            draining,
            ..
        } = self;
        ledger.settle(tables, &mut txn)?;
        if let Some(author) = author.filter(|_| changes > 0) {
            let now = author.at_ms();
            // Age is looked at now and then: it takes a page of the oldest entries, which otherwise nobody needs.
            let age = inner.journal_age.filter(|_| now >= inner.journal_looked.load(Ordering::Relaxed));
            let bounds = journal::Bounds {
                entries: inner.journal,
                map_size: inner.env.info().map_size as u64,
                since_ms: age.map(|age| now.saturating_sub(age)),
                yields: short.then_some(changes),
            };
            if journal::trim(tables, &mut txn, bounds)? && age.is_some() {
                inner.journal_looked.store(now.saturating_add(LOOK_AGAIN_MS), Ordering::Relaxed);
            }
        }
        if grows && keeps_nothing_back(inner, used, tables.used(&txn)?) {
            return Err(CommitError::Obstacle(Obstacle::MapFull));
        }
        if changes > 0 {
            tables.set_number(&mut txn, "revision", revision)?;
        }
        inner.redo.commit(txn, at_once, |error| failed(inner, error))?;
        if let Some(draining) = draining {
            inner.draining.store(Arc::new(draining));
        }
        Ok(revision)
    }

    fn key(&self, mailbox: &MailboxName) -> Result<Vec<u8>, StoreError> {
        if mailbox.as_bytes().len() > self.name_limit {
            return Err(StoreError::NameTooLong);
        }
        let mut key = Vec::with_capacity(mailbox.as_bytes().len());
        v36_key(mailbox.as_bytes(), &mut key);
        Ok(key)
    }

    /// Location id and state of a record, as stored.
    fn stored(&self, key: &[u8]) -> Result<Option<(u32, bool)>, StoreError> {
        let Some(octets) = self.tables.mailboxes.get(&self.txn, key)? else { return Ok(None) };
        let stored = Stored::decode(octets)?;
        Ok(Some((stored.location, stored.acl.is_some())))
    }

    fn enter(
        &mut self,
        revision: Revision,
        mailbox: &MailboxName,
        records: [Option<&Record>; 2],
    ) -> Result<(), StoreError> {
        let Some(author) = &mut self.author else { return Ok(()) };
        journal::enter(self.tables, &mut self.txn, author, revision, mailbox, records)
    }

    /// How many tombstones are kept. Pages that lose a few names are not free yet, and what is remembered of deletions must
    /// not take the room that deletions need: the journal makes room first, and then two tombstones for each new one.
    fn tombstones(&self) -> Result<u64, StoreError> {
        if !self.short || self.tables.journal.len(&self.txn)? > self.changes + 2 * journal::TOGETHER {
            return Ok(self.tombstones);
        }
        Ok(self.tombstones.min(self.tables.tombstones.len(&self.txn)?.saturating_sub(1)))
    }

    fn changed(&mut self, revision: Revision) {
        self.revision = revision;
        self.changes += 1;
    }
}

/// Would this leave too little for deletions? LMDB never writes in place, so they need room too; a map that was full to
/// the last page could not be emptied any more.
fn keeps_nothing_back(inner: &Inner, before: u64, after: u64) -> bool {
    after > before && after > open_to_all(inner)
}

/// Octets of the map that are there for everything.
fn open_to_all(inner: &Inner) -> u64 {
    let size = inner.env.info().map_size as u64;
    let reserve = (size / 64).clamp(KEPT_BACK.0.min(size / 8), KEPT_BACK.1);
    size.saturating_sub(reserve)
}

/// What it means that a commit has failed.
///
/// Pages that no older transaction needs are written first, and at last the meta page, which makes them the current
/// ones. If it was the meta page that could not be written, LMDB takes no transaction any more; as long as it takes one,
/// everything is as it was.
fn failed(inner: &Inner, error: heed::Error) -> CommitError {
    let short = matches!(&error, heed::Error::Io(error) if Errno::from_io_error(error) == Some(Errno::IO));
    let error = match StoreError::from(error) {
        // LMDB's word for a write that was cut short, and the system's for a broken disk.
        StoreError::Lmdb(_) if short && inner.place.is_full() => StoreError::Obstacle(Obstacle::DiskFull),
        error => error,
    };
    match error {
        StoreError::Obstacle(_) => match inner.env.write_txn() {
            Ok(_unused) => error.into(),
            Err(panic) => CommitError::Fatal(StoreError::Lmdb(panic)),
        },
        error => CommitError::Fatal(error),
    }
}

impl View for WriteTxn<'_> {
    type Error = StoreError;

    fn get(&self, mailbox: &MailboxName) -> Result<Option<Record>, StoreError> {
        let key = self.key(mailbox)?;
        let Some(octets) = self.tables.mailboxes.get(&self.txn, &key)? else { return Ok(None) };
        let stored = Stored::decode(octets)?;
        let location = match self.ledger.location(stored.location) {
            Some(location) => location.clone(),
            None => {
                let place = locations::place(self.tables, &self.txn, stored.location)?;
                locations::checked(place.ok_or(StoreError::Corrupt("location"))?.location)?
            }
        };
        let state = match stored.acl {
            Some(acl) => State::Active(Acl::new(Bytes::copy_from_slice(acl))),
            None => State::Reserved,
        };
        Ok(Some(Record { location, state }))
    }

    /// There is one writer, so what is in memory is what was committed last.
    fn is_draining(&self, server: &[u8]) -> Result<bool, StoreError> {
        Ok(self.inner.draining.load().contains(server))
    }

    fn put(
        &mut self,
        mailbox: &MailboxName,
        record: &Record,
        before: Option<&Record>,
        revision: Revision,
    ) -> Result<(), StoreError> {
        let key = self.key(mailbox)?;
        self.enter(revision, mailbox, [before, Some(record)])?;
        let before = self.stored(&key)?;
        let acl = match &record.state {
            State::Active(acl) => Some(acl.as_bytes()),
            State::Reserved => None,
        };
        let id = self.ledger.id_of(self.tables, &self.txn, &record.location)?;
        if let Some((was_at, was_active)) = before {
            self.ledger.count(self.tables, &self.txn, was_at, was_active, -1)?;
        }
        self.ledger.count(self.tables, &self.txn, id, acl.is_some(), 1)?;

        let moved = before.is_none_or(|(was_at, _)| was_at != id);
        if let Some((was_at, _)) = before.filter(|_| moved) {
            self.tables.by_location.delete(&mut self.txn, &member_key(was_at, &key))?;
        }
        if moved {
            self.tables.by_location.put(&mut self.txn, &member_key(id, &key), &[])?;
        }
        let mut value = Vec::new();
        Stored { location: id, revision, acl }.encode(&mut value);
        self.tables.mailboxes.put(&mut self.txn, &key, &value)?;
        self.grows = true;
        self.changed(revision);
        Ok(())
    }

    fn remove(
        &mut self,
        mailbox: &MailboxName,
        before: &Record,
        revision: Revision,
    ) -> Result<(), StoreError> {
        let key = self.key(mailbox)?;
        self.enter(revision, mailbox, [Some(before), None])?;
        if let Some((was_at, was_active)) = self.stored(&key)? {
            self.ledger.count(self.tables, &self.txn, was_at, was_active, -1)?;
            self.tables.by_location.delete(&mut self.txn, &member_key(was_at, &key))?;
            self.tables.mailboxes.delete(&mut self.txn, &key)?;
        }
        let bound = self.tombstones()?;
        tombstones::bury(self.tables, &mut self.txn, revision, &key, bound)?;
        self.changed(revision);
        Ok(())
    }
}

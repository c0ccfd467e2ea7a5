//! One sync a commit: `redo.log`, before LMDB.
//!
//! LMDB syncs twice for each commit, its pages and then its meta page, and its pages lie anywhere. Here a commit is durable
//! when a record of it is in the log:
//!
//! 1. everything that the transaction has put and deleted is appended to the log, and that is synced;
//! 2. LMDB commits, without a sync: now readers see it;
//! 3. some time later, beside all this, [settled](settler) it is: LMDB's file is synced, a header in the log says so, and the
//!    room of the record is free again.
//!
//! So what is seen is durable. After a power cut, the data file is taken back to the transaction of
//! the header, and the records after it are done once more ([`recovery`]).
//!
//! The log has two areas. While one is written to, what the other has is settled. A transaction that is too large for an
//! area is not recorded: it is settled at once, as LMDB would do it, and then answered; until then readers may see what nobody
//! was told yet. The same is done while the map has little room left, since pages that only the last header needs cannot be
//! used again.

mod layout;
mod record;
mod recovery;
mod settler;
mod staged;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use heed::RwTxn;

pub(super) use record::Op;
pub(super) use recovery::{Recovery, is_unborn};
pub(super) use staged::Staged;

use super::DATA_FILE;
use super::env::{self, Env};
use super::error::{CommitError, Obstacle, StoreError, out_of_space};
use super::meta_page;
use layout::{AREAS_AT, BLOCK, SLOT, UNBORN};
use record::Record;
use settler::{Geometry, Listener, Settler};

/// The name of the log in the data directory.
pub(super) const LOG_FILE: &str = "redo.log";

/// Read transactions that keep the snapshot of the last header, and of the next.
pub(super) const READERS: u32 = 2;

/// Octets of an area. What has been committed since the last header takes some twenty times as much of the map, so small
/// maps have small ones.
const LEAST_AREA: usize = 64 << 10;
const MOST_AREA: usize = 4 << 20;
const AREA_PER_MAP: usize = 64;

/// One part in so many of the map has to be free behind the pages in use, or everything is settled at once.
const SCARCE: u64 = 8;

/// The writer's side of the log.
pub(super) struct Redo {
    settler: Arc<Settler>,
    /// Opened for the writer alone: the system tells of a write that has failed once to each who has a file open.
    log: File,
    /// The last transaction that did nothing but have the map give back what is free.
    made_room: AtomicU64,
    areas: Mutex<Areas>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// The areas of the log.
#[derive(Debug, Default)]
struct Areas {
    /// Which one is written to.
    current: usize,
    each: [Area; 2],
}

#[derive(Debug, Clone, Copy, Default)]
struct Area {
    /// Octets that records take.
    used: u64,
    /// The last transaction that has a record there.
    last: u64,
}

/// A record that is in the log: what has to be known to take it out again.
#[must_use = "the transaction has to be committed, or the record taken back"]
struct Appended<'r> {
    areas: MutexGuard<'r, Areas>,
    at: u64,
    before: Area,
}

/// Before there is a data file, note that there is to be one: what a power cut leaves of it until there is a header was never
/// answered from, and can be known by that.
pub(super) fn announce(dir: &Path, map_size: usize) -> io::Result<()> {
    let log = file(dir, 2 * area_of(map_size) as u64)?;
    sequence(&log)?;
    let mut headers = UNBORN.to_vec();
    headers.resize(2 * SLOT, 0);
    log.write_all_at(&headers, 0)?;
    log.sync_data()
}

impl Redo {
    /// Begin to log. Everything that is committed has been synced by LMDB, and from now on it syncs nothing any more. Nobody
    /// else uses the environment yet.
    pub(super) fn begin(dir: &Path, env: &Env, map_size: usize) -> io::Result<Self> {
        let data = File::options().read(true).write(true).open(dir.join(DATA_FILE))?;
        let meta = meta_page::newest(&data)?.ok_or_else(|| io::Error::other("LMDB's meta pages are gone"))?;
        let page_size = meta.page_size as u64;
        if meta_page::stamp(&data)? == 0 {
            meta_page::set_stamp(&data, draw()?)?;
        }
        let store = meta_page::stamp(&data)?;
        // A daemon of an older version, or one whose log was taken away, may have left something to be written, too.
        data.sync_data()?;
        let area = area_of(map_size);
        let [log, settlers] = [file(dir, 2 * area as u64)?, file(dir, 2 * area as u64)?];
        let sequence = sequence(&log)?;
        let geometry = Geometry { page_size, area: area as u64, store, session: draw()? };
        let settler = Settler::new(env.clone(), [data, settlers], geometry, sequence);
        // Both headers are of this session then, so that one alone is enough to find its records.
        for _ in 0..2 {
            if !settler.advance(false)? {
                return Err(io::Error::other("LMDB has no place for a reader"));
            }
        }
        let settled = settler.state().settled;
        settler.state().committed = settled;
        env::leave_syncs_to_us(env).map_err(io::Error::other)?;
        let (made_room, areas, thread) = Default::default();
        Ok(Self { settler: Arc::new(settler), log, made_room, areas, thread })
    }

    /// Have this one told when the disk turns out to be broken while nothing is being committed.
    pub(super) fn tell(&self, listener: Listener) {
        self.settler.tell(listener);
    }

    /// Has a transaction to be settled at once, as there is little room in the map? If so, nothing is unsettled from now on.
    pub(super) fn is_scarce(&self) -> Result<bool, StoreError> {
        let Settler { env, geometry, .. } = &*self.settler;
        let info = env.info();
        let used = info.last_page_number as u64 * geometry.page_size;
        let free = (info.map_size as u64).saturating_sub(used);
        let scarce = free < info.map_size as u64 / SCARCE;
        if scarce {
            let committed = self.settler.state().committed;
            self.settle(committed)?;
        }
        Ok(scarce)
    }

    /// Would a transaction that is settled at once have the map give anything back? Not, if it was one that was committed last.
    pub(super) fn has_room_to_make(&self) -> bool {
        self.settler.state().committed != self.made_room.load(Ordering::Relaxed)
    }

    /// Such a transaction was committed.
    pub(super) fn has_made_room(&self) {
        self.made_room.store(self.settler.state().committed, Ordering::Relaxed);
    }

    /// Note what this transaction is going to write.
    pub(super) fn stage<'s>(&self, txn: RwTxn<'s>) -> Staged<'s> {
        let most = usize::try_from(self.settler.geometry.area).unwrap_or(usize::MAX);
        Staged { txn, record: Record::new(most) }
    }

    /// Commit, durably: see [the module](self). `at_once`: without a record.
    ///
    /// # Errors
    /// `failed` says what it means that LMDB could not commit. An obstacle: nothing has happened.
    pub(super) fn commit(
        &self,
        Staged { txn, record }: Staged<'_>,
        at_once: bool,
        failed: impl FnOnce(heed::Error) -> CommitError,
    ) -> Result<(), CommitError> {
        // LMDB does not count a transaction that has written nothing: the next one has its number.
        if record.is_blank() {
            return Ok(());
        }
        let transaction = txn.id() as u64;
        let appended = match record.into_octets().filter(|_| !at_once) {
            Some(record) => Some(self.append(transaction, record)?),
            None => None,
        };
        if let Err(error) = txn.commit() {
            let error = failed(error);
            if let (Some(appended), CommitError::Obstacle(_)) = (appended, &error) {
                self.take_back(appended).map_err(|error| self.broken(error))?;
            }
            return Err(error);
        }
        debug_assert_eq!(self.settler.env.info().last_txn_id as u64, transaction);
        let was_settled = self.settler.state().commit(transaction);
        match appended {
            None => Ok(self.settle(transaction)?),
            Some(_) if was_settled => Ok(self.wake()?),
            Some(_) => Ok(()),
        }
    }

    /// Put a record into the log, durably.
    fn append(&self, transaction: u64, mut record: Vec<u8>) -> Result<Appended<'_>, CommitError> {
        let mut areas = self.areas.lock().unwrap_or_else(PoisonError::into_inner);
        let length = record.len().next_multiple_of(BLOCK) as u64;
        if areas.each[areas.current].used + length > self.settler.geometry.area {
            self.turn(&mut areas)?;
        }
        let sequence = {
            let state = self.settler.state();
            if let Some(error) = &state.failed {
                return Err(StoreError::Log(io::Error::other(error.clone())).into());
            }
            state.sequence
        };
        let current = areas.current;
        let before = areas.each[current];
        let at = AREAS_AT + current as u64 * self.settler.geometry.area + before.used;
        layout::finish(&mut record, self.settler.geometry.session, transaction, sequence);
        match self.log.write_all_at(&record, at) {
            Ok(()) => {}
            // Where files are never written in place, a full disk has no room for this either. What is there of it is no
            // whole record, and the next one is written over it.
            Err(error) if out_of_space(&error) => {
                return Err(CommitError::Obstacle(Obstacle::DiskFull));
            }
            Err(error) => return Err(self.broken(error).into()),
        }
        self.log.sync_data().map_err(|error| self.broken(error))?;
        areas.each[current] = Area { used: before.used + length, last: transaction };
        Ok(Appended { areas, at, before })
    }

    /// What was written last may be there or not, and a later sync that succeeds says nothing of it.
    fn broken(&self, error: io::Error) -> StoreError {
        self.settler.state().failed = Some(error.to_string());
        StoreError::Log(error)
    }

    /// The transaction that made this record is not going to be: what is in the log must not be done once more.
    fn take_back(&self, Appended { mut areas, at, before }: Appended<'_>) -> io::Result<()> {
        self.log.write_all_at(&[0; BLOCK], at)?;
        self.log.sync_data()?;
        let current = areas.current;
        areas.each[current] = before;
        Ok(())
    }

    /// Go on in the other area, once everything that it has is settled.
    fn turn(&self, areas: &mut Areas) -> Result<(), StoreError> {
        let full = areas.each[areas.current].last;
        let other = 1 - areas.current;
        self.settle(areas.each[other].last)?;
        areas.each[other] = Area::default();
        areas.current = other;
        {
            let mut state = self.settler.state();
            state.wanted = state.wanted.max(full);
        }
        self.wake()
    }

    /// Wait until everything up to a transaction is settled.
    fn settle(&self, transaction: u64) -> Result<(), StoreError> {
        {
            let mut state = self.settler.state();
            state.wanted = state.wanted.max(transaction);
            if state.settled >= transaction {
                return Ok(());
            }
        }
        self.wake()?;
        let state = self.settler.wait_until(|state| state.settled >= transaction || state.failed.is_some());
        match &state.failed {
            Some(error) => Err(StoreError::Log(io::Error::other(error.clone()))),
            None => Ok(()),
        }
    }

    /// Have the settler look at what there is to do. Its thread is started when it is needed first, so that it is one of those
    /// that the daemon has confined by then. Where there is no thread to be had, its work is done here.
    fn wake(&self) -> Result<(), StoreError> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() {
            let settler = Arc::clone(&self.settler);
            match thread::Builder::new().name("settler".into()).spawn(move || settler.run()) {
                Ok(handle) => *thread = Some(handle),
                Err(_) => {
                    drop(thread);
                    while !self.settler.advance(false).map_err(|error| self.broken(error))? {
                        self.settler.wait_a_little();
                    }
                    return Ok(());
                }
            }
        }
        self.settler.notify();
        Ok(())
    }
}

/// In good order everything is in the data file, and there is nothing to be done once more.
impl Drop for Redo {
    fn drop(&mut self) {
        self.settler.state().closing = true;
        self.settler.notify();
        if let Some(thread) = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join();
        }
        if self.settler.state().failed.is_some() {
            return;
        }
        match self.settler.advance(true) {
            Ok(true) => {}
            Ok(false) => tracing::warn!(
                "the store was not settled: what is in {LOG_FILE} is done again at the next start"
            ),
            Err(error) => self.settler.fail(&error),
        }
    }
}

/// That of the last header; 0 if there is none. One that is damaged, or of another version, is not written over.
fn sequence(log: &File) -> io::Result<u64> {
    match recovery::newest(log)? {
        Ok(header) => Ok(header.map_or(0, |header| header.sequence)),
        Err(found) => Err(io::Error::other(format!("{LOG_FILE}: {found:?}"))),
    }
}

/// Octets of an area, for a map of this size.
fn area_of(map_size: usize) -> usize {
    (map_size / AREA_PER_MAP).clamp(LEAST_AREA, MOST_AREA).next_multiple_of(BLOCK)
}

/// A number that nobody else has, and not 0.
fn draw() -> io::Result<u64> {
    let mut drawn = [0; 8];
    getrandom::fill(&mut drawn).map_err(io::Error::other)?;
    Ok(u64::from_be_bytes(drawn).max(1))
}

/// The log's file, with all of its blocks: they are written over and never added to, so that a sync has nothing but
/// them to write. Whatever file there is in the directory has its name for good then.
fn file(dir: &Path, areas: u64) -> io::Result<File> {
    let length = AREAS_AT + areas;
    let mut options = OpenOptions::new();
    let log =
        options.read(true).write(true).create(true).truncate(false).mode(0o600).open(dir.join(LOG_FILE))?;
    if log.metadata()?.len() != length {
        log.set_len(0)?;
        let zeros = vec![0; MOST_AREA.min(1 << 20)];
        let mut at = 0;
        while at < length {
            let piece = usize::try_from(length - at).unwrap_or(usize::MAX).min(zeros.len());
            log.write_all_at(&zeros[..piece], at)?;
            at += piece as u64;
        }
        log.sync_all()?;
    }
    File::open(dir)?.sync_all()?;
    Ok(log)
}

#[cfg(test)]
mod tests;

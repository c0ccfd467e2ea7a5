//! The thread that has the data file follow the log: once everything up to a transaction is in the file, and that is synced,
//! the records up to there may be overwritten.
//!
//! LMDB leaves alone the pages of every snapshot that somebody reads. So the settler reads: the snapshot of the last header
//! until the next one is on the disk. Whatever parts of later transactions a power cut leaves in the file, that snapshot
//! is whole, and the header has the meta page that leads to it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use heed::{MdbError, RoTxn, WithoutTls};

use super::layout::{Header, SLOT};
use crate::store::env::Env;
use crate::store::meta_page::{self, Meta, SMALLEST_PAGE};

/// For how long changes may be in the log alone, if nobody needs its room.
const AT_LATEST: Duration = Duration::from_secs(1);

/// When to try again where all of LMDB's places for readers are taken.
const TRY_AGAIN: Duration = Duration::from_millis(20);

/// What is committed: a transaction that reads it, its number, its meta page.
type Pinned = (RoTxn<'static, WithoutTls>, u64, [u8; SMALLEST_PAGE]);

/// The settler's side of the log. The writer's is [`Redo`](super::Redo).
pub(super) struct Settler {
    pub env: Env,
    pub data: File,
    pub log: File,
    pub geometry: Geometry,
    /// The snapshot of the last header.
    pinned: Mutex<Option<RoTxn<'static, WithoutTls>>>,
    state: Mutex<State>,
    /// Something has changed in `state`.
    changed: Condvar,
    /// Who hears that the disk is broken, once.
    listener: Mutex<Option<Listener>>,
}

/// Is told what is wrong with the disk.
pub(in crate::store) type Listener = Box<dyn FnOnce(&str) + Send>;

/// What does not change while the store is open.
#[derive(Debug, Clone, Copy)]
pub(super) struct Geometry {
    /// Octets of LMDB's pages.
    pub page_size: u64,
    /// Octets of each of the log's areas.
    pub area: u64,
    /// The number of the data file.
    pub store: u64,
    /// Drawn when the store was opened.
    pub session: u64,
}

/// How far they have come, in numbers of transactions.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The last one that was committed.
    pub committed: u64,
    /// The one of the last header.
    pub settled: u64,
    /// Somebody waits until this one is settled.
    pub wanted: u64,
    /// The sequence number of the last header.
    pub sequence: u64,
    /// What was wrong with the disk. What is in the log is safe, but no more may be added.
    pub failed: Option<String>,
    /// The store is being closed.
    pub closing: bool,
}

impl State {
    /// A transaction was committed. True: everything before it is settled.
    pub(super) fn commit(&mut self, transaction: u64) -> bool {
        let was_settled = self.is_settled();
        self.committed = transaction;
        was_settled
    }

    /// Everything is in the data file.
    pub(super) fn is_settled(&self) -> bool {
        self.settled >= self.committed
    }
}

impl Settler {
    /// `sequence`: that of the last header.
    pub(super) fn new(env: Env, [data, log]: [File; 2], geometry: Geometry, sequence: u64) -> Self {
        let state = Mutex::new(State { sequence, ..State::default() });
        let (pinned, changed, listener) = Default::default();
        Self { env, data, log, geometry, pinned, state, changed, listener }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tell the other side that something has changed.
    pub(super) fn notify(&self) {
        self.changed.notify_all();
    }

    /// Wait until this is so.
    pub(super) fn wait_until(&self, is_so: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let waited = self.changed.wait_while(self.state(), |state| !is_so(state));
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    /// What the thread does.
    pub(super) fn run(&self) {
        // What it has is put in place whole, and nothing is added to the log after a panic.
        if catch_unwind(AssertUnwindSafe(|| self.settle())).is_err() {
            self.fail(&io::Error::other("the settler panicked"));
        }
    }

    fn settle(&self) {
        loop {
            let state = self.wait_until(|state| state.closing || !state.is_settled());
            let busy = |state: &mut State| !state.closing && state.wanted <= state.settled;
            let waited = self.changed.wait_timeout_while(state, AT_LATEST, busy);
            let closing = waited.unwrap_or_else(PoisonError::into_inner).0.closing;
            if closing {
                return;
            }
            match self.advance(false) {
                Ok(true) => {}
                Ok(false) => self.wait_a_little(),
                Err(error) => return self.fail(&error),
            }
        }
    }

    /// Until another reader may have gone.
    pub(super) fn wait_a_little(&self) {
        let waited = self.changed.wait_timeout_while(self.state(), TRY_AGAIN, |state| !state.closing);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Have this one told when the disk turns out to be broken.
    pub(super) fn tell(&self, listener: Listener) {
        *self.listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(listener);
    }

    /// From now on nothing may be added to the log.
    pub(super) fn fail(&self, error: &io::Error) {
        self.state().failed = Some(error.to_string());
        self.notify();
        let listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner).take();
        match listener {
            Some(listener) => listener(&format!("the store cannot be synced: {error}")),
            None => tracing::error!("the store cannot be synced: {error}"),
        }
    }

    /// Sync what is committed, and note it in a header. False: LMDB has no place for a reader now.
    pub(super) fn advance(&self, clean: bool) -> io::Result<bool> {
        let mut pinned = self.pinned.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((snapshot, transaction, meta)) = self.pin()? else { return Ok(false) };
        self.data.sync_data()?;
        let sequence = self.state().sequence + 1;
        let Geometry { store, session, area, .. } = self.geometry;
        let header = Header { sequence, store, session, transaction, area, clean, meta };
        self.log.write_all_at(&header.encode(), (sequence & 1) * SLOT as u64)?;
        self.log.sync_data()?;
        *pinned = Some(snapshot);
        let mut state = self.state();
        state.settled = transaction;
        state.sequence = sequence;
        drop(state);
        self.notify();
        Ok(true)
    }

    /// Keep LMDB from overwriting what is committed now.
    fn pin(&self) -> io::Result<Option<Pinned>> {
        loop {
            let snapshot = match self.env.clone().static_read_txn() {
                Ok(snapshot) => snapshot,
                Err(heed::Error::Mdb(MdbError::ReadersFull)) => return Ok(None),
                Err(error) => return Err(io::Error::other(error)),
            };
            let number = snapshot.id();
            let transaction = number as u64;
            let page = meta_page::read(&self.data, (transaction & 1) * self.geometry.page_size)?;
            // Its place is taken by the next transaction but one, which begins when the next is over: if that is not so
            // by now, what was read was not being written.
            if self.env.info().last_txn_id != number {
                continue;
            }
            let is_it = |page: &[u8; SMALLEST_PAGE]| {
                Meta::parse(page).is_some_and(|meta| meta.transaction == transaction)
            };
            let page =
                page.filter(is_it).ok_or_else(|| io::Error::other("LMDB's meta page is not what it was"))?;
            return Ok(Some((snapshot, transaction, page)));
        }
    }
}

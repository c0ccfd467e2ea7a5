//! The mirror: what the directory looks like, kept in LMDB.
//!
//! - Readers never wait for the writer, nor it for them. No read transaction outlives one call of a method here.
//! - There is one writer at a time, and a commit that returned is on the disk: in the redo log.
//! - Records, locations and ACLs come back octet for octet.
//! - All tables change in one transaction: a crash leaves them as the last commit did, all of them.
//! - Tombstones and clients are bounded; everything else is as large as the directory is.

mod census;
mod clients;
pub mod draining;
mod entries;
mod env;
mod error;
mod intact;
pub mod journal;
mod ledger;
mod locations;
mod lock;
mod meta_page;
mod occupied;
mod page;
mod place;
mod progress;
mod read;
mod reannounce;
mod record;
mod redo;
pub mod scan;
mod sink;
mod tables;
mod tombstones;
mod walk;
mod write;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use mupdate_core::directory::{Order, Revision};
use mupdate_proto::ServerName;

pub use census::{Census, ServerCounts};
pub use entries::{Entries, Entry};
pub use error::{CommitError, Found, Obstacle, OpenError, StoreError};
pub use occupied::Occupied;
pub use page::Pager;
pub use progress::Progress;
pub use read::Snapshot;
pub use reannounce::{FOLLOWED, Reannounce};
pub use sink::RowSink;
pub use write::WriteTxn;

use env::Env;
use lock::Claim;
use place::DataPlace;
use redo::{LOG_FILE, Recovery, Redo};
use tables::{Contents, Tables};

/// The name of LMDB's file in the data directory.
const DATA_FILE: &str = "data.mdb";

/// Where a data file is kept whose first start was cut short before it was whole.
const TORN_FILE: &str = "data.mdb.torn";

/// More octets than such a file has.
const MOST_TORN: u64 = 1 << 20;

/// What stands before a mailbox's key in `by_location`.
const ID_OCTETS: usize = 4;

/// Servers' orders, as configured.
pub type Orders = BTreeMap<ServerName, Order>;

/// How to open a store.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Octets that the store may grow to. The file is sparse: it takes what is used.
    pub map_size: usize,
    /// Read transactions that may be open at once.
    pub max_readers: u32,
    /// Deletions that are remembered, for frontends that were away.
    pub tombstones: u64,
    /// Changes that are remembered with what was there before; 0 remembers none.
    pub journal: u64,
    /// For how long they are remembered; `None`: as long as there are no more than that.
    pub journal_age: Option<Duration>,
    /// The orders of servers that need not be learned. See [`Store::set_orders`].
    pub orders: Orders,
    /// Who hears how far the look at the data file has come.
    pub progress: Progress,
}

impl Default for StoreOptions {
    fn default() -> Self {
        // 16 GiB, where so much can be addressed.
        let map_size = usize::try_from(16_u64 << 30).unwrap_or(1 << 30);
        Self {
            map_size,
            max_readers: 8192,
            tombstones: 65_536,
            journal: 100_000,
            journal_age: None,
            orders: Orders::new(),
            progress: Progress::default(),
        }
    }
}

/// The directory on disk. Clones are the same store; it is closed with the last of them.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

/// Fields are dropped in this order: the log is settled, then LMDB closes its files, and then the directory is given up.
struct Inner {
    redo: Redo,
    tables: Tables,
    env: Env,
    place: DataPlace,
    tombstones: u64,
    journal: u64,
    /// In milliseconds.
    journal_age: Option<u64>,
    /// When entries that are too old are to be looked for next, in milliseconds since 1970.
    journal_looked: AtomicU64,
    draining: ArcSwap<draining::Draining>,
    orders: ArcSwap<Orders>,
    /// What was learned since the store was opened, whether it is written yet or not.
    learned: RwLock<Orders>,
    _claim: Claim,
}

/// Make a data directory where it is missing, readable by its owner only. One that is there stays as it is.
///
/// # Errors
/// The system refuses.
pub fn make_dir(dir: &Path) -> Result<(), OpenError> {
    Claim::make_dir(dir)
}

impl Store {
    /// Open the store in a data directory, making both where they are missing.
    ///
    /// # Errors
    /// See [`OpenError`]. If it is anything but [`OpenError::Failed`], nothing on the disk has changed,
    /// a missing directory that could be made aside, and what was left of a first start that was cut short.
    pub fn open(dir: &Path, options: StoreOptions) -> Result<Self, OpenError> {
        Claim::make_dir(dir)?;
        // A lock file, or a log, is there if a daemon ever was. What that one may be writing must not be looked at; and
        // where none ever was, nothing must be made before it is known what is there.
        let claim = match Claim::take_existing(dir)? {
            None if dir.join(LOG_FILE).exists() => Some(Claim::take(dir)?),
            claim => claim,
        };
        let (contents, recovery) = look(dir, options.map_size, &options.progress)?;
        if let Contents::Other(found) = contents {
            return Err(OpenError::format(dir, found));
        }
        let mut claim = match claim {
            Some(claim) => claim,
            None => Claim::take(dir)?,
        };
        claim.sign().map_err(|error| OpenError::io(dir, error))?;
        let readers = options.max_readers.saturating_add(redo::READERS);
        place::reserve_lock_table(dir, readers).map_err(|error| OpenError::io(dir, error))?;

        if contents == Contents::Nothing {
            redo::announce(dir, options.map_size).map_err(|error| OpenError::io(dir, error))?;
        }
        let env = env::open(dir, options.map_size, readers).map_err(|error| OpenError::heed(dir, error))?;
        let tables = match contents {
            Contents::Nothing => create(dir, &env)?,
            Contents::Older => {
                upgrade(dir, &env)?;
                open_tables(dir, &env)?
            }
            Contents::Ours | Contents::Other(_) => open_tables(dir, &env)?,
        };
        if let Some(recovery) = recovery {
            recovery.redo(&tables, &env).map_err(|error| failed(dir, error))?;
            let transactions = recovery.transactions();
            tracing::info!(
                transactions,
                "the store was not closed in good order: done again from {LOG_FILE}"
            );
        }
        if options.journal > 0 {
            journal::begin(&tables, &env).map_err(|error| failed(dir, error))?;
        }
        let redo = Redo::begin(dir, &env, options.map_size).map_err(|error| OpenError::io(dir, error))?;
        let place = DataPlace::of(dir).map_err(|error| OpenError::io(dir, error))?;
        let StoreOptions { tombstones, journal, journal_age, orders, .. } = options;
        let drains = env.read_txn().map_err(StoreError::from).and_then(|txn| draining::read(&tables, &txn));
        let drains = ArcSwap::from_pointee(drains.map_err(|error| failed(dir, error))?);
        let orders = ArcSwap::from_pointee(orders);
        Ok(Self {
            inner: Arc::new(Inner {
                redo,
                tables,
                env,
                place,
                tombstones,
                journal,
                journal_age: journal_age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
                journal_looked: AtomicU64::new(0),
                draining: drains,
                orders,
                learned: RwLock::default(),
                _claim: claim,
            }),
        })
    }

    /// The revision of the last change that was committed.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn revision(&self) -> Result<Revision, StoreError> {
        let txn = self.inner.env.read_txn()?;
        self.inner.tables.revision(&txn)
    }

    /// The longest mailbox name that can be stored, in octets. (A v36 key is as long as its name.)
    #[must_use]
    pub fn name_limit(&self) -> usize {
        self.inner.env.max_key_size() - ID_OCTETS
    }

    /// The order in which a server keeps its mailboxes: as configured, else as learned. `None`: nobody knows.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn order_of(&self, server: &ServerName) -> Result<Option<Order>, StoreError> {
        if let Some(&order) = self.inner.orders.load().get(server) {
            return Ok(Some(order));
        }
        if let Some(&order) = self.inner.learned.read().unwrap_or_else(PoisonError::into_inner).get(server) {
            return Ok(Some(order));
        }
        let txn = self.inner.env.read_txn()?;
        clients::order(&self.inner.tables, &txn, server)
    }

    /// The servers that were seen to use another order than is configured for them: what is configured, what was seen.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn disputed_orders(&self) -> Result<Vec<(ServerName, Order, Order)>, StoreError> {
        let txn = self.inner.env.read_txn()?;
        let mut disputed = Vec::new();
        for (server, &configured) in self.inner.orders.load().iter() {
            match clients::order(&self.inner.tables, &txn, server)? {
                Some(learned) if learned != configured => {
                    disputed.push((server.clone(), configured, learned))
                }
                _ => {}
            }
        }
        Ok(disputed)
    }

    /// Use this order for a server from now on, unless one is configured. `ctl_mboxlist -m` may come again before the
    /// order is written, so that is left to the writer.
    pub fn learn(&self, server: &ServerName, order: Order) {
        let mut learned = self.inner.learned.write().unwrap_or_else(PoisonError::into_inner);
        if (learned.len() as u64) < clients::MOST || learned.contains_key(server) {
            learned.insert(server.detached(), order);
        }
    }

    /// Replace the configured orders, for walks that begin from now on.
    pub fn set_orders(&self, orders: Orders) {
        self.inner.orders.store(Arc::new(orders));
    }

    /// Up to which revision a client had everything, when that was last heard of. `None` if it never was.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn client_synced(&self, client: &[u8]) -> Result<Option<Revision>, StoreError> {
        let txn = self.inner.env.read_txn()?;
        clients::synced(&self.inner.tables, &txn, client)
    }

    /// Deletions after this revision are all remembered; some before it have been forgotten.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn tombstones_from(&self) -> Result<Revision, StoreError> {
        let txn = self.inner.env.read_txn()?;
        self.inner.tables.tombstones_from(&txn)
    }

    /// What was [remembered](WriteTxn::remember) under this name.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn remembered(&self, name: &str) -> Result<Option<String>, StoreError> {
        let txn = self.inner.env.read_txn()?;
        self.inner.tables.word(&txn, name)
    }

    /// Octets in use, and octets that there are.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn map_fill(&self) -> Result<(u64, u64), StoreError> {
        let txn = self.inner.env.read_txn()?;
        Ok((self.inner.tables.used(&txn)?, self.inner.env.info().map_size as u64))
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("path", &self.inner.env.path()).finish_non_exhaustive()
    }
}

/// What is in a data directory, and what has to be done once more there. Nothing is changed before it is known to be ours
/// and sound; then the data file is taken back to where that begins. One that was not whole yet when the first start of
/// all was cut short is put aside.
fn look(dir: &Path, map_size: usize, progress: &Progress) -> Result<(Contents, Option<Recovery>), OpenError> {
    let io = |error| OpenError::io(dir, error);
    let data = match File::options().read(true).open(dir.join(DATA_FILE)) {
        Ok(data) => data,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((Contents::Nothing, None)),
        Err(error) => return Err(io(error)),
    };
    let length = data.metadata().map_err(io)?.len();
    if length == 0 {
        return Ok((Contents::Nothing, None));
    }
    let recovery = match Recovery::read(dir).map_err(io)? {
        Ok(recovery) => recovery,
        Err(found) => return Ok((Contents::Other(found), None)),
    };
    let recovery = match recovery {
        Some(recovery) => match recovery.belongs_to(&data).map_err(io)? {
            Ok(true) => Some(recovery),
            Ok(false) => None,
            Err(found) => return Ok((Contents::Other(found), None)),
        },
        None => None,
    };
    let current = recovery.as_ref().and_then(Recovery::meta);
    if let Some(found) = intact::look(&data, current, progress).map_err(io)? {
        if length > MOST_TORN || !redo::is_unborn(dir).map_err(io)? {
            return Ok((Contents::Other(found), None));
        }
        // It may be a damaged backup that somebody has put there meanwhile.
        fs::rename(dir.join(DATA_FILE), dir.join(TORN_FILE)).map_err(io)?;
        tracing::warn!(
            "the first start of this store was cut short: it is made anew, and what there was is {TORN_FILE}"
        );
        return Ok((Contents::Nothing, None));
    }
    if let Some(recovery) = &recovery {
        recovery.restore(dir).map_err(io)?;
    }
    let contents = env::look(dir, map_size).and_then(|env| tables::contents(&env));
    Ok((contents.map_err(|error| OpenError::heed(dir, error))?, recovery))
}

/// Make the tables, and see to it that the new files are still there after a power failure.
fn create(dir: &Path, env: &Env) -> Result<Tables, OpenError> {
    let create = || -> Result<Tables, StoreError> {
        let mut txn = env.write_txn()?;
        let tables = Tables::create(env, &mut txn)?;
        txn.commit()?;
        Ok(tables)
    };
    let tables = create().map_err(|error| failed(dir, error))?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| OpenError::io(dir, error))?;
    Ok(tables)
}

/// Bring a store of an older version into the format of this one. An older version refuses it from then on.
fn upgrade(dir: &Path, env: &Env) -> Result<(), OpenError> {
    let upgrade = || -> Result<(), StoreError> {
        let mut txn = env.write_txn()?;
        tables::upgrade(env, &mut txn)?;
        Ok(txn.commit()?)
    };
    upgrade().map_err(|error| failed(dir, error))?;
    tracing::info!(dir = %dir.display(), "the store was brought into the format of this version");
    Ok(())
}

fn failed(dir: &Path, error: StoreError) -> OpenError {
    match error {
        StoreError::Lmdb(error) => OpenError::heed(dir, error),
        StoreError::Obstacle(obstacle) => {
            let text = format!("{obstacle}; {}", obstacle.advice());
            OpenError::Failed { dir: dir.to_owned(), error: text.into() }
        }
        error => OpenError::Failed { dir: dir.to_owned(), error: error.into() },
    }
}

fn open_tables(dir: &Path, env: &Env) -> Result<Tables, OpenError> {
    let open = || {
        let txn = env.read_txn()?;
        let tables = Tables::open(env, &txn)?;
        // Handles of tables outlive the transaction that opened them only if it is committed.
        txn.commit()?;
        Ok(tables)
    };
    match open() {
        Ok(Some(tables)) => Ok(tables),
        Ok(None) => Err(OpenError::format(dir, Found::Incomplete)),
        Err(error) => Err(OpenError::heed(dir, error)),
    }
}

#[cfg(test)]
mod tests;

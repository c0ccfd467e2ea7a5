//! Opens the LMDB environment. The only file of this crate with unsafe code.
#![allow(
    unsafe_code,
    reason = "a memory map is only as sound as the file under it; the reasons stand at each use"
)]

use std::path::Path;

use heed::{EnvFlags, EnvOpenOptions, FlagSetMode, WithoutTls};

/// An environment whose read transactions are not tied to threads: an executor may move them.
pub(super) type Env = heed::Env<WithoutTls>;

/// Named tables that an environment can have; more than there are, so that a later format has room.
const MAX_TABLES: u32 = 16;

/// A map must be a whole number of pages, and no platform that we know has larger ones.
const LARGEST_PAGE: usize = 64 * 1024;

/// Open for reading and writing, making the files (mode 0600) where they are missing.
///
/// Durability is LMDB's default: a commit that returned is on the disk. See [`leave_syncs_to_us`].
/// The caller holds the lock of the data directory.
pub(super) fn open(dir: &Path, map_size: usize, max_readers: u32) -> heed::Result<Env> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(map_size.next_multiple_of(LARGEST_PAGE)).max_readers(max_readers).max_dbs(MAX_TABLES);
    // SAFETY: nothing but LMDB changes the mapped file while it is open: the files belong to the daemon's
    // user alone, the lock of the data directory keeps a second daemon away, and heed refuses to open
    // the same path twice in one process.
    unsafe { options.open(dir) }
}

/// Have commits return before they are on the disk: from now on that is the redo log's business.
///
/// Nobody else uses the environment yet.
pub(super) fn leave_syncs_to_us(env: &Env) -> heed::Result<()> {
    // SAFETY: no other thread sets flags, as this is done once, while the store is opened. A file that was not synced may be
    // damaged after a power cut; the redo log takes it back to where it was synced.
    unsafe { env.set_flags(EnvFlags::NO_SYNC, FlagSetMode::Enable) }
}

/// Open what is there to look at it, without making or changing any file.
///
/// LMDB would map what the file was opened with before, which may be more than there can be now: hence `map_size`.
///
/// Nobody may be writing: the caller holds the lock of the data directory, or there was never one to hold.
pub(super) fn look(dir: &Path, map_size: usize) -> heed::Result<Env> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(map_size.next_multiple_of(LARGEST_PAGE)).max_dbs(MAX_TABLES);
    // SAFETY: without LMDB's own lock file readers and writers would not know of each other, but there are
    // no writers (see above), and a read-only environment is none.
    unsafe {
        options.flags(EnvFlags::READ_ONLY | EnvFlags::NO_LOCK);
    }
    // SAFETY: as in `open`; the map is read-only on top of that.
    unsafe { options.open(dir) }
}

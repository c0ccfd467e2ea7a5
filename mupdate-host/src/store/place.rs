//! Where the files are, and whether there is room for them.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::io::Errno;

use super::DATA_FILE;
use super::redo::LOG_FILE;

/// The file of LMDB's table of read transactions.
const LOCK_FILE: &str = "lock.mdb";

/// What LMDB keeps there for each, and what stands before and rounds it up: more than it needs.
const READER: u64 = 64;
const HEAD: u64 = 4096;

/// Less than this is left on a disk on which a write came to an early end.
const LEFT: u64 = 64 * 1024;

/// The files that were opened: the data file and the redo log.
#[derive(Debug)]
pub(super) struct DataPlace {
    files: [OpenedFile; 2],
}

/// A file, and how it is known again.
#[derive(Debug)]
struct OpenedFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl OpenedFile {
    fn at(path: &Path) -> io::Result<Self> {
        let path = std::path::absolute(path)?;
        let metadata = fs::metadata(&path)?;
        Ok(Self { path, device: metadata.dev(), inode: metadata.ino() })
    }

    fn is_there(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|is| is.dev() == self.device && is.ino() == self.inode)
    }
}

impl DataPlace {
    /// Those in this directory now.
    pub(super) fn of(dir: &Path) -> io::Result<Self> {
        Ok(Self { files: [OpenedFile::at(&dir.join(DATA_FILE))?, OpenedFile::at(&dir.join(LOG_FILE))?] })
    }

    /// Are they there still? Nobody else would notice: one goes on with a file that has no name any more, and what was
    /// answered OK would be gone with the process.
    pub(super) fn is_there(&self) -> bool {
        self.files.iter().all(OpenedFile::is_there)
    }

    /// Is the disk full? LMDB says that of a write that was cut short as little as the system does.
    pub(super) fn is_full(&self) -> bool {
        self.free().is_some_and(|free| free < LEFT)
    }

    /// Octets that are free on the disk.
    pub(super) fn free(&self) -> Option<u64> {
        statvfs(&self.files[0].path).ok().map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize))
    }
}

/// Make LMDB's table of read transactions, with all of its blocks. LMDB makes a sparse file of it and writes to that
/// through a map: on a full disk a new reader would end the process by SIGBUS.
///
/// The caller holds the lock of the data directory. What is in the table stays.
pub(super) fn reserve_lock_table(dir: &Path, readers: u32) -> io::Result<()> {
    let path = dir.join(LOCK_FILE);
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    let wanted = HEAD + READER * u64::from(readers);
    match fallocate(&file, FallocateFlags::empty(), 0, wanted) {
        Ok(()) => Ok(()),
        // Such a file system has other ways to promise room, or none.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

//! What can go wrong with the store, and whose business it is.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use heed::MdbError;

/// Why the store cannot be opened. Displayed as one line that says what to do.
#[derive(Debug)]
pub enum OpenError {
    /// Another daemon uses the data directory.
    InUse {
        /// The data directory.
        dir: PathBuf,
        /// Its process number, if it left one.
        process: Option<u32>,
    },
    /// What lies there is no store of ours, or one of a later version. It was left as it was.
    Format {
        /// The data directory.
        dir: PathBuf,
        /// What was found.
        found: Found,
    },
    /// The data directory cannot be made or written.
    NotWritable {
        /// The data directory.
        dir: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Anything else that the system or LMDB refuses.
    Failed {
        /// The data directory.
        dir: PathBuf,
        /// What was said.
        error: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What was found in place of our store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Somebody else's file.
    Foreign,
    /// A store in the format of another version of this program.
    Version(u32),
    /// A store of ours with something missing.
    Incomplete,
    /// A store of ours of which this page cannot be what LMDB has written.
    Damaged(u64),
    /// A redo log that lacks something that was in it.
    Log,
    /// Another data file than that of the redo log beside it, which has changes that this one may lack.
    Other,
}

impl OpenError {
    pub(super) fn io(dir: &Path, error: io::Error) -> Self {
        use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
        let dir = dir.to_owned();
        match error.kind() {
            NotFound | PermissionDenied | ReadOnlyFilesystem | NotADirectory => {
                Self::NotWritable { dir, error }
            }
            _ if out_of_space(&error) => {
                Self::Failed { dir, error: format!("{error}; make room on the disk").into() }
            }
            io::ErrorKind::OutOfMemory => {
                let text = format!("{error}; so much cannot be mapped here: lower map_size");
                Self::Failed { dir, error: text.into() }
            }
            _ => Self::Failed { dir, error: error.into() },
        }
    }

    pub(super) fn format(dir: &Path, found: Found) -> Self {
        Self::Format { dir: dir.to_owned(), found }
    }

    pub(super) fn heed(dir: &Path, error: heed::Error) -> Self {
        match error {
            heed::Error::Io(error) => Self::io(dir, error),
            heed::Error::Mdb(MdbError::Invalid | MdbError::VersionMismatch | MdbError::Incompatible) => {
                Self::format(dir, Found::Foreign)
            }
            heed::Error::EnvAlreadyOpened => {
                Self::InUse { dir: dir.to_owned(), process: Some(std::process::id()) }
            }
            error => Self::Failed { dir: dir.to_owned(), error: error.into() },
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { dir, process } => {
                write!(f, "the data directory {} is in use", dir.display())?;
                if let Some(process) = process {
                    write!(f, " by process {process}")?;
                }
                f.write_str(": stop that daemon first, or give this one its own with --data-dir")
            }
            Self::Format { dir, found } => {
                write!(f, "the data directory {} holds ", dir.display())?;
                match found {
                    Found::Foreign => f.write_str(
                        "a data.mdb of another program, or one damaged beyond recognition: choose another \
                         --data-dir, or restore it from a backup",
                    ),
                    Found::Damaged(page) => write!(
                        f,
                        "a damaged data.mdb (page {page} is not what it was written as): restore it from a \
                         backup, or remove it and have every backend push its list (ctl_mboxlist -m)"
                    ),
                    Found::Log => f.write_str(
                        "a damaged redo.log, which has changes that data.mdb lacks: restore data.mdb from a \
                         backup and remove redo.log; or remove both and have every backend push its list \
                         (ctl_mboxlist -m)"
                    ),
                    Found::Other => f.write_str(
                        "another data.mdb than the one that its redo.log was written for: if it was restored from \
                         a backup, remove redo.log, whose changes are lost then; else put the right one back"
                    ),
                    Found::Version(version) => write!(
                        f,
                        "a directory in format {version}, and this version knows format {}: \
                         use the version of mupdated that wrote it, or a newer one",
                        super::tables::FORMAT
                    ),
                    Found::Incomplete => f.write_str(
                        "a damaged data.mdb (a table is missing): restore it from a backup, or remove it",
                    ),
                }
            }
            Self::NotWritable { dir, error } => write!(
                f,
                "cannot write the data directory {} ({error}): give it to the user that runs the daemon, \
                 or choose another with --data-dir",
                dir.display()
            ),
            Self::Failed { dir, error } => {
                write!(f, "cannot open the data directory {}: {error}", dir.display())
            }
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotWritable { error, .. } => Some(error),
            Self::Failed { error, .. } => Some(&**error),
            Self::InUse { .. } | Self::Format { .. } => None,
        }
    }
}

/// What keeps changes from being written until an operator does something about it. Nothing is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// The map is full.
    MapFull,
    /// The disk is, or the quota is used up.
    DiskFull,
    /// `data.mdb` is no longer where it was opened: what is written to it will not be there after a restart.
    Gone,
}

impl Obstacle {
    /// What can be done about it.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::MapFull => "raise map_size and restart",
            Self::DiskFull => "make room",
            Self::Gone => "put the data directory back as it was",
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MapFull => "the store is full",
            Self::DiskFull => "the disk is full",
            Self::Gone => "the data directory is gone",
        })
    }
}

/// Why the store could not be read, or a change could not be staged.
#[derive(Debug)]
pub enum StoreError {
    /// Nothing can be written at present.
    Obstacle(Obstacle),
    /// The name makes a key that LMDB cannot hold: a caller passed by [`Store::name_limit`](super::Store::name_limit).
    NameTooLong,
    /// What was read is not what this program writes: the file is damaged.
    Corrupt(&'static str),
    /// LMDB or the system refused.
    Lmdb(heed::Error),
    /// The redo log cannot be written, or the data file be synced.
    Log(io::Error),
}

impl From<heed::Error> for StoreError {
    fn from(error: heed::Error) -> Self {
        match error {
            heed::Error::Mdb(MdbError::MapFull) => Self::Obstacle(Obstacle::MapFull),
            heed::Error::Io(error) if out_of_space(&error) => Self::Obstacle(Obstacle::DiskFull),
            error => Self::Lmdb(error),
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Obstacle(obstacle) => obstacle.fmt(f),
            Self::NameTooLong => f.write_str("mailbox name is too long"),
            Self::Corrupt(what) => write!(f, "the stored {what} is damaged"),
            Self::Lmdb(error) => write!(f, "storage error: {error}"),
            Self::Log(error) => write!(f, "storage error: {error}"),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Lmdb(error) => Some(error),
            Self::Log(error) => Some(error),
            Self::Obstacle(_) | Self::NameTooLong | Self::Corrupt(_) => None,
        }
    }
}

pub(super) fn out_of_space(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Why a transaction was not committed.
#[derive(Debug)]
pub enum CommitError {
    /// The transaction is gone as if it had never been, and the next one may succeed.
    Obstacle(Obstacle),
    /// What is on the disk is unknown: the daemon has to stop and answer nobody.
    Fatal(StoreError),
}

impl From<StoreError> for CommitError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Obstacle(obstacle) => Self::Obstacle(obstacle),
            error => Self::Fatal(error),
        }
    }
}

impl fmt::Display for CommitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Obstacle(obstacle) => obstacle.fmt(f),
            Self::Fatal(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CommitError {}

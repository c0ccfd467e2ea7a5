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
}

impl OpenError {
    pub(super) fn io(dir: &Path, error: io::Error) -> Self {
        use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
        let dir = dir.to_owned();
        match error.kind() {
            NotFound | PermissionDenied | ReadOnlyFilesystem | NotADirectory => {
                Self::NotWritable { dir, error }
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
                    Found::Foreign => f.write_str("a data.mdb of another program: choose another --data-dir"),
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

/// Why the store could not be read, or a change could not be staged.
#[derive(Debug)]
pub enum StoreError {
    /// The map is full: the operator has to raise `map_size`. Nothing is damaged.
    Full,
    /// The name makes a key that LMDB cannot hold: a caller passed by [`Store::name_limit`](super::Store::name_limit).
    NameTooLong,
    /// What was read is not what this program writes: the file is damaged.
    Corrupt(&'static str),
    /// LMDB or the system refused.
    Lmdb(heed::Error),
}

impl From<heed::Error> for StoreError {
    fn from(error: heed::Error) -> Self {
        match error {
            heed::Error::Mdb(MdbError::MapFull) => Self::Full,
            error => Self::Lmdb(error),
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("storage is full"),
            Self::NameTooLong => f.write_str("mailbox name is too long"),
            Self::Corrupt(what) => write!(f, "the stored {what} is damaged"),
            Self::Lmdb(error) => write!(f, "storage error: {error}"),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Lmdb(error) => Some(error),
            Self::Full | Self::NameTooLong | Self::Corrupt(_) => None,
        }
    }
}

/// Why a transaction was not committed.
#[derive(Debug)]
pub enum CommitError {
    /// The map is full. The transaction is gone as if it had never been, and the next one may succeed.
    Full,
    /// What is on the disk is unknown: the daemon has to stop and answer nobody.
    Fatal(StoreError),
}

impl From<StoreError> for CommitError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full => Self::Full,
            error => Self::Fatal(error),
        }
    }
}

impl fmt::Display for CommitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => StoreError::Full.fmt(f),
            Self::Fatal(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CommitError {}

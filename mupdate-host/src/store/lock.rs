//! The data directory and its lock: one daemon at a time.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::error::OpenError;

/// The name of the lock file in the data directory.
const LOCK_FILE: &str = "mupdated.lock";

/// A data directory that no other process uses as long as this lives (`flock`: the system lets go of it
/// however the process ends).
#[derive(Debug)]
pub(super) struct Claim {
    file: File,
}

impl Claim {
    /// Make the directory, readable by its owner only. One that is there keeps its mode.
    pub(super) fn make_dir(dir: &Path) -> Result<(), OpenError> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => OpenError::NotWritable { dir: dir.to_owned(), error },
            _ => OpenError::io(dir, error),
        })
    }

    /// Claim a directory that was used before; `None` if it never was. Makes nothing.
    pub(super) fn take_existing(dir: &Path) -> Result<Option<Self>, OpenError> {
        match OpenOptions::new().read(true).write(true).open(path(dir)) {
            Ok(file) => Self::lock(dir, file).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(OpenError::io(dir, error)),
        }
    }

    /// Claim a directory, making its lock file.
    pub(super) fn take(dir: &Path) -> Result<Self, OpenError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(path(dir)).map_err(|error| OpenError::io(dir, error))?;
        Self::lock(dir, file)
    }

    fn lock(dir: &Path, file: File) -> Result<Self, OpenError> {
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let read = (&file).take(32).read_to_string(&mut text);
                let process = read.ok().and_then(|_| text.trim().parse().ok());
                Err(OpenError::InUse { dir: dir.to_owned(), process })
            }
            Err(TryLockError::Error(error)) => Err(OpenError::io(dir, error)),
        }
    }

    /// Leave our process number in the lock file, for whoever comes second.
    pub(super) fn sign(&mut self) -> io::Result<()> {
        // In place: where the disk is full, an empty file could not be written again.
        let line = format!("{}\n", std::process::id());
        self.file.rewind()?;
        self.file.write_all(line.as_bytes())?;
        self.file.set_len(line.len() as u64)
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join(LOCK_FILE)
}

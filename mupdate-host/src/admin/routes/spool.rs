//! Files of the data directory that nobody sees: what is too long to be held in memory.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// Room on the disk that such files leave to the daemon.
pub(super) const LEFT: u64 = 64 << 20;

/// A file that goes when it is closed: it has no name as soon as it is open, so nothing is left behind. A name of one that
/// was is taken.
pub(super) fn nameless(data_dir: &Path, name: &str) -> io::Result<File> {
    let path = data_dir.join(name);
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

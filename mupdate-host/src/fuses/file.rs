//! The files of fuses that have blown: `fuses/NAME` in the data directory, one for each principal. An operator releases
//! a fuse by removing its file, which is what `fuse release` does.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use mupdate_core::directory::Mass;
use sha2::{Digest, Sha256};
use tracing::warn;

use crate::users;

/// Longer names of files are not allowed everywhere.
const LONGEST: usize = 200;

/// Where a name that is too long is cut, with a hash of it behind.
const CUT: char = '~';

/// A fuse that has blown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blown {
    /// Whose.
    pub principal: String,
    /// What is held.
    pub kinds: BTreeSet<Mass>,
    /// Since when, as far as it can be told.
    pub since: Option<SystemTime>,
}

fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("fuses")
}

/// The file of a principal's fuse: a name without anything that means something to a file system or a shell.
pub(super) fn path(data_dir: &Path, principal: &str) -> PathBuf {
    let mut name = String::new();
    for octet in principal.bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'@' => name.push(char::from(octet)),
            // Not at the start: there it hides a file, or means a directory.
            b'.' if !name.is_empty() => name.push('.'),
            _ => _ = write!(name, "%{octet:02x}"),
        }
    }
    if name.len() > LONGEST {
        name.truncate(LONGEST - 70);
        name.push(CUT);
        Sha256::digest(principal).iter().for_each(|octet| _ = write!(name, "{octet:02x}"));
    }
    folder(data_dir).join(name + ".fuse")
}

/// Writes the file of a fuse, durably.
pub(super) fn write(data_dir: &Path, principal: &str, kinds: &BTreeSet<Mass>) -> io::Result<()> {
    let folder = folder(data_dir);
    if let Err(error) = DirBuilder::new().mode(0o700).create(&folder)
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        return Err(error);
    }
    File::open(data_dir)?.sync_all()?;
    let mut text = format!("{principal}\n");
    kinds.iter().for_each(|kind| _ = writeln!(text, "{kind}"));
    users::replace_file(&folder, &path(data_dir, principal), text.as_bytes())
}

/// Removes the file of a fuse; says whether there was one.
///
/// # Errors
/// The operating system refuses.
pub fn remove(data_dir: &Path, principal: &str) -> io::Result<bool> {
    match fs::remove_file(path(data_dir, principal)) {
        Ok(()) => File::open(folder(data_dir))?.sync_all().map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the fuse of a principal has a file; if it cannot be told, it has.
pub(super) fn exists(data_dir: &Path, principal: &str) -> bool {
    path(data_dir, principal).try_exists().unwrap_or(true)
}

/// All fuses that have blown, sorted.
///
/// # Errors
/// The operating system refuses.
pub fn list(data_dir: &Path) -> io::Result<Vec<Blown>> {
    let entries = match fs::read_dir(folder(data_dir)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let file = entry?.path();
        // What else lies there was never finished, or is somebody else's.
        if file.extension().is_none_or(|extension| extension != "fuse") {
            continue;
        }
        match read(data_dir, &file)? {
            Some(blown) => found.push(blown),
            None => warn!(file = %file.display(), "this is no file of a fuse, and is passed over"),
        }
    }
    found.sort_by(|a, b| a.principal.cmp(&b.principal));
    Ok(found)
}

/// The fuse of a file; `None` if it says nobody's name, or another one's.
fn read(data_dir: &Path, file: &Path) -> io::Result<Option<Blown>> {
    let text = String::from_utf8_lossy(&fs::read(file)?).into_owned();
    let mut lines = text.lines();
    let principal = lines.next().unwrap_or_default();
    if path(data_dir, principal) != file {
        return Ok(None);
    }
    let mut kinds: BTreeSet<Mass> =
        lines.filter_map(|line| Mass::ALL.into_iter().find(|kind| kind.as_str() == line)).collect();
    if kinds.is_empty() {
        kinds.extend(Mass::ALL);
    }
    let since = fs::metadata(file)?.modified().ok();
    Ok(Some(Blown { principal: principal.to_owned(), kinds, since }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_written_listed_and_removed() {
        let dir = tempfile::tempdir().expect("a directory");
        let data = dir.path();
        assert_eq!(list(data).expect("readable"), []);
        let long = "é".repeat(127);
        let names =
            ["be1", "a b", "../../etc/passwd", ".hidden", "..", "be1.example.org", "%41", "A", &long, "x~y"];
        for name in names {
            write(data, name, &BTreeSet::from([Mass::Takeover])).expect("written");
            assert_eq!(path(data, name).parent(), Some(folder(data).as_path()), "{name}");
        }
        write(data, "be1", &BTreeSet::from(Mass::ALL)).expect("written again");
        fs::write(folder(data).join("half.new"), "x").expect("written");
        fs::write(folder(data).join("other.fuse"), "x\n").expect("written");
        let listed = list(data).expect("readable");
        let mut sorted = names;
        sorted.sort_unstable();
        assert!(listed.iter().map(|blown| blown.principal.as_str()).eq(sorted));
        for Blown { principal, kinds, since } in &listed {
            assert_eq!(kinds.len(), if principal == "be1" { 2 } else { 1 });
            assert!(since.is_some() && exists(data, principal));
        }
        for name in names {
            assert!(remove(data, name).expect("removed"));
            assert!(!remove(data, name).expect("gone already"));
            assert!(!exists(data, name));
        }
        assert_eq!(list(data).expect("readable"), []);
    }

    #[test]
    fn what_says_no_kind_holds_all() {
        let dir = tempfile::tempdir().expect("a directory");
        write(dir.path(), "be1", &BTreeSet::new()).expect("written");
        assert_eq!(list(dir.path()).expect("readable")[0].kinds, BTreeSet::from(Mass::ALL));
    }
}

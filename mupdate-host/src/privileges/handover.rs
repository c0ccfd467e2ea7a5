//! Before root is given up: what it has made becomes the user's who goes on.
//!
//! Who can write to the data directory can put links there, so only what is ours by name and by its kind changes hands,
//! and only what is root's does.

use std::{fs, io, path::Path};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, chownat, fstat, open},
    io::Errno,
};

use super::Account;
use crate::exit::{Code, Fatal};

/// The folder in it of fuses that are blown.
const FUSES: &str = "fuses";

/// What can be in a data directory.
const FILES: [&str; 6] = ["mupdated.lock", "data.mdb", "redo.log", "lock.mdb", "users", "first-password"];

/// Give the data directory, what we have put into it, and these sockets to the account.
///
/// # Errors
/// The directory has other things in it than ours, or the system refuses.
pub fn hand_over<'a>(
    data_dir: &Path,
    sockets: impl IntoIterator<Item = &'a Path>,
    account: &Account,
) -> Result<(), Fatal> {
    let failed = |path: &Path, error: io::Error| {
        let advice = format!("chown it to {}", account.name());
        Fatal::io("hand over", path, &error, &advice)
    };
    if !is_ours(data_dir).map_err(|error| failed(data_dir, error))? {
        let text = format!(
            "{} belongs to root, and what is in it is not ours; name a data_dir of its own, or chown it to {}",
            data_dir.display(),
            account.name()
        );
        return Err(Fatal::new(Code::Config, text));
    }
    let paths = FILES.iter().map(|name| (data_dir.join(name), FileType::RegularFile));
    let fuses = data_dir.join(FUSES);
    let blown = fs::read_dir(&fuses).into_iter().flatten().filter_map(Result::ok);
    let blown = blown.map(|entry| (entry.path(), FileType::RegularFile));
    let sockets = sockets.into_iter().map(|path| (path.to_owned(), FileType::Socket));
    let directories = [fuses.clone(), data_dir.to_owned()].map(|path| (path, FileType::Directory));
    for (path, kind) in paths.chain(blown).chain(sockets).chain(directories) {
        give(&path, kind, account).map_err(|error| failed(&path, error))?;
    }
    Ok(())
}

/// Somebody else's directory is none of root's to give; one of root's is if it is empty, or was used as one before.
fn is_ours(data_dir: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    if fs::metadata(data_dir)?.uid() != 0 {
        return Ok(true);
    }
    let mut empty = true;
    for entry in fs::read_dir(data_dir)? {
        let name = entry?.file_name();
        if FILES.iter().any(|file| name == *file) {
            return Ok(true);
        }
        empty = false;
    }
    Ok(empty)
}

fn give(path: &Path, kind: FileType, account: &Account) -> io::Result<()> {
    // A data directory may be a link to where the disk is, of the operator's own. Nothing in it may.
    let follow = if kind == FileType::Directory && !path.ends_with(FUSES) {
        OFlags::DIRECTORY
    } else {
        OFlags::NOFOLLOW
    };
    let file = match open(path, OFlags::PATH | OFlags::CLOEXEC | follow, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        opened => opened?,
    };
    let stat = fstat(&file)?;
    // A second link to a file of root's is the trick to get at it.
    let linked = kind == FileType::RegularFile && stat.st_nlink != 1;
    if stat.st_uid == 0 && FileType::from_raw_mode(stat.st_mode) == kind && !linked {
        let (uid, gid) = account.owner();
        chownat(&file, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;
    use crate::config::Config;

    fn nobody() -> Option<Account> {
        if !rustix::process::geteuid().is_root() {
            println!("SKIPPED: only root has something to hand over");
            return None;
        }
        Account::to_become(&Config::parse("user = 'nobody'").expect("settings")).expect("there is one")
    }

    #[test]
    fn what_is_ours_changes_hands_and_nothing_else_does() {
        let Some(nobody) = nobody() else { return };
        let (dir, elsewhere) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("another"));
        let secret = elsewhere.path().join("shadow");
        fs::write(&secret, "secret").expect("it is ours");
        let file = |name| dir.path().join(name);
        for name in ["data.mdb", "redo.log"] {
            fs::write(file(name), "").expect("it is ours");
        }
        fs::write(file("notes"), "").expect("it is ours");
        symlink(&secret, file("users")).expect("it is ours");
        let linked = elsewhere.path().join("linked");
        fs::write(&linked, "secret").expect("it is ours");
        fs::hard_link(&linked, file("first-password")).expect("the same disk");
        hand_over(dir.path(), [], &nobody).expect("we are root");
        let owner = |path: &Path| fs::metadata(path).expect("there").uid();
        let (uid, _) = nobody.owner();
        let given = [owner(dir.path()), owner(&file("data.mdb")), owner(&file("redo.log"))];
        assert_eq!(given, [uid.as_raw(); 3]);
        assert_eq!([owner(&secret), owner(&linked), owner(&file("notes"))], [0; 3]);
        hand_over(dir.path(), [], &nobody).expect("again");
    }

    #[test]
    fn a_directory_full_of_other_things_stays_roots() {
        let Some(nobody) = nobody() else { return };
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("passwd"), "").expect("it is ours");
        let fatal = hand_over(dir.path(), [], &nobody).expect_err("not ours");
        assert_eq!(fatal.code, Code::Config);
        assert_eq!(fs::metadata(dir.path()).expect("there").uid(), 0);
        fs::write(dir.path().join("mupdated.lock"), "").expect("it is ours");
        hand_over(dir.path(), [], &nobody).expect("it was a data directory before");
    }
}

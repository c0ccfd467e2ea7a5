//! With how little the daemon makes do: whom it runs as, and what of it the disk and other users see.
//!
//! `docs/security.md` says against whom that helps, and against whom it does not.
//!
//! What a thread is allowed is its own affair and that of the threads it starts, so all of this comes before any other
//! thread does.

mod account;
mod confine;
mod handover;

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use rustix::{
    fs::Mode,
    process::{DumpableBehavior, Resource, Rlimit, getrlimit, setrlimit, umask},
    thread::set_no_new_privs,
};
use tracing::warn;

pub(crate) use self::handover::hand_over;
pub use self::{
    account::Account,
    confine::{Reach, confine},
};

/// What this process makes is its user's alone, unless it says otherwise.
const UMASK: Mode = Mode::RWXG.union(Mode::RWXO);

/// Whatever the process makes from here on is for its user alone.
pub fn make_nothing_for_others() {
    umask(UMASK);
}

/// For good: no program that this process becomes is given more than it has, and its memory, with keys and passwords in
/// it, is neither left on the disk by a crash nor looked at by other processes of its user.
///
/// A system without these goes without; it is not told often, and so is a warning.
pub fn keep_secrets() {
    let no_core = Rlimit { current: Some(0), maximum: getrlimit(Resource::Core).maximum };
    let done = [
        ("core dumps", setrlimit(Resource::Core, no_core)),
        ("looks into memory", rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)),
        ("programs with privileges", set_no_new_privs(true)),
    ];
    for (what, done) in done {
        if let Err(error) = done {
            warn!(%error, "{what} cannot be ruled out");
        }
    }
}

/// What is wrong with who may get at the data directory, a sentence each; nothing of one that is not there.
pub fn data_dir_warnings(dir: &Path) -> Vec<String> {
    let Ok(metadata) = fs::metadata(dir) else { return Vec::new() };
    let (mode, shown) = (metadata.mode(), dir.display());
    let mut warnings = Vec::new();
    if mode & 0o022 != 0 {
        warnings.push(format!("others can replace the database and the users in {shown}; chmod 700 {shown}"));
    } else if mode & 0o055 != 0 {
        warnings.push(format!("others can look into {shown}; chmod 700 {shown}"));
    }
    warnings
}

/// What SIGHUP will not be able to read, a sentence.
pub fn config_warning(file: Option<&Path>) -> Option<String> {
    let file = file?;
    let error: io::Error = fs::File::open(file).err()?;
    Some(format!("SIGHUP cannot read {}: {error}; let the daemon's user read it", file.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_directory_that_others_get_at_is_told_of() {
        let dir = tempfile::tempdir().expect("a directory");
        let warnings = |mode| {
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).expect("it is ours");
            data_dir_warnings(dir.path())
        };
        assert_eq!(warnings(0o700), Vec::<String>::new());
        assert!(warnings(0o750)[0].contains("look into"));
        assert!(warnings(0o701)[0].contains("look into"));
        assert!(warnings(0o770)[0].contains("replace"));
        assert!(warnings(0o777)[0].contains("replace"));
        assert!(data_dir_warnings(&dir.path().join("missing")).is_empty());
    }

    #[test]
    fn a_configuration_that_cannot_be_read_again_is_told_of() {
        assert_eq!(config_warning(None), None);
        assert_eq!(config_warning(Some(Path::new("/dev/null"))), None);
        let warning = config_warning(Some(Path::new("/nowhere/m.toml"))).expect("a warning");
        assert!(warning.starts_with("SIGHUP cannot read /nowhere/m.toml: "), "{warning}");
    }
}

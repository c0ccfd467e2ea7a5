//! Reading and replacing the users file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

use tracing::warn;
use zeroize::Zeroizing;

use super::{Keys, NewKeys, UsersError, first, parse_line, path, user_name};
use crate::scram::prepare;

/// What [`add`] has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// The user is new.
    New,
    /// The user was there, and has another password, or none any more.
    Changed,
}

/// Gives a user this password; makes the user, the file and the data directory where they are missing. `new` says what is
/// kept of it.
///
/// # Errors
/// The name or password is not allowed, the users file has wrong lines, or the operating system refuses.
pub fn add(data_dir: &Path, name: &str, password: &[u8], new: &NewKeys) -> Result<Added, UsersError> {
    let name = user_name(name).map_err(UsersError::Name)?;
    let password: Zeroizing<Vec<u8>> = prepare(password).map_err(UsersError::Password)?;
    add_one(data_dir, &name, new.of(&password)?)
}

/// Makes a user without a password, or takes the password from one who is there.
///
/// # Errors
/// As [`add`].
pub fn add_without_password(data_dir: &Path, name: &str) -> Result<Added, UsersError> {
    add_one(data_dir, &user_name(name).map_err(UsersError::Name)?, Keys::default())
}

fn add_one(data_dir: &Path, name: &str, keys: Keys) -> Result<Added, UsersError> {
    let [new, _] = add_all(data_dir, &BTreeMap::from([(name, keys)]), true)?;
    Ok(if new == 0 { Added::Changed } else { Added::New })
}

/// Puts these keys into the users file, all of them or none; how many users are new, and how many were there. The
/// names have to be in the form that [`user_name`] gives.
///
/// # Errors
/// Without `replace`, a user is there already; the users file has wrong lines, or the operating system refuses.
pub fn add_all(
    data_dir: &Path,
    users: &BTreeMap<&str, Keys>,
    replace_old: bool,
) -> Result<[usize; 2], UsersError> {
    make_dir(data_dir)?;
    let _lock = lock(data_dir)?;
    let file = path(data_dir);
    let text = match read(&file) {
        Err(UsersError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => String::new(),
        read => read?,
    };
    let lines = users.iter().map(|(name, keys)| (*name, Some(format!("{name}:{keys}")))).collect();
    let (text, found) = edit_all(&file, &text, &lines)?;
    if !replace_old && !found.is_empty() {
        return Err(UsersError::There(found.into_iter().map(str::to_owned).collect()));
    }
    let counts = [users.len() - found.len(), found.len()];
    replace(data_dir, &file, text.as_bytes())?;
    for name in users.keys() {
        first::forget_password(data_dir, name);
    }
    Ok(counts)
}

/// Removes a user; says whether there was one of this name.
///
/// # Errors
/// There is no users file, it has wrong lines, or the operating system refuses.
pub fn remove(data_dir: &Path, name: &str) -> Result<bool, UsersError> {
    let name = user_name(name).map_err(UsersError::Name)?;
    let file = path(data_dir);
    read(&file)?;
    let _lock = lock(data_dir)?;
    let (text, found) = edit(&file, &read(&file)?, &name, None)?;
    if found {
        replace(data_dir, &file, text.as_bytes())?;
        first::forget_password(data_dir, &name);
    }
    Ok(found)
}

/// The text with this user's line replaced, removed, or put at the end; everything else stays as it is.
pub(super) fn edit(
    file: &Path,
    text: &str,
    name: &str,
    line: Option<&str>,
) -> Result<(String, bool), UsersError> {
    let lines = BTreeMap::from([(name, line.map(str::to_owned))]);
    let (edited, found) = edit_all(file, text, &lines)?;
    Ok((edited, !found.is_empty()))
}

/// The same for many users; and which of them were there.
fn edit_all<'a>(
    file: &Path,
    text: &str,
    lines: &BTreeMap<&'a str, Option<String>>,
) -> Result<(String, BTreeSet<&'a str>), UsersError> {
    super::Users::parse(text).map_err(|lines| UsersError::Wrong { path: file.to_owned(), lines })?;
    let (mut edited, mut found) = (String::with_capacity(text.len() + 256), BTreeSet::new());
    let mut push = |line: &str| {
        edited.push_str(line);
        edited.push('\n');
    };
    for old in text.lines() {
        let user = parse_line(old).ok().flatten().map(|(user, _)| user);
        match user.and_then(|user| lines.get_key_value(user.as_ref())) {
            None => push(old),
            Some((name, line)) => {
                found.insert(*name);
                line.as_deref().into_iter().for_each(&mut push);
            }
        }
    }
    lines
        .iter()
        .filter(|(name, _)| !found.contains(*name))
        .filter_map(|(_, line)| line.as_deref())
        .for_each(push);
    Ok((edited, found))
}

/// The text of the users file. Warns when others could read it too.
pub(super) fn read(file: &Path) -> Result<String, UsersError> {
    let failed = |error| UsersError::Io { doing: "read", path: file.to_owned(), error };
    let text = std::fs::read_to_string(file).map_err(failed)?;
    let mode = std::fs::metadata(file).map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        warn!(file = %file.display(), mode = format!("{:o}", mode & 0o777), "others may read the users file; chmod 600 it");
    }
    Ok(text)
}

/// Makes the data directory, for its owner alone, where it is missing.
pub(super) fn make_dir(data_dir: &Path) -> Result<(), UsersError> {
    DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(|error| UsersError::Io {
        doing: "create",
        path: data_dir.to_owned(),
        error,
    })
}

/// Held while the users file is changed, so that no change is lost between two programs.
pub(super) fn lock(data_dir: &Path) -> Result<File, UsersError> {
    let failed = |error| UsersError::Io { doing: "lock", path: data_dir.to_owned(), error };
    let dir = File::open(data_dir).map_err(failed)?;
    dir.lock().map_err(failed)?;
    Ok(dir)
}

/// Replaces a file as a whole, durably, for its owner alone. What root writes belongs to the owner of the data directory:
/// the daemon has to be able to read it.
pub(super) fn replace(data_dir: &Path, file: &Path, content: &[u8]) -> Result<(), UsersError> {
    let failed = |error| UsersError::Io { doing: "write", path: file.to_owned(), error };
    replace_file(data_dir, file, content).map_err(failed)
}

/// The same for any file in a directory of ours.
pub(crate) fn replace_file(directory: &Path, file: &Path, content: &[u8]) -> io::Result<()> {
    let new = file.with_extension("new");
    write_new(directory, &new, content).and_then(|()| std::fs::rename(&new, file)).inspect_err(|_| {
        // What is left of the attempt; it may never have been made.
        let _ = std::fs::remove_file(&new);
    })?;
    File::open(directory)?.sync_all()
}

fn write_new(data_dir: &Path, new: &Path, content: &[u8]) -> io::Result<()> {
    let mut out = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(new)?;
    // The mode above counts only for a file that was not there.
    out.set_permissions(Permissions::from_mode(0o600))?;
    let (owner, ours) = (std::fs::metadata(data_dir)?, out.metadata()?);
    if (owner.uid(), owner.gid()) != (ours.uid(), ours.gid()) && ours.uid() == 0 {
        fchown(&out, Some(owner.uid()), Some(owner.gid()))?;
    }
    out.write_all(content)?;
    out.sync_all()
}

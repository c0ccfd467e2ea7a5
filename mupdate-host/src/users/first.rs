//! The first start: a user to log in with, before anybody has made one.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use tracing::{info, warn};
use zeroize::Zeroizing;

use super::{NewKeys, UsersError, file, path};

/// The name of the user that the first start makes; also what Cyrus's documentation calls it.
pub const FIRST_USER: &str = "murder";

const FILE: &str = "first-password";

/// Letters and digits that cannot be taken for each other, 32 of them.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Five bits each.
const LENGTH: usize = 24;

/// The user that the first start has made.
pub struct FirstUser {
    /// Its password, to be shown once.
    pub password: Zeroizing<String>,
    /// The file that keeps the password; only its owner can read it.
    pub file: PathBuf,
}

/// Where the data directory has no users file: makes one with the user [`FIRST_USER`] and a random password, and keeps the
/// password in the file `first-password` until it is changed. Where there is one, even without users, nothing is done.
///
/// # Errors
/// The operating system refuses a file or random octets.
pub fn first_start(data_dir: &Path) -> Result<Option<FirstUser>, UsersError> {
    file::make_dir(data_dir)?;
    let _lock = file::lock(data_dir)?;
    let users = path(data_dir);
    match std::fs::symlink_metadata(&users) {
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(UsersError::Io { doing: "read", path: users, error }),
    }
    let mut random = Zeroizing::new([0; LENGTH]);
    getrandom::fill(&mut *random).map_err(UsersError::Random)?;
    let letters = random.iter().map(|octet| char::from(ALPHABET[usize::from(octet & 31)]));
    let password = Zeroizing::new(letters.collect::<String>());
    let keys = NewKeys::default().of(password.as_bytes())?;
    // The password first: a crash between the two leaves no user with a password that nobody knows.
    let kept = data_dir.join(FILE);
    file::replace(data_dir, &kept, format!("{}\n", *password).as_bytes())?;
    file::replace(data_dir, &users, format!("{FIRST_USER}:{keys}\n").as_bytes())?;
    Ok(Some(FirstUser { password, file: kept }))
}

/// The kept password is of no use once the first user has another, or is gone.
pub(super) fn forget_password(data_dir: &Path, name: &str) {
    if name != FIRST_USER {
        return;
    }
    let kept = data_dir.join(FILE);
    match std::fs::remove_file(&kept) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => warn!(file = %kept.display(), %error, "cannot remove the password of the first start"),
    }
}

impl FirstUser {
    /// The lines that each backend and frontend needs in its `imapd.conf`. The port is one of them: Cyrus's tools have no
    /// default for it.
    pub fn imapd_conf(&self, server_name: &str, port: u16) -> String {
        format!(
            "mupdate_server: {server_name}:{port}\nmupdate_username: {FIRST_USER}\nmupdate_authname: {FIRST_USER}\n\
             mupdate_password: {}\n",
            *self.password
        )
    }

    /// Shows the password, this once, on standard output; the log says how to use it and where it is kept.
    pub fn announce(&self, server_name: &str, port: u16) {
        use std::io::Write;
        // Standard output may be closed; the password is in the file too.
        let _ = writeln!(
            io::stdout(),
            "First start: made the user {FIRST_USER} with a random password, shown here once and kept in {}.\n\
             For imapd.conf on each backend and frontend:\n\n{}",
            self.file.display(),
            self.imapd_conf(server_name, port)
        );
        info!(
            user = FIRST_USER,
            password_file = %self.file.display(),
            "first start: made a user; in imapd.conf of each backend and frontend set mupdate_username and \
             mupdate_authname to its name and mupdate_password to what is in the file"
        );
    }
}

impl fmt::Debug for FirstUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FirstUser").field("file", &self.file).finish_non_exhaustive()
    }
}

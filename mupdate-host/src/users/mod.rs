//! Who may log in: the file `users` in the data directory.
//!
//! A line per user, `name:SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey` (RFC 5803). A user can have keys for more than one
//! hash, with commas between them, or `*` instead: no password. Empty lines and lines starting with `#` are left alone. Only its owner can read it. It is replaced as a whole, so a reader sees the old or the new one, and never half.

mod file;
mod first;
#[cfg(feature = "harness")]
#[doc(hidden)]
pub mod harness;
pub mod import;
mod keys;
mod secret;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

pub(crate) use file::replace_file;
pub use file::{Added, add, add_all, add_without_password, remove};
pub use first::{FIRST_USER, FirstUser, first_start};
pub use keys::{Keys, NewKeys};
pub use secret::{LoginSecret, login_secret};

use crate::exit::{Code, Fatal};
use crate::scram::{self, Hash, ScramRecord};

/// Everybody who may log in, as read at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Users {
    keys: BTreeMap<String, Keys>,
    /// What [`usual`](Self::usual) says. Both are asked for with every connection, and found once.
    usual: BTreeMap<Hash, (u32, usize)>,
    /// What [`slowest`](Self::slowest) says, if anybody has a password.
    slowest: Option<(Hash, u32)>,
}

/// The users file in this data directory.
pub fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("users")
}

impl Users {
    /// Reads the users file.
    ///
    /// # Errors
    /// The file is missing or cannot be read, or a line of it is wrong.
    pub fn load(data_dir: &Path) -> Result<Self, UsersError> {
        let path = path(data_dir);
        let text = file::read(&path)?;
        Self::parse(&text).map_err(|lines| UsersError::Wrong { path, lines })
    }

    /// Reads the text of a users file.
    ///
    /// # Errors
    /// Every line that is wrong.
    pub fn parse(text: &str) -> Result<Self, Vec<WrongLine>> {
        let (mut users, mut wrong) = (BTreeMap::new(), Vec::new());
        for (index, line) in text.lines().enumerate() {
            match parse_line(line) {
                Ok(None) => {}
                Ok(Some((name, _))) if users.contains_key(name.as_ref()) => {
                    wrong.push(WrongLine { line: index + 1, reason: "this user has a line already".into() });
                }
                Ok(Some((name, keys))) => drop(users.insert(name.into_owned(), keys)),
                Err(reason) => wrong.push(WrongLine { line: index + 1, reason }),
            }
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        Ok(Self::of(users))
    }

    /// These users, and what is asked for of all of them.
    fn of(keys: BTreeMap<String, Keys>) -> Self {
        let usual = Hash::ALL.into_iter().filter_map(|hash| Some((hash, most(&keys, hash)?))).collect();
        let checks = keys.values().filter_map(Keys::for_password);
        let slowest = checks
            .map(|record| (record.iterations(), record.hash()))
            .max()
            .map(|(times, hash)| (hash, times));
        Self { keys, usual, slowest }
    }

    /// What is kept of this user's password. The name has to be in the form that [`user_name`] gives.
    pub fn get(&self, name: &str) -> Option<&Keys> {
        self.keys.get(name)
    }

    /// What a password that was sent is checked by. The name has to be in the form that [`user_name`] gives.
    pub fn password(&self, name: &str) -> Option<&ScramRecord> {
        self.get(name)?.for_password()
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }

    /// The slowest check of a password among them, as hash and iterations.
    pub fn slowest(&self) -> (Hash, u32) {
        self.slowest.unwrap_or((Hash::Sha256, scram::ITERATIONS))
    }

    /// What most keys for this hash look like, as iterations and octets of the salt; `None` if nobody has any.
    pub fn usual(&self, hash: Hash) -> Option<(u32, usize)> {
        self.usual.get(&hash).copied()
    }

    /// A warning if clients are offered a hash that some users with a password have no keys for. A client takes the best
    /// that is offered, whoever it is.
    pub fn uneven(&self) -> Option<String> {
        let lack = |hash| {
            let with_password = self.keys.iter().filter(|(_, keys)| !keys.records().is_empty());
            let lacking: Vec<&str> = with_password
                .filter(|(_, keys)| keys.of(hash).is_none())
                .map(|(name, _)| name.as_str())
                .collect();
            (self.usual(hash).is_some() && !lacking.is_empty()).then(|| {
                let more = lacking.len().saturating_sub(3);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                format!(
                    "{} is offered, but without keys for it are {}{more}",
                    hash.mechanism(),
                    lacking[..lacking.len().min(3)].join(", ")
                )
            })
        };
        let lacks: Vec<String> = Hash::ALL.into_iter().filter_map(lack).collect();
        (!lacks.is_empty()).then(|| format!("{}: give all users the same hashes", lacks.join("; ")))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Nobody may log in.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// What most keys for this hash look like.
fn most(keys: &BTreeMap<String, Keys>, hash: Hash) -> Option<(u32, usize)> {
    let mut counts = BTreeMap::<_, usize>::new();
    for record in keys.values().filter_map(|keys| keys.of(hash)) {
        *counts.entry((record.iterations(), record.salt().len())).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(look, _)| look)
}

/// The user and keys of a line; `None` where it has none.
fn parse_line(line: &str) -> Result<Option<(Cow<'_, str>, Keys)>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (name, keys) = line.split_once(':').ok_or("no colon after a user's name")?;
    Ok(Some((user_name(name)?, keys.parse()?)))
}

/// A user's name in the form in which names are kept and compared: SASLprep (RFC 4013).
///
/// # Errors
/// The name is empty, longer than 255 octets, or has a character that cannot stand in one.
pub fn user_name(name: &str) -> Result<Cow<'_, str>, &'static str> {
    let prepared =
        stringprep::saslprep(name).map_err(|_| "the user's name has a character that is not allowed")?;
    match prepared.as_ref() {
        "" => Err("the user's name is empty"),
        name if name.len() > 255 => Err("the user's name is longer than 255 octets"),
        name if name.starts_with('#') => Err("the user's name starts with #"),
        name if name.contains([':', ' ']) => Err("the user's name has a colon or a space"),
        _ => Ok(prepared),
    }
}

/// A line of the users file that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongLine {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it; never what stands in it.
    pub reason: String,
}

/// Why the users cannot be read or changed.
#[derive(Debug)]
pub enum UsersError {
    /// The operating system refused.
    Io {
        /// What was tried: "read", "write", "create", "lock".
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// Lines are wrong; never empty.
    Wrong {
        /// The users file.
        path: PathBuf,
        /// Every wrong line.
        lines: Vec<WrongLine>,
    },
    /// These users are there already; never empty.
    There(Vec<String>),
    /// The name cannot be a user's.
    Name(&'static str),
    /// The password cannot be one.
    Password(&'static str),
    /// The operating system gives no random octets.
    Random(getrandom::Error),
}

impl fmt::Display for UsersError {
    /// One line, without advice.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { doing, path, error } => write!(f, "cannot {doing} {}: {error}", path.display()),
            Self::Wrong { path, lines } => {
                let shown: Vec<String> = lines
                    .iter()
                    .take(3)
                    .map(|wrong| format!("line {}: {}", wrong.line, wrong.reason))
                    .collect();
                write!(f, "{}: {}", path.display(), shown.join(", "))?;
                match lines.len() {
                    ..=3 => Ok(()),
                    count => write!(f, ", and {} more", count - 3),
                }
            }
            Self::There(names) => {
                let shown = names.iter().take(10).map(String::as_str).collect::<Vec<_>>().join(", ");
                write!(f, "there already: {shown}")?;
                match names.len() {
                    ..=10 => Ok(()),
                    count => write!(f, " and {} more", count - 10),
                }
            }
            Self::Name(reason) | Self::Password(reason) => f.write_str(reason),
            Self::Random(error) => write!(f, "no random octets: {error}"),
        }
    }
}

impl std::error::Error for UsersError {}

impl From<UsersError> for Fatal {
    fn from(error: UsersError) -> Self {
        match &error {
            UsersError::Io { doing, path, error } => {
                Self::io(doing, path, error, "is --data-dir right? `user add NAME` makes a user")
            }
            UsersError::Wrong { .. } => {
                Self::new(Code::Data, format!("{error}; correct the line or remove it"))
            }
            UsersError::There(_) => {
                Self::new(Code::Data, format!("{error}; --replace gives them the new passwords"))
            }
            UsersError::Name(_) => Self::new(Code::Usage, format!("{error}; choose another name")),
            UsersError::Password(_) => Self::new(Code::Data, format!("{error}; choose another password")),
            UsersError::Random(_) => Self::new(Code::OsErr, format!("{error}; try again")),
        }
    }
}

#[cfg(test)]
mod tests;

//! Users and passwords from the database of Cyrus SASL, `/etc/sasldb2`, read from the text that its tools make of it.
//!
//! The database itself is Berkeley DB, LMDB or GDBM, as the distribution likes it. `db_dump` and `mdb_dump` write the
//! first two as the same kind of text (`dump.rs`). What `sasldblistusers2` writes has no passwords (`listing.rs`); it is
//! read so that it can be said who needs one.
//!
//! Nothing here prints a password or any other value of the database, and what was read is wiped.

mod dump;
#[cfg(feature = "harness")]
#[doc(hidden)]
pub mod harness;
mod listing;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use zeroize::Zeroizing;

use super::user_name;
use crate::scram::prepare;

/// The property that holds the password; other mechanisms have properties of their own.
const PASSWORD: &str = "userPassword";

/// A longer password is none, here as in `user add`.
const LONGEST: usize = 4096;

/// One property of one user, as the database has it.
struct Entry {
    /// Where it stands in the text, counted from 1.
    line: usize,
    user: String,
    realm: String,
    property: String,
    /// `None` where the text says no more than that there is one.
    value: Option<Zeroizing<Vec<u8>>>,
}

/// Whose users are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Realm<'a> {
    /// Those of this realm, whoever else is in others.
    Chosen(&'a str),
    /// Those of this realm, as nobody has chosen; who is in another realm too is in doubt then.
    Supposed(&'a str),
}

/// What a text has for one realm.
#[derive(Debug, Default)]
pub struct Import {
    /// The users and their passwords, both in the form in which they are kept.
    pub users: Passwords,
    /// What is not taken over, in the sequence of the lines.
    pub left: Vec<Left>,
    /// How many users have a password in each realm, wanted or not; in the form in which it can be printed.
    pub realms: BTreeMap<String, usize>,
    /// The text cannot have passwords: it is a list of users.
    pub is_listing: bool,
}

/// Users and their passwords, which are wiped.
#[derive(Default)]
pub struct Passwords(pub BTreeMap<String, Zeroizing<Vec<u8>>>);

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Something that is not taken over, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Where it stands, counted from 1.
    pub line: usize,
    /// The user's name, in the form in which it can be printed.
    pub user: String,
    /// The realm, likewise.
    pub realm: String,
    /// Why.
    pub why: Why,
}

/// Why something is not taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// The realm is another than the one that is wanted.
    OtherRealm,
    /// This property is no password; the user has one beside it.
    Property(String),
    /// This property is no password, and the user has none.
    NoPassword(String),
    /// The text is a list, and says no passwords.
    Listed,
    /// The same user has a password in the realm that was supposed, and it is not said which one is meant.
    TwoRealms,
    /// The same name stands in this line already.
    Twice(usize),
    /// The name or the password cannot be one here.
    Unfit(&'static str),
}

impl Why {
    /// Something that was wanted cannot be had; otherwise it was not asked for, or is not there.
    pub fn is_fault(&self) -> bool {
        matches!(self, Self::TwoRealms | Self::Twice(_) | Self::Unfit(_))
    }
}

impl fmt::Display for Left {
    /// `line 7: alice@example.org: why`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}@{}: ", self.line, self.user, self.realm)?;
        match &self.why {
            Why::OtherRealm => f.write_str("another realm"),
            Why::Property(property) => write!(f, "{property} is not the password"),
            Why::NoPassword(property) => {
                write!(f, "{property} is not a password, and there is none beside it")
            }
            Why::Listed => f.write_str("a list says no passwords"),
            Why::TwoRealms => f.write_str("the same user is in two realms; choose one with --realm"),
            Why::Twice(line) => write!(f, "the same name as in line {line}"),
            Why::Unfit(reason) => f.write_str(reason),
        }
    }
}

/// A text that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotUnderstood {
    /// Where it is wrong, counted from 1; 0 for the whole of it.
    pub line: usize,
    /// What is wrong; never what stands there.
    pub reason: &'static str,
}

impl fmt::Display for NotUnderstood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(self.reason),
            line => write!(f, "line {line}: {}", self.reason),
        }
    }
}

impl Import {
    /// Reads the text of `db_dump`, `mdb_dump` or `sasldblistusers2`.
    ///
    /// # Errors
    /// It is none of them, or not whole.
    pub fn read(text: &[u8], realm: Realm<'_>) -> Result<Self, NotUnderstood> {
        let is_listing = !dump::is_one(text);
        let entries = if is_listing { listing::read(text)? } else { dump::read(text)? };
        let mut import = Self { is_listing, ..Self::default() };
        import.sort(&entries, realm);
        Ok(import)
    }

    /// What was wanted cannot be taken over as a whole.
    pub fn has_faults(&self) -> bool {
        self.left.iter().any(|left| left.why.is_fault())
    }

    fn sort(&mut self, entries: &[Entry], realm: Realm<'_>) {
        let (wanted, is_supposed) = match realm {
            Realm::Chosen(name) => (name, false),
            Realm::Supposed(name) => (name, true),
        };
        let passwords = entries.iter().filter(|entry| entry.property == PASSWORD);
        let mut have_one = BTreeSet::new();
        for entry in passwords {
            *self.realms.entry(shown(&entry.realm)).or_default() += 1;
            if entry.realm == wanted {
                have_one.insert(entry.user.as_str());
            }
        }
        let mut lines = BTreeMap::new();
        for entry in entries {
            let has_one = have_one.contains(entry.user.as_str());
            let is_password = entry.property == PASSWORD;
            let why = match (entry.realm == wanted, is_password) {
                (false, true) if is_supposed && has_one => Why::TwoRealms,
                (false, _) => Why::OtherRealm,
                (true, false) if has_one => Why::Property(shown(&entry.property)),
                (true, false) => Why::NoPassword(shown(&entry.property)),
                (true, true) => match self.take(entry, &mut lines) {
                    Ok(()) => continue,
                    Err(why) => why,
                },
            };
            let (user, realm) = (shown(&entry.user), shown(&entry.realm));
            self.left.push(Left { line: entry.line, user, realm, why });
        }
    }

    /// Takes a password over, in the form in which it is kept.
    fn take(&mut self, entry: &Entry, lines: &mut BTreeMap<String, usize>) -> Result<(), Why> {
        let name = user_name(&entry.user).map_err(Why::Unfit)?.into_owned();
        if let Some(line) = lines.insert(name.clone(), entry.line) {
            return Err(Why::Twice(line));
        }
        let value = entry.value.as_ref().ok_or(Why::Listed)?;
        if value.len() > LONGEST {
            return Err(Why::Unfit("the password is longer than 4096 octets"));
        }
        if value.iter().any(|octet| matches!(octet, b'\n' | b'\r' | 0)) {
            return Err(Why::Unfit("the password has a line end or a NUL"));
        }
        self.users.0.insert(name, prepare(value).map_err(Why::Unfit)?);
        Ok(())
    }
}

/// What stands in a key, on one line and without control characters.
fn shown(text: &str) -> String {
    text.chars().take(255).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests;

//! `[auth]`, as far as passwords are concerned that `saslauthd` knows and we do not.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use toml::de::DeValue;

use super::read::{Section, list, number, seconds, text};
use crate::users::user_name;

/// Longer texts are refused by `saslauthd` itself.
const LONGEST: usize = 255;

/// Who is asked about passwords that are not in the users file: `auth.saslauthd` and its companions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaslauthdSettings {
    /// The path of its socket; without one, nobody is asked.
    pub socket: Option<PathBuf>,
    /// About whom it is asked.
    pub users: SaslauthdUsers,
    /// The service that it is told: with PAM, the file in `/etc/pam.d`.
    pub service: String,
    /// The realm that it is told; often none.
    pub realm: String,
    /// Time within which it has to answer.
    pub timeout: Duration,
    /// Questions at a time.
    pub at_once: usize,
}

/// About whom `saslauthd` is asked. A user with a record in the users file never is among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SaslauthdUsers {
    /// These, in the form in which names are kept.
    Named(BTreeSet<String>),
    /// Whoever has no record.
    All,
}

impl Default for SaslauthdSettings {
    fn default() -> Self {
        Self {
            socket: None,
            users: SaslauthdUsers::Named(BTreeSet::new()),
            service: "mupdate".into(),
            realm: String::new(),
            timeout: Duration::from_secs(10),
            // One less than the processes that saslauthd has where nobody said otherwise.
            at_once: 4,
        }
    }
}

impl SaslauthdUsers {
    /// Is it asked about a user who has no record?
    pub fn contains(&self, user: &str) -> bool {
        match self {
            Self::Named(names) => names.contains(user),
            Self::All => true,
        }
    }

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let names: Vec<Name> = list(value)?;
        match names.as_slice() {
            [Name::Any] => Ok(Self::All),
            _ if names.contains(&Name::Any) => Err("allowed: \"*\" alone, or users' names".into()),
            _ => Ok(Self::Named(names.into_iter().filter_map(Name::one).collect())),
        }
    }
}

/// What can stand among the users.
#[derive(PartialEq, Eq)]
enum Name {
    Any,
    One(String),
}

impl Name {
    fn one(self) -> Option<String> {
        match self {
            Self::Any => None,
            Self::One(name) => Some(name),
        }
    }
}

impl FromStr for Name {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if name == "*" {
            return Ok(Self::Any);
        }
        let why = |why| {
            format!("{why}; allowed: users' names, or \"*\" alone for whoever is not in the users file")
        };
        user_name(name).map(|name| Self::One(name.into_owned())).map_err(why)
    }
}

impl fmt::Display for SaslauthdUsers {
    /// As the file says it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |name: &str| toml::Value::String(name.to_owned()).to_string();
        let names = match self {
            Self::All => vec![quoted("*")],
            Self::Named(names) => names.iter().map(|name| quoted(name)).collect(),
        };
        write!(f, "[{}]", names.join(", "))
    }
}

impl SaslauthdSettings {
    pub(super) fn read(&mut self, table: &Section<'_, '_>) {
        table.read("saslauthd", &mut self.socket, |value| match text(value)? {
            path if path.is_empty() => Ok(None),
            path if path.contains('/') && path.len() <= 103 => Ok(Some(path.into())),
            _ => {
                Err("allowed: the path of a socket, as in \"/run/saslauthd/mux\", of at most 103 octets"
                    .into())
            }
        });
        table.read("saslauthd_users", &mut self.users, SaslauthdUsers::read);
        table.read("saslauthd_service", &mut self.service, |value| match word(value)? {
            service if service.is_empty() => Err("allowed: a service's name, as in \"mupdate\"".into()),
            service => Ok(service),
        });
        table.read("saslauthd_realm", &mut self.realm, word);
        table.read("saslauthd_seconds", &mut self.timeout, seconds(1..=300));
        table.read("saslauthd_at_once", &mut self.at_once, number(1..=256));
        let nobody = self.users == SaslauthdUsers::Named(BTreeSet::new());
        table.require("saslauthd", "saslauthd_users", self.socket.is_none() || !nobody);
        table.require("saslauthd_users", "saslauthd", nobody || self.socket.is_some());
    }
}

impl fmt::Display for SaslauthdSettings {
    /// Its lines in the table.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &dyn fmt::Display| toml::Value::String(text.to_string());
        let socket = self.socket.as_deref().map(|path| path.display().to_string()).unwrap_or_default();
        writeln!(f, "saslauthd = {}", quoted(&socket))?;
        writeln!(f, "saslauthd_users = {}", self.users)?;
        writeln!(f, "saslauthd_service = {}", quoted(&self.service))?;
        writeln!(f, "saslauthd_realm = {}", quoted(&self.realm))?;
        writeln!(f, "saslauthd_seconds = {}", self.timeout.as_secs())?;
        writeln!(f, "saslauthd_at_once = {}", self.at_once)
    }
}

/// Something that `saslauthd` can be told.
fn word(value: &DeValue<'_>) -> Result<String, String> {
    let word = text(value)?;
    if word.len() > LONGEST || word.contains(char::is_control) {
        return Err(format!("allowed: at most {LONGEST} octets without control characters"));
    }
    Ok(word)
}

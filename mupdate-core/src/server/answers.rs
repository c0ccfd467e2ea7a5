//! How often each command was answered, and how: counted over all sessions that share a configuration.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::BytesMut;
use mupdate_proto::{Status, Tag, Verb};

use super::{Job, ServerSession, answer};
use crate::directory::Action;

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandKind {
    /// AUTHENTICATE: a whole exchange, however many lines it has.
    Authenticate,
    /// STARTTLS
    StartTls,
    /// COMPRESS
    Compress,
    /// LOGOUT
    Logout,
    /// RESERVE
    Reserve,
    /// ACTIVATE
    Activate,
    /// DEACTIVATE
    Deactivate,
    /// DELETE
    Delete,
    /// FIND
    Find,
    /// LIST
    List,
    /// UPDATE: answered when the peer has the whole directory.
    Update,
    /// NOOP
    Noop,
    /// What was no command, or longer than one may be.
    Malformed,
}

/// How a command was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// OK
    Ok,
    /// NO
    No,
    /// BAD
    Bad,
}

/// The counts. They only grow, and nothing is decided by them.
#[derive(Debug, Default)]
pub struct Answers([[AtomicU64; Answered::ALL.len()]; CommandKind::ALL.len()]);

impl CommandKind {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Authenticate,
        Self::StartTls,
        Self::Compress,
        Self::Logout,
        Self::Reserve,
        Self::Activate,
        Self::Deactivate,
        Self::Delete,
        Self::Find,
        Self::List,
        Self::Update,
        Self::Noop,
        Self::Malformed,
    ];

    /// Its name in small letters.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authenticate => "authenticate",
            Self::StartTls => "starttls",
            Self::Compress => "compress",
            Self::Logout => "logout",
            Self::Reserve => "reserve",
            Self::Activate => "activate",
            Self::Deactivate => "deactivate",
            Self::Delete => "delete",
            Self::Find => "find",
            Self::List => "list",
            Self::Update => "update",
            Self::Noop => "noop",
            Self::Malformed => "malformed",
        }
    }
}

impl From<&Verb> for CommandKind {
    fn from(verb: &Verb) -> Self {
        match verb {
            Verb::Authenticate { .. } => Self::Authenticate,
            Verb::StartTls => Self::StartTls,
            Verb::Compress { .. } => Self::Compress,
            Verb::Logout => Self::Logout,
            Verb::Reserve { .. } => Self::Reserve,
            Verb::Activate { .. } => Self::Activate,
            Verb::Deactivate { .. } => Self::Deactivate,
            Verb::Delete { .. } => Self::Delete,
            Verb::Find { .. } => Self::Find,
            Verb::List { .. } => Self::List,
            Verb::Update { .. } => Self::Update,
            Verb::Noop => Self::Noop,
        }
    }
}

impl From<&Action> for CommandKind {
    fn from(action: &Action) -> Self {
        match action {
            Action::Reserve { .. } => Self::Reserve,
            Action::Activate { .. } => Self::Activate,
            Action::Deactivate { .. } => Self::Deactivate,
            Action::Delete { .. } => Self::Delete,
        }
    }
}

impl Answered {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ok, Self::No, Self::Bad];

    /// Its name in small letters.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::No => "no",
            Self::Bad => "bad",
        }
    }
}

impl Answers {
    /// How many commands of this kind were answered so.
    #[must_use]
    pub fn of(&self, kind: CommandKind, answered: Answered) -> u64 {
        self.0[kind as usize][answered as usize].load(Ordering::Relaxed)
    }

    /// One more. `* BYE` answers nothing.
    pub(super) fn add(&self, kind: CommandKind, status: Status) {
        let answered = match status {
            Status::Ok => Answered::Ok,
            Status::No => Answered::No,
            Status::Bad => Answered::Bad,
            Status::Bye => return,
        };
        self.0[kind as usize][answered as usize].fetch_add(1, Ordering::Relaxed);
    }
}

impl Job {
    /// The command that it is for.
    pub(super) fn command(&self) -> CommandKind {
        match self {
            Self::Login { .. } => CommandKind::Authenticate,
            Self::Find { .. } => CommandKind::Find,
            Self::List { .. } => CommandKind::List,
            Self::Subscribe { .. } | Self::Dump | Self::Reannounce => CommandKind::Update,
            Self::Barrier { .. } | Self::Drain { .. } => CommandKind::Noop,
        }
    }
}

impl ServerSession {
    /// Answer a command, which counts.
    pub(super) fn say(&self, kind: CommandKind, tag: &Tag, status: Status, text: &str, out: &mut BytesMut) {
        self.config.answers.add(kind, status);
        answer::status(out, Some(tag), status, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_place_and_a_name_of_its_own() {
        let answers = Answers::default();
        for (at, kind) in CommandKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, at);
            answers.add(kind, Status::No);
            answers.add(kind, Status::Bye);
            assert!(CommandKind::ALL.iter().filter(|other| other.as_str() == kind.as_str()).count() == 1);
            assert_eq!(Answered::ALL.map(|answered| answers.of(kind, answered)), [0, 1, 0]);
        }
    }

    #[test]
    fn answers_are_named_as_on_the_wire() {
        let named = Answered::ALL.map(Answered::as_str);
        assert_eq!(named, ["ok", "no", "bad"]);
    }
}

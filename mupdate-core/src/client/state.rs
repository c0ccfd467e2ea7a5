//! What a client expects next.
//!
//! | the server's line | legal when |
//! |---|---|
//! | banner lines | before anything was sent, and after the OK of STARTTLS |
//! | a line without a space | AUTHENTICATE is the oldest unanswered command: its challenge |
//! | MAILBOX, RESERVE with tag t | t is an unanswered FIND, LIST or UPDATE, or the stream's |
//! | DELETE with tag t | t is the stream's, or an unanswered UPDATE |
//! | OK, NO, BAD with tag t | t is the oldest unanswered command: answers come in order |
//! | BYE with tag t | the same, and it is LOGOUT |
//! | a status with `*` | always |

use std::collections::VecDeque;

use mupdate_proto::{Status, Tag, Verb};

/// A server broke the protocol; the connection is of no more use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// It cannot be framed, or it is no response.
    Unreadable(String),
    /// Data for a command that did not ask, or that is answered already.
    UnaskedData(Tag),
    /// An answer to what was not asked, or out of turn.
    UnaskedAnswer(Tag),
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable(why) => write!(f, "the server's answer cannot be read: {why}"),
            Self::UnaskedData(tag) => {
                write!(f, "the server sent data under tag {tag}, which did not ask for it")
            }
            Self::UnaskedAnswer(tag) => {
                write!(f, "the server answered {tag}, which is not the oldest open command")
            }
        }
    }
}

impl std::error::Error for Violation {}

/// What an unanswered command may bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Authenticate,
    StartTls,
    /// FIND, LIST.
    Lookup,
    Update,
    Logout,
    Plain,
}

/// The unanswered commands, oldest first, and the stream.
#[derive(Debug, Default)]
pub(super) struct Expected {
    open: VecDeque<(Tag, Kind)>,
    stream: Option<Tag>,
}

impl Expected {
    pub fn sent(&mut self, tag: Tag, verb: &Verb) {
        let kind = match verb {
            Verb::Authenticate { .. } => Kind::Authenticate,
            Verb::StartTls => Kind::StartTls,
            Verb::Find { .. } | Verb::List { .. } => Kind::Lookup,
            Verb::Update { .. } => Kind::Update,
            Verb::Logout => Kind::Logout,
            _ => Kind::Plain,
        };
        self.open.push_back((tag, kind));
    }

    /// Is a SASL exchange under way?
    pub fn challenge(&self) -> bool {
        matches!(self.open.front(), Some((_, Kind::Authenticate)))
    }

    /// A data line came; `gone` if it is a DELETE.
    pub fn data(&self, tag: &Tag, gone: bool) -> Result<(), Violation> {
        let stream = self.stream.as_ref() == Some(tag);
        let asked = self
            .open
            .iter()
            .any(|(open, kind)| open == tag && (*kind == Kind::Update || (*kind == Kind::Lookup && !gone)));
        if stream || asked { Ok(()) } else { Err(Violation::UnaskedData(tag.clone())) }
    }

    /// The command that is answered next, if data may come before its answer.
    pub fn asked(&self) -> Option<&Tag> {
        match self.open.front() {
            Some((tag, Kind::Lookup | Kind::Update)) => Some(tag),
            _ => None,
        }
    }

    /// A tagged answer came. Returns whether a banner follows.
    pub fn completed(&mut self, tag: &Tag, status: Status) -> Result<bool, Violation> {
        match self.open.pop_front() {
            Some((open, kind)) if open == *tag && (status != Status::Bye || kind == Kind::Logout) => {
                if kind == Kind::Update && status == Status::Ok {
                    self.stream = Some(open);
                }
                Ok(kind == Kind::StartTls && status == Status::Ok)
            }
            _ => Err(Violation::UnaskedAnswer(tag.clone())),
        }
    }

    /// How many commands are unanswered.
    pub fn len(&self) -> usize {
        self.open.len()
    }
}

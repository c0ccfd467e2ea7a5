//! `GET /v1/journal`, `/v1/reservations`, `POST /v1/undo`: who changed what, and how it is taken back.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::{MailboxState, Text};

/// One change, as the journal keeps it. The journal is bounded: `store.journal` says by how much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The revision that it made.
    pub revision: u64,
    /// When it was committed.
    pub at_ms: u64,
    /// The user who asked for it.
    pub user: String,
    /// Where from.
    pub peer: String,
    /// What was done.
    pub deed: Deed,
    /// To which name.
    pub mailbox: Text,
    /// What the name was before.
    pub before: What,
    /// What it was afterwards.
    pub after: What,
    /// An active mailbox was taken from another server.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub takeover: bool,
    /// Locations or ACLs were too long to be kept, and are shown empty; this cannot be undone.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub cut: bool,
}

/// What changed a name. The words are the same in JSON and on command lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Deed {
    /// RESERVE
    Reserve,
    /// ACTIVATE
    Activate,
    /// DEACTIVATE
    Deactivate,
    /// DELETE
    Delete,
    /// An operator released a reservation.
    Release,
    /// An operator took something back.
    Undo,
    /// An operator imported a list.
    Import,
    /// The master that this replica follows.
    Upstream,
}

impl Deed {
    /// Its word.
    #[must_use]
    pub fn word(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// What a name is at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct What {
    /// [`Deleted`](MailboxState::Deleted) if it is not there.
    pub state: MailboxState,
    /// Where, if it is there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub location: Option<Text>,
    /// The ACL, if it is active.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub acl: Option<Text>,
}

/// A reserved name: a CREATE or an XFER under way, or one that was never finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// The name.
    pub mailbox: Text,
    /// Where.
    pub location: Text,
    /// The revision that made it.
    pub revision: u64,
    /// When that was, and by whom; unknown where the journal does not go back so far.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since_ms: Option<u64>,
    /// By whom.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user: Option<String>,
}

/// `POST /v1/reservations/release`: give these names free, if they are reserved still.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// The names, each with the revision that its reservation was seen at: one that was changed since is left alone.
    pub names: Vec<(Text, u64)>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// The names that are free now.
    pub released: Vec<Text>,
    /// Those that were left alone, and why.
    pub left: Vec<(Text, String)>,
}

/// `POST /v1/undo`: bring names back to what they were. All that is given has to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoRequest {
    /// To what they were right after this revision.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub to_revision: Option<u64>,
    /// To what they were at this time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub to_ms: Option<u64>,
    /// Only what this user has changed since.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user: Option<String>,
    /// Only names that were at this server then, or are now.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub server: Option<Text>,
    /// Only this name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mailbox: Option<Text>,
    /// The revision of the directory when the plan was shown: with it, the plan is carried out, but for names that have been
    /// changed since. Without it, it is only shown.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub planned_at: Option<u64>,
}

/// What is to be done to undo, or was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undo {
    /// The revision of the directory when this was found.
    pub planned_at: u64,
    /// Has it been done?
    pub done: bool,
    /// Each name, with what it is and what it is to be; once it has been done, with what it was and what it is now.
    pub changes: Vec<(Text, What, What)>,
    /// Names that are left alone, and why.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub left: Vec<(Text, String)>,
}

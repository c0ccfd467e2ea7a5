//! `GET /v1/hosts`, `/v1/mailboxes`, `/v1/mailbox`, `/v1/watch`: what is where.

use serde::{Deserialize, Serialize};

use super::Text;

/// A backend, as the directory knows it: a server name that locations begin with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// The server's name.
    pub server: Text,
    /// Active mailboxes.
    pub active: u64,
    /// Reserved names.
    pub reserved: u64,
    /// The same for each partition.
    pub partitions: Vec<Partition>,
    /// The order of its LISTs, if any is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub order: Option<HostOrder>,
    /// When a name of it was last changed, as far as the journal goes back.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub changed_ms: Option<u64>,
    /// It takes no new reservations.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub draining: bool,
}

/// `POST /v1/drain`: have a server take no new names, or take them again. Answered with the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// The server's name.
    pub server: Text,
    /// It takes no new reservations.
    pub draining: bool,
}

/// A partition of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partition {
    /// Its name; empty where none was said.
    pub partition: Text,
    /// Active mailboxes.
    pub active: u64,
    /// Reserved names.
    pub reserved: u64,
}

/// The order in which a backend sorts names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostOrder {
    /// `octet`, `dot` or `v36`.
    pub order: String,
    /// How it is known.
    pub source: OrderSource,
}

/// How an order is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OrderSource {
    /// It stands in the configuration.
    Configured,
    /// The backend's own commands have shown it.
    Learned,
}

/// A name in the directory; in `/v1/watch` also one that has left it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mailbox {
    /// The name, as on the wire.
    pub mailbox: Text,
    /// What it is.
    pub state: MailboxState,
    /// Where it is, as `server!partition`; left out where it is gone.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub location: Option<Text>,
    /// Who may do what to it, if it is active.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub acl: Option<Text>,
    /// The revision of its last change.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub revision: Option<u64>,
}

/// What a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailboxState {
    /// A mailbox that its users can open.
    Active,
    /// A name that is taken.
    Reserved,
    /// A name that was deleted.
    Deleted,
}

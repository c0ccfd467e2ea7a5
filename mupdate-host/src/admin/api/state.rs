//! `GET /v1/events`: all that the status page shows.

use serde::{Deserialize, Serialize};

use super::{Client, Deed, Entry, Pair, Status, Text};

/// How everything is at a moment, for who looks on: the data of an event `state`. Its lists have bounds, what matters most
/// comes first, and what is left out is counted. Long names and reasons end in `…`, and there are no ACLs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// When this was so, by the daemon's clock.
    pub now_ms: u64,
    /// The daemon itself.
    pub status: Status,
    /// Backends: those that are draining, then those that have most.
    pub hosts: Vec<HostBrief>,
    /// Backends that are not among them.
    pub hosts_left_out: u64,
    /// Replicated pairs, those first that want looking at.
    pub pairs: Vec<Pair>,
    /// Pairs that are not among them.
    pub pairs_left_out: u64,
    /// Connected UPDATE streams (frontends and replicas), the farthest behind first.
    pub streams: Vec<Client>,
    /// Streams that are not among them.
    pub streams_left_out: u64,
    /// What was changed, minute by minute.
    pub minutes: Minutes,
    /// The last takeovers that the journal has, newest first.
    pub takeovers: Vec<Entry>,
    /// The last refusals, newest first.
    pub refusals: Vec<Refused>,
}

/// A backend in brief.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostBrief {
    /// The server's name.
    pub server: Text,
    /// Active mailboxes.
    pub active: u64,
    /// Reserved names.
    pub reserved: u64,
    /// When somebody last spoke for it, if that was since the daemon's start.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub heard_ms: Option<u64>,
    /// It takes no new reservations.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub draining: bool,
}

/// What happened in each of the last minutes, at most an hour of them, the oldest first. The last one is under way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Minutes {
    /// When the last one began.
    pub last_ms: u64,
    /// Changes of the directory.
    pub changes: Vec<u64>,
    /// Changes that were refused.
    pub refused: Vec<u64>,
}

/// Something that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// When.
    pub at_ms: u64,
    /// Who asked.
    pub user: String,
    /// Where from.
    pub peer: String,
    /// What was to be done; left out where somebody may not even read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub deed: Option<Deed>,
    /// To which name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mailbox: Option<Text>,
    /// What was answered.
    pub reason: String,
}

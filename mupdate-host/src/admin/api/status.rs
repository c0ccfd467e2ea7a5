//! `GET /v1/status`

use serde::{Deserialize, Serialize};

/// How a daemon is, in brief.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// `mupdated` or `mupdated-sync`.
    pub program: String,
    /// Its version.
    pub version: String,
    /// The name in its banner.
    pub server_name: String,
    /// Master, or replica of one.
    pub role: Role,
    /// When the process began to serve.
    pub started_ms: u64,
    /// The revision of the last change.
    pub revision: u64,
    /// Active mailboxes.
    pub active: u64,
    /// Reserved names.
    pub reserved: u64,
    /// Servers that have names.
    pub servers: u64,
    /// Open connections.
    pub connections: u64,
    /// Those of them that are UPDATE streams.
    pub subscribers: u64,
    /// The most names that any subscriber has yet to be sent.
    pub behind: u64,
    /// Room in the database.
    pub map: MapUse,
    /// Octets that are free on the disk, as far as known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub disk_free: Option<u64>,
    /// Users whose fuse has blown.
    pub fuses_blown: Vec<String>,
    /// Servers that take no new reservations.
    pub draining: Vec<String>,
    /// What the writer has done since the start.
    pub writer: WriterCounts,
    /// Of a replica: the master that it follows.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub upstream: Option<Upstream>,
    /// What is not as it should be; empty if the daemon is ready.
    pub not_ready: Vec<Part>,
}

/// A reason for not being ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Which part of the daemon.
    pub part: String,
    /// What is wrong with it.
    pub reason: String,
}

/// What a daemon is to its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It decides.
    Master,
    /// It follows another, and takes no changes.
    Replica,
}

/// Room in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapUse {
    /// Octets that the tables take.
    pub used: u64,
    /// Octets that they can take (`store.map_size`).
    pub size: u64,
}

/// What the writer has done since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriterCounts {
    /// Changes that were asked for.
    pub actions: u64,
    /// Those that changed something.
    pub changes: u64,
    /// Those answered NO by the rules.
    pub refused: u64,
    /// Those of them that were refused for who asked.
    pub denied: u64,
    /// Those that were held by a fuse.
    pub held: u64,
    /// Activations that took a mailbox from another location.
    pub takeovers: u64,
    /// Batches of them.
    pub batches: u64,
    /// Transactions committed.
    pub commits: u64,
    /// Batches answered NO as nothing could be written.
    pub full: u64,
}

/// The master that a replica follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream {
    /// Where it is.
    pub host: String,
    /// How far the replica has come with it.
    pub state: UpstreamState,
    /// When the state began.
    pub since_ms: u64,
    /// How long ago the replica last had proof that it has everything, as of its master's answer to NOOP.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lag_ms: Option<u64>,
    /// Changes of the master's that have come, and that there was no room for.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub missing: u64,
    /// Why the last connection ended, if one has.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_error: Option<String>,
}

/// How far a replica has come with its master.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UpstreamState {
    /// No connection; it tries again.
    Away,
    /// It is given the whole directory, and merges it.
    Merging,
    /// It has had everything, and hears of changes.
    Following,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

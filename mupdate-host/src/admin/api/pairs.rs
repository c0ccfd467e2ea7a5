//! `GET /v1/pairs`: who speaks for which server name, and how far a replica lags behind.

use serde::{Deserialize, Serialize};

use super::Text;

/// Pairs, as they were at a revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pairs {
    /// All that was answered up to this revision is in. Pairs hear of a change when it has been answered, so for moments
    /// this is less than the directory's revision.
    pub revision: u64,
    /// Sorted by name.
    pub pairs: Vec<Pair>,
}

/// A server name, and who has lately spoken for it. Two members of a replicated pair speak for the same one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The name that their locations begin with.
    pub server: Text,
    /// Its participants: who leads comes first.
    pub speakers: Vec<Speaker>,
    /// When the lead last changed, if it ever did.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lead_changed_ms: Option<u64>,
    /// How long after a change its echo came. Left out while there was none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lag: Option<Lag>,
    /// Changes that have had no echo yet, for as long as is waited for one: if the lead changed now, these might be lost.
    pub missing: u64,
    /// How long the oldest of them has waited.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub oldest_missing_ms: Option<u64>,
    /// Changes of who led before, or leads no more, that have had no echo: after a failover, what may be lost.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub left: u64,
    /// Deletions that a member repeated so late that they deleted what had been made anew since: until it says the new
    /// mailbox too, frontends do not list it. Since the start.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub late_deletions: u64,
    /// Some of the names whose changes have waited too long for an echo, or are left by who led before, the oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub waiting: Vec<Text>,
    /// The configuration declares this pair.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub declared: bool,
    /// Users and addresses that the configuration declares, and of whom nothing was heard since the start.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub silent: Vec<String>,
    /// All members that the configuration declares look like one, with one login behind one address: an echo is not told
    /// from a repetition, and that nothing is missing says nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub blind: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A participant: a user at an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Speaker {
    /// Who it logs in as.
    pub user: String,
    /// Its address, without a port.
    pub address: String,
    /// It makes the changes; the others echo them.
    pub leads: bool,
    /// What it said that changed something.
    pub changes: u64,
    /// What it said that was so already: echoes.
    pub echoes: u64,
    /// When it last spoke.
    pub last_ms: u64,
    /// It is not among those whom the configuration declares for this pair.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub stranger: bool,
}

/// Times between changes and their echoes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lag {
    /// How many echoes there were.
    pub count: u64,
    /// Half came within this time.
    pub p50_ms: u64,
    /// 99 of 100.
    pub p99_ms: u64,
    /// All of them.
    pub max_ms: u64,
    /// The last one.
    pub last_ms: u64,
    /// A histogram: how many came within each of these times, in milliseconds, and not within the one before. Times within
    /// which none came are left out; the last one may have no end.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub steps: Vec<(Option<u64>, u64)>,
}

//! `POST /v1/promote`, `/v1/demote`: who decides.

use serde::{Deserialize, Serialize};

use super::Role;

/// `POST /v1/promote`: become the master.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promote {
    /// Whatever may be lost, and though there may be another master.
    #[serde(default)]
    pub force: bool,
}

/// What the daemon is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turned {
    /// Its role.
    pub role: Role,
    /// After a promotion: how long before it the replica last had proof that it had everything.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lag_ms: Option<u64>,
}

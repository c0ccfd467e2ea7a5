//! `GET /v1/fuses`, `POST /v1/fuses/release`: users who took over or deleted too many names at a time.

use serde::{Deserialize, Serialize};

/// A fuse that has blown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fuse {
    /// Whose it is.
    pub user: String,
    /// What is held: `takeovers`, `deletions`.
    pub holds: Vec<String>,
    /// When it blew, as far as is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since_ms: Option<u64>,
}

/// `POST /v1/fuses/release`: let this user go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseFuse {
    /// Who.
    pub user: String,
}

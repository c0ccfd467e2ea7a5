//! `GET /v1/doctor`: what an operator should look into.

use serde::{Deserialize, Serialize};

use super::Text;

/// Something that is not as one would expect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Which examination found it: `stale-reservations`, `map`, ...
    pub check: String,
    /// One line: what was found.
    pub text: String,
    /// One line: what to do.
    pub advice: String,
    /// Some of the names or servers that it is about.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub subjects: Vec<Text>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Should be looked into.
    Warning,
    /// Users are affected, or will be.
    Alarm,
}

//! `POST /v1/import`: a list is taken over.

use serde::{Deserialize, Serialize};

/// What a list changes, or would.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// It has been done, and not only been tried (`dry_run`).
    pub done: bool,
    /// Names that were not there.
    pub added: u64,
    /// Names that were there otherwise.
    pub changed: u64,
    /// Names that the list does not have (`replace`).
    pub removed: u64,
    /// Names of the list that were there just so.
    pub same: u64,
}

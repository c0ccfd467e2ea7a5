//! `GET /v1/clients`, `POST /v1/clients/NUMBER/kick`: who is connected.

use serde::{Deserialize, Serialize};

/// A connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// Its number, as in the log: no other since the start had it.
    pub number: u64,
    /// Its address and port, or `unix`.
    pub peer: String,
    /// Who it is logged in as.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user: Option<String>,
    /// It is encrypted.
    pub tls: bool,
    /// It is compressed.
    pub compressed: bool,
    /// What it does.
    pub doing: Doing,
    /// When it came.
    pub since_ms: u64,
    /// How many commands it has given.
    pub commands: u64,
    /// Of an UPDATE stream: how far it is behind.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stream: Option<Stream>,
}

/// What a connection does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Doing {
    /// It has not logged in yet.
    Login,
    /// It gives commands, or none.
    Commands,
    /// It follows the directory (UPDATE).
    Stream,
}

/// An UPDATE stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// The servers that it follows; empty if all.
    pub servers: Vec<super::Text>,
    /// Names that it has yet to be sent.
    pub behind: u64,
    /// For how long the oldest of them has waited.
    pub lag_ms: u64,
}

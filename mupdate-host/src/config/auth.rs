//! `[auth]`: how clients log in.

use std::fmt;
use std::time::Duration;

use super::read::{Section, truth};

/// How clients log in: `[auth]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuthSettings {
    /// SCRAM is offered bound to the TLS channel too.
    pub channel_binding: bool,
}

/// The memory of verified logins: `[login_cache]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginCacheSettings {
    /// Logins that are remembered at most; 0 remembers none.
    pub entries: usize,
    /// Time after which a password is hashed anew.
    pub lifetime: Duration,
}

impl AuthSettings {
    /// The keys of `[auth]`, those of [`SaslauthdSettings`](super::SaslauthdSettings) included.
    pub(super) const NAMES: [&str; 7] = [
        "channel_binding",
        "saslauthd",
        "saslauthd_users",
        "saslauthd_service",
        "saslauthd_realm",
        "saslauthd_seconds",
        "saslauthd_at_once",
    ];

    pub(super) fn read(&mut self, table: &Section<'_, '_>) {
        table.read("channel_binding", &mut self.channel_binding, truth);
    }
}

impl fmt::Display for AuthSettings {
    /// As in the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "channel_binding = {}", self.channel_binding)
    }
}

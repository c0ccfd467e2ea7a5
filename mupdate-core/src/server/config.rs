//! Settings of a session, and the facts about its connection.

use std::{sync::Arc, time::Duration};

use mupdate_proto::{CompressLines, Limits, Role};

use super::Answers;

/// What all sessions of a daemon share. Replaced as a whole when settings are reloaded.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Octets that a line, literal and message may have.
    pub limits: Limits,
    /// Octets that a mailbox name may have: what the store can keep.
    pub name_limit: usize,
    /// Octets that a location may have.
    pub location_limit: usize,
    /// This server's name, for the banner.
    pub host: String,
    /// The software's name, for the banner.
    pub software: String,
    /// The software's version, for the banner.
    pub version: String,
    /// A master, or a read-only replica of one.
    pub role: Role,
    /// Which COMPRESS lines the banner shows. Cyrus 2.4 knows only the quoted, later ones only the bare line.
    pub compress: CompressLines,
    /// How long changes are held back after the OK of UPDATE. A frontend does not look at what arrives together
    /// with that OK until more arrives.
    pub hold: Duration,
    /// How long a connection may take to send its first command.
    pub first_command_within: Duration,
    /// How long a connection may stay without a login.
    pub login_within: Duration,
    /// How long a logged-in connection may stay silent between commands. UPDATE streams may for ever.
    pub idle: Option<Duration>,
    /// Octets of output after which the session waits for its reader, and the size of a page.
    pub high_water: usize,
    /// Failed logins after which the connection is closed.
    pub login_failures: u32,
    /// How long the answer to a failed login is held back.
    pub login_delay: Duration,
    /// Where answers are counted. Whoever replaces the settings gives the same to those that follow.
    pub answers: Arc<Answers>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            name_limit: 1024,
            location_limit: 1024,
            host: "localhost".into(),
            software: "mupdated".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            role: Role::Master,
            compress: CompressLines::Quoted,
            hold: Duration::from_millis(300),
            first_command_within: Duration::from_secs(60),
            login_within: Duration::from_secs(60),
            idle: Some(Duration::from_secs(3600)),
            high_water: 64 * 1024,
            login_failures: 5,
            login_delay: Duration::from_secs(1),
            answers: Arc::default(),
        }
    }
}

/// What is true of one connection now. It changes only by [`resume`](super::ServerSession::resume).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LayerFacts {
    /// The SASL mechanisms that may be used now.
    pub mechanisms: Vec<String>,
    /// STARTTLS may be used now.
    pub starttls: bool,
    /// TLS is in place.
    pub tls: bool,
    /// DEFLATE is in place.
    pub compressed: bool,
}

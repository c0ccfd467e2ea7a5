//! The server session's transition table: which command means what in which phase.
//!
//! | command | `Login` | `Ready` | `Streaming` |
//! |---|---|---|---|
//! | AUTHENTICATE | SASL exchange, then `Ready` | BAD | BAD |
//! | STARTTLS | layer, then `Login` anew | BAD | BAD |
//! | COMPRESS | layer | layer | BAD |
//! | LOGOUT | OK, close | OK, close | OK, close |
//! | RESERVE, ACTIVATE, DEACTIVATE, DELETE | BAD | writer (BAD on a replica) | BAD |
//! | FIND, LIST | BAD | store | BAD |
//! | UPDATE | BAD | feed, dump, OK, then `Streaming` | BAD |
//! | NOOP | BAD | OK | barrier, drain, OK |
//!
//! Not in the table because no command causes them: a SASL exchange takes whole lines until it ends, a session
//! waiting for a layer takes no octet at all, and time or the operator can end any phase with a `* BYE`.

use bytes::Bytes;
use mupdate_proto::{CompressLines, MailboxName, Role, ServerName, Verb};

use super::{LayerFacts, ServerConfig};
use crate::directory::Action;

/// How far a session has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nobody has logged in.
    Login,
    /// Logged in.
    Ready,
    /// UPDATE was answered OK.
    Streaming,
}

/// What a well-formed command makes the session do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Move {
    Authenticate {
        mechanism: Bytes,
        initial: Option<Bytes>,
    },
    StartTls,
    Compress,
    Logout,
    /// Submit to the writer.
    Write(Action),
    Find(MailboxName),
    /// LIST, perhaps only of locations that begin so.
    List(Option<Bytes>),
    /// UPDATE, perhaps only of these servers.
    Update(Vec<ServerName>),
    /// NOOP with nothing to wait for.
    Done,
    /// NOOP on a stream.
    Barrier,
    /// Tagged BAD with this text.
    Bad(&'static str),
    /// Tagged NO with this text.
    No(&'static str),
}

/// The table.
pub(super) fn transition(phase: Phase, verb: Verb, config: &ServerConfig, facts: &LayerFacts) -> Move {
    use Phase::{Login, Ready, Streaming};
    match (phase, verb) {
        (_, Verb::Logout) => Move::Logout,
        (Streaming, Verb::Noop) => Move::Barrier,
        (Streaming, _) => Move::Bad("not legal when streaming"),

        (Login, Verb::Authenticate { mechanism, initial }) => Move::Authenticate { mechanism, initial },
        (Ready, Verb::Authenticate { .. }) => Move::Bad("already authenticated"),

        (Login, Verb::StartTls) => starttls(facts),
        (Ready, Verb::StartTls) => Move::Bad("STARTTLS is not legal after authentication"),

        (Login | Ready, Verb::Compress { algorithm }) => compress(&algorithm, config, facts),

        (Login, _) => Move::Bad("Please login first"),

        (Ready, Verb::Reserve { mailbox, location }) => write(Action::Reserve { mailbox, location }, config),
        (Ready, Verb::Activate { mailbox, location, acl }) => {
            write(Action::Activate { mailbox, location, acl }, config)
        }
        (Ready, Verb::Deactivate { mailbox, location }) => {
            write(Action::Deactivate { mailbox, location }, config)
        }
        (Ready, Verb::Delete { mailbox }) => write(Action::Delete { mailbox }, config),
        (Ready, Verb::Find { mailbox }) => Move::Find(mailbox),
        (Ready, Verb::List { prefix }) => Move::List(prefix),
        (Ready, Verb::Update { servers }) => Move::Update(servers),
        (Ready, Verb::Noop) => Move::Done,
    }
}

/// A change, which only a master takes.
fn write(action: Action, config: &ServerConfig) -> Move {
    match config.role {
        Role::Master => Move::Write(action),
        Role::Replica(_) => Move::Bad("read-only session"),
    }
}

/// STARTTLS before authentication, once, and not inside DEFLATE.
fn starttls(facts: &LayerFacts) -> Move {
    if facts.tls {
        Move::Bad("TLS is already active")
    } else if facts.compressed {
        Move::Bad("STARTTLS is not legal after COMPRESS")
    } else if facts.starttls {
        Move::StartTls
    } else {
        Move::Bad("STARTTLS is not available")
    }
}

/// COMPRESS once, with the one algorithm there is.
fn compress(algorithm: &[u8], config: &ServerConfig, facts: &LayerFacts) -> Move {
    if facts.compressed {
        Move::Bad("DEFLATE is already active")
    } else if config.compress == CompressLines::None {
        Move::Bad("COMPRESS is not available")
    } else if algorithm.eq_ignore_ascii_case(b"DEFLATE") {
        Move::Compress
    } else {
        Move::No("unknown compression algorithm; there is only DEFLATE")
    }
}

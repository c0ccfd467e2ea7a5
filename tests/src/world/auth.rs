//! PLAIN and LOGIN for users with one password: just enough to log in to a world.
//!
//! SCRAM is offered, since the daemons offer it, but is not spoken: its nonces are drawn, so that no transcript can have
//! more of it than what is malformed. All else of it is tested over sockets.

use std::{collections::BTreeSet, time::Duration};

use mupdate_core::server::{AuthReply, AuthStep};

use crate::player::LOGIN;

/// The mechanisms that a world offers.
pub const MECHANISMS: [&str; 3] = ["SCRAM-SHA-256", "PLAIN", "LOGIN"];

const MALFORMED: &str = "malformed SASL response";

/// A SASL exchange.
#[derive(Debug, Default)]
pub enum Exchange {
    /// None is under way.
    #[default]
    None,
    /// The first message of SCRAM is awaited.
    Scram,
    /// PLAIN's response is awaited.
    Plain,
    /// LOGIN's user name is awaited.
    LoginUser,
    /// LOGIN's password is awaited.
    LoginPassword(Vec<u8>),
}

impl Exchange {
    /// The next step; `None` where no answer is expected.
    pub fn step(&mut self, step: AuthStep, users: &BTreeSet<String>) -> Option<AuthReply> {
        let (state, octets) = match step {
            AuthStep::Cancel => {
                *self = Self::None;
                return None;
            }
            AuthStep::Start { mechanism, initial } => match Self::of(&mechanism) {
                Some(state) => (state, initial),
                None => return Some(rejected("mechanism not available")),
            },
            AuthStep::Continue(octets) => (std::mem::take(self), Some(octets)),
        };
        Some(self.go_on(state, octets, users))
    }

    fn of(mechanism: &str) -> Option<Self> {
        if mechanism.eq_ignore_ascii_case("PLAIN") {
            Some(Self::Plain)
        } else if mechanism.eq_ignore_ascii_case("LOGIN") {
            Some(Self::LoginUser)
        } else if mechanism.eq_ignore_ascii_case("SCRAM-SHA-256") {
            Some(Self::Scram)
        } else {
            None
        }
    }

    fn go_on(&mut self, state: Self, octets: Option<Vec<u8>>, users: &BTreeSet<String>) -> AuthReply {
        match (state, octets) {
            (Self::Scram, None) => {
                *self = Self::Scram;
                AuthReply::Challenge(Vec::new())
            }
            (Self::Scram, Some(_)) => rejected(MALFORMED),
            (Self::Plain, None) => {
                *self = Self::Plain;
                AuthReply::Challenge(Vec::new())
            }
            (Self::Plain, Some(octets)) => plain(&octets, users),
            (Self::LoginUser, None) => {
                *self = Self::LoginUser;
                AuthReply::Challenge(b"User Name\0".to_vec())
            }
            (Self::LoginUser, Some(user)) => {
                *self = Self::LoginPassword(user);
                AuthReply::Challenge(b"Password\0".to_vec())
            }
            (Self::LoginPassword(user), Some(password)) => verdict(&user, &password, users),
            (Self::LoginPassword(_) | Self::None, _) => rejected("no exchange is under way"),
        }
    }
}

/// `authorization NUL user NUL password` (RFC 4616); nobody acts for another.
fn plain(octets: &[u8], users: &BTreeSet<String>) -> AuthReply {
    let parts: Vec<_> = octets.split(|&octet| octet == 0).collect();
    match parts[..] {
        [authorization, user, password] => match verdict(user, password, users) {
            AuthReply::Accepted { .. } if !authorization.is_empty() && authorization != user => {
                rejected("acting as another user is not allowed")
            }
            reply => reply,
        },
        _ => rejected(MALFORMED),
    }
}

fn verdict(user: &[u8], password: &[u8], users: &BTreeSet<String>) -> AuthReply {
    match str::from_utf8(user) {
        Ok(user) if users.contains(user) && password == LOGIN.1.as_bytes() => {
            AuthReply::Accepted { principal: user.into() }
        }
        _ => rejected("authentication failed"),
    }
}

pub fn rejected(text: &str) -> AuthReply {
    AuthReply::Rejected { text: text.into(), delay: Duration::ZERO }
}

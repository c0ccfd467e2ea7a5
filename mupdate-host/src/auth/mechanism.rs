//! The mechanisms: their names, and the order of the banner.

use std::fmt;

use crate::scram::Hash;

/// A SASL mechanism that we speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mechanism {
    /// SCRAM with this hash; bound to the TLS channel, or not.
    Scram {
        hash: Hash,
        plus: bool,
    },
    /// By the client's certificate.
    External,
    Plain,
    Login,
}

impl Mechanism {
    /// Best first. Cyrus's clients choose by their own measure, whatever the order.
    pub const ALL: [Self; 9] = [
        Self::Scram { hash: Hash::Sha512, plus: true },
        Self::Scram { hash: Hash::Sha256, plus: true },
        Self::Scram { hash: Hash::Sha1, plus: true },
        Self::Scram { hash: Hash::Sha512, plus: false },
        Self::Scram { hash: Hash::Sha256, plus: false },
        Self::Scram { hash: Hash::Sha1, plus: false },
        Self::External,
        Self::Plain,
        Self::Login,
    ];

    /// The mechanism of this name, in any case.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Scram { hash, plus: false } => hash.mechanism(),
            Self::Scram { hash: Hash::Sha1, plus: true } => "SCRAM-SHA-1-PLUS",
            Self::Scram { hash: Hash::Sha256, plus: true } => "SCRAM-SHA-256-PLUS",
            Self::Scram { hash: Hash::Sha512, plus: true } => "SCRAM-SHA-512-PLUS",
            Self::External => "EXTERNAL",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

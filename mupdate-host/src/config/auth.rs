//! `[auth]`: how clients log in.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::read::{Section, list, text, truth};
use crate::users::user_name;

/// How clients log in: `[auth]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuthSettings {
    /// SCRAM is offered bound to the TLS channel too.
    pub channel_binding: bool,
    /// Users who may act as any other, in the form in which names are kept.
    pub proxies: BTreeSet<String>,
    /// What of a client's certificate names its user, for EXTERNAL.
    pub external: External,
}

/// What of a client's certificate names its user: `auth.external`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum External {
    /// Nothing does.
    #[default]
    Off,
    /// The last common name of the subject.
    CommonName,
    /// The first host name, in lower case, that is a user's.
    DnsName,
    /// The first mail address that is a user's.
    Mail,
}

impl External {
    /// As the file says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::CommonName => "common_name",
            Self::DnsName => "dns_name",
            Self::Mail => "mail",
        }
    }
}

/// A user's name, in the form in which names are kept.
struct UserName(String);

impl FromStr for UserName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        user_name(name)
            .map(|name| Self(name.into_owned()))
            .map_err(|why| format!("{why}; allowed: users' names"))
    }
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
    pub(super) const NAMES: [&str; 9] = [
        "channel_binding",
        "proxies",
        "external",
        "saslauthd",
        "saslauthd_users",
        "saslauthd_service",
        "saslauthd_realm",
        "saslauthd_seconds",
        "saslauthd_at_once",
    ];

    pub(super) fn read(&mut self, table: &Section<'_, '_>) {
        table.read("channel_binding", &mut self.channel_binding, truth);
        table.read("proxies", &mut self.proxies, |value| {
            list::<UserName>(value).map(|names| names.into_iter().map(|name| name.0).collect())
        });
        table.read("external", &mut self.external, |value| match text(value)?.as_str() {
            "off" => Ok(External::Off),
            "common_name" => Ok(External::CommonName),
            "dns_name" => Ok(External::DnsName),
            "mail" => Ok(External::Mail),
            _ => Err("allowed: \"off\", \"common_name\", \"dns_name\" or \"mail\"".into()),
        });
    }
}

impl fmt::Display for AuthSettings {
    /// As in the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let proxies: Vec<String> =
            self.proxies.iter().map(|name| toml::Value::String(name.clone()).to_string()).collect();
        writeln!(f, "channel_binding = {}", self.channel_binding)?;
        writeln!(f, "proxies = [{}]", proxies.join(", "))?;
        writeln!(f, "external = \"{}\"", self.external.name())
    }
}

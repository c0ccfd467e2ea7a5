//! `[admin]`: where operators and their tools are listened to.

use std::fmt;
use std::net::IpAddr;

use toml::de::DeValue;

use super::ListenAddr;
use super::read::{Section, list};

pub(super) const NAMES: [&str; 1] = ["listen"];

/// The admin interface: `[admin]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminSettings {
    /// Where to listen; nowhere, if it is empty. Relative paths of sockets count from the data directory.
    pub listen: Vec<ListenAddr>,
}

impl Default for AdminSettings {
    fn default() -> Self {
        Self { listen: vec![ListenAddr::Unix("./admin.sock".into())] }
    }
}

impl AdminSettings {
    /// Other hosts can reach it, and are spoken to in TLS alone.
    #[must_use]
    pub fn needs_tls(&self) -> bool {
        self.listen.iter().any(|address| !address.is_local())
    }

    pub(super) fn read(&mut self, table: &Section<'_, '_>) {
        table.read("listen", &mut self.listen, addresses);
    }

    /// Writes the table, so that [`read`](Self::read) reads the same.
    pub(super) fn print(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |address: &ListenAddr| toml::Value::String(address.to_string()).to_string();
        let addresses: Vec<_> = self.listen.iter().map(quoted).collect();
        writeln!(f, "\n[admin]\nlisten = [{}]", addresses.join(", "))
    }
}

/// Addresses with their ports: no port is the usual one.
fn addresses(value: &DeValue<'_>) -> Result<Vec<ListenAddr>, String> {
    let texts: Vec<Plain> = list(value)?;
    if texts.iter().any(|Plain(text)| text.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()) {
        return Err("say the port too, as in \"127.0.0.1:3907\"".into());
    }
    texts.iter().map(|Plain(text)| text.parse()).collect()
}

/// A string as it stands.
struct Plain(String);

impl std::str::FromStr for Plain {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self(text.to_owned()))
    }
}

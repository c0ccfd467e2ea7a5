//! `[upstream]`: the master that a replica follows.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use toml::de::DeValue;

use super::{
    MUPDATE_PORT,
    read::{Section, millis, seconds, text, truth},
    server_name,
};

/// The master that a replica follows, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// Where it is; without it there is none.
    pub host: Option<UpstreamHost>,
    /// Whom to log in as.
    pub user: String,
    /// The file with the password in its first line.
    pub password_file: Option<PathBuf>,
    /// Who has to have signed its certificate; without it, any certificate will do.
    pub ca: Option<PathBuf>,
    /// What is asked of STARTTLS.
    pub starttls: StartTls,
    /// How often the master is asked whether everything has come.
    pub noop: Duration,
    /// How long the master may leave anything unanswered.
    pub timeout: Duration,
    /// How long to wait before the second attempt to connect; twice as long after each.
    pub retry: Duration,
    /// How long to wait at most.
    pub retry_max: Duration,
    /// A master that has no mailbox at all is believed.
    pub accept_empty: bool,
}

/// `HOST:PORT`, or `HOST:PORT/tls` where the connection begins with TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamHost {
    /// A name or an address.
    pub name: String,
    /// Its port.
    pub port: u16,
    /// The connection begins with TLS.
    pub tls: bool,
}

/// What is asked of STARTTLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartTls {
    /// Without it there is no connection.
    Require,
    /// It is used where it is offered.
    Prefer,
    /// It is not used, and a password may cross the network in the clear.
    Off,
}

impl Default for UpstreamSettings {
    fn default() -> Self {
        Self {
            host: None,
            user: String::new(),
            password_file: None,
            ca: None,
            starttls: StartTls::Prefer,
            // Cyrus tells of changes every five seconds, or when it is asked.
            noop: Duration::from_secs(1),
            timeout: Duration::from_secs(60),
            retry: Duration::from_secs(1),
            retry_max: Duration::from_secs(30),
            accept_empty: false,
        }
    }
}

impl StartTls {
    fn name(self) -> &'static str {
        match self {
            Self::Require => "require",
            Self::Prefer => "prefer",
            Self::Off => "off",
        }
    }
}

impl UpstreamHost {
    /// What the banner of a replica says of its master.
    pub fn url(&self) -> String {
        format!("mupdate://{}", self.name)
    }

    fn read(value: &DeValue<'_>) -> Result<Option<Self>, String> {
        let said = text(value)?;
        if said.is_empty() {
            return Ok(None);
        }
        let allowed = || "allowed: \"HOST\", \"HOST:PORT\" or \"HOST:PORT/tls\"".to_owned();
        let (place, tls) = match said.strip_suffix("/tls") {
            Some(place) => (place, true),
            None => (said.as_str(), false),
        };
        let (name, port) = match place.rsplit_once(':') {
            // An IPv6 address without brackets has no port.
            Some((name, _)) if name.contains(':') && !name.ends_with(']') => (place, MUPDATE_PORT),
            Some((name, port)) => (name, port.parse().ok().filter(|port| *port != 0).ok_or_else(allowed)?),
            None => (place, MUPDATE_PORT),
        };
        let name = name.trim_matches(['[', ']']);
        server_name(name).map_err(|_| allowed())?;
        if name.contains('/') {
            return Err(allowed());
        }
        Ok(Some(Self { name: name.to_owned(), port, tls }))
    }
}

impl fmt::Display for UpstreamHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.contains(':') {
            true => write!(f, "[{}]:{}", self.name, self.port)?,
            false => write!(f, "{}:{}", self.name, self.port)?,
        }
        f.write_str(if self.tls { "/tls" } else { "" })
    }
}

fn file(value: &DeValue<'_>) -> Result<Option<PathBuf>, String> {
    text(value).map(|path| Some(path).filter(|path| !path.is_empty()).map(PathBuf::from))
}

impl UpstreamSettings {
    /// The keys of `[upstream]`.
    pub(super) const NAMES: [&'static str; 10] = [
        "host",
        "user",
        "password_file",
        "ca",
        "starttls",
        "noop_ms",
        "timeout_seconds",
        "retry_ms",
        "retry_max_ms",
        "accept_empty",
    ];

    pub(super) fn read(&mut self, table: &Section<'_, '_>) {
        table.read("host", &mut self.host, UpstreamHost::read);
        table.read("user", &mut self.user, text);
        table.read("password_file", &mut self.password_file, file);
        table.read("ca", &mut self.ca, file);
        table.read("starttls", &mut self.starttls, |value| match text(value)?.as_str() {
            "require" => Ok(StartTls::Require),
            "prefer" => Ok(StartTls::Prefer),
            "off" => Ok(StartTls::Off),
            _ => Err("allowed: \"require\", \"prefer\" or \"off\"".into()),
        });
        table.read("noop_ms", &mut self.noop, millis(50..=60_000));
        table.read("timeout_seconds", &mut self.timeout, seconds(1..=3600));
        table.read("retry_ms", &mut self.retry, millis(10..=600_000));
        // A raised delay raises the longest, unless that is said too.
        self.retry_max = self.retry_max.max(self.retry);
        table.read("retry_max_ms", &mut self.retry_max, millis(10..=3_600_000));
        table.read("accept_empty", &mut self.accept_empty, truth);
        table.require("host", "user", self.host.is_none() || !self.user.is_empty());
        table.require("host", "password_file", self.host.is_none() || self.password_file.is_some());
        table.require("user", "host", self.host.is_some() || self.user.is_empty());
    }

    /// Paths count from the folder of the file that names them.
    pub(super) fn relative_to(&mut self, folder: &Path) {
        for path in [&mut self.password_file, &mut self.ca].into_iter().flatten() {
            *path = folder.join(&path);
        }
    }

    /// What is allowed but probably not meant, a sentence each.
    pub(super) fn warnings(&self) -> Vec<String> {
        let Some(host) = &self.host else { return Vec::new() };
        let mut warnings = Vec::new();
        if !host.tls && self.starttls == StartTls::Off {
            warnings.push(format!(
                "upstream.starttls is \"off\": passwords and mailbox names cross the network to {host} in the clear"
            ));
        } else if self.ca.is_none() {
            warnings.push(format!(
                "the certificate of {host} is not looked at: set upstream.ca to the authority that has signed it"
            ));
        }
        warnings
    }
}

impl fmt::Display for UpstreamSettings {
    /// The table as the file says it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &dyn fmt::Display| toml::Value::String(text.to_string());
        let file = |path: &Option<PathBuf>| {
            quoted(&path.as_deref().map(|path| path.display().to_string()).unwrap_or_default())
        };
        let host = self.host.as_ref().map(ToString::to_string).unwrap_or_default();
        writeln!(f, "\n[upstream]\nhost = {}", quoted(&host))?;
        writeln!(f, "user = {}", quoted(&self.user))?;
        writeln!(f, "password_file = {}", file(&self.password_file))?;
        writeln!(f, "ca = {}", file(&self.ca))?;
        writeln!(f, "starttls = {}", quoted(&self.starttls.name()))?;
        writeln!(f, "noop_ms = {}", self.noop.as_millis())?;
        writeln!(f, "timeout_seconds = {}", self.timeout.as_secs())?;
        writeln!(f, "retry_ms = {}", self.retry.as_millis())?;
        writeln!(f, "retry_max_ms = {}", self.retry_max.as_millis())?;
        writeln!(f, "accept_empty = {}", self.accept_empty)
    }
}

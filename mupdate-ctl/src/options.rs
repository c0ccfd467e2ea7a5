//! The options that every command has: where the server is, who we are, and how things are shown.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Deserialize;

use crate::fail::Fail;

/// Where the server is, and how things are shown.
#[derive(Debug, Args)]
pub struct Global {
    /// Speak MUPDATE with this server: a host, with a port or not; `/tls` behind it where TLS comes first; or a Unix socket
    #[arg(long, global = true, value_name = "HOST[:PORT][/tls]|PATH", help_heading = PLACE, conflicts_with = "admin")]
    pub server: Option<String>,
    /// Use the admin interface here: a Unix socket, or https://host:port [default: admin.sock in the data directory]
    #[arg(long, global = true, value_name = "PATH|URL", help_heading = PLACE)]
    pub admin: Option<String>,
    /// The data directory of a daemon on this host [default: mupdate-data, or else /var/lib/mupdated]
    #[arg(long, global = true, value_name = "DIR", help_heading = PLACE)]
    pub data_dir: Option<PathBuf>,
    /// Read this file instead of ~/.config/mupdatectl.toml: any of these options, with `_` for `-`
    #[arg(long, global = true, value_name = "FILE", help_heading = PLACE)]
    pub config: Option<PathBuf>,
    /// Log in as this user [environment: MUPDATE_USER; default: murder]
    #[arg(long, global = true, value_name = "NAME", help_heading = LOGIN)]
    pub user: Option<String>,
    /// `--user` stood on the command line.
    #[arg(skip)]
    pub user_named: bool,
    /// Read the password from this file [environment: MUPDATE_PASSWORD; default: first-password in the data directory]
    #[arg(long, global = true, value_name = "FILE", help_heading = LOGIN)]
    pub password_file: Option<PathBuf>,
    /// Send the password even where others may read it
    #[arg(long, global = true, help_heading = LOGIN)]
    pub allow_plaintext: bool,
    /// Log in by this SASL mechanism and no other
    #[arg(long, global = true, value_name = "NAME", help_heading = LOGIN)]
    pub mechanism: Option<String>,
    /// Use TLS by STARTTLS: always, if it is offered, or never [default: prefer; off on this host]
    #[arg(long, global = true, value_name = "WHEN", help_heading = TLS)]
    pub tls: Option<Tls>,
    /// Trust the authorities in this PEM file, and no others [default: those that the system trusts]
    #[arg(long, global = true, value_name = "FILE", help_heading = TLS)]
    pub ca: Option<PathBuf>,
    /// Expect this name in the server's certificate [default: the server's host]
    #[arg(long, global = true, value_name = "NAME", help_heading = TLS)]
    pub tls_name: Option<String>,
    /// Show this certificate, in PEM
    #[arg(long, global = true, value_name = "FILE", help_heading = TLS)]
    pub certificate: Option<PathBuf>,
    /// The key of --certificate, in PEM [default: it is in the same file]
    #[arg(long, global = true, value_name = "FILE", help_heading = TLS)]
    pub key: Option<PathBuf>,
    /// Write JSON for programs: one document, or one line for each item of a list
    // With the type of `bench --json FILE`, which stands in its place there.
    #[arg(long, global = true, num_args = 0, default_missing_value = "-", help_heading = SHOW)]
    pub json: Option<PathBuf>,
    /// Show times in UTC
    #[arg(long, global = true, help_heading = SHOW)]
    pub utc: bool,
}

const PLACE: &str = "Where";
const LOGIN: &str = "Login";
const TLS: &str = "TLS";
const SHOW: &str = "Output";

/// When TLS is asked for by STARTTLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// Always; without it there is no connection
    Require,
    /// If the server offers it
    Prefer,
    /// Never
    Off,
}

/// The environment variable that names the user.
pub const USER: &str = "MUPDATE_USER";

/// The environment variable that holds the password.
pub const PASSWORD: &str = "MUPDATE_PASSWORD";

/// The file in the user's own configuration.
const FILE: &str = "mupdatectl.toml";

/// What the file may say: defaults for the options of the same names, and the password.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    server: Option<String>,
    admin: Option<String>,
    data_dir: Option<PathBuf>,
    user: Option<String>,
    password: Option<String>,
    password_file: Option<PathBuf>,
    allow_plaintext: bool,
    mechanism: Option<String>,
    tls: Option<Tls>,
    ca: Option<PathBuf>,
    tls_name: Option<String>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    utc: bool,
}

/// A password that stands in the file.
pub type Secret = zeroize::Zeroizing<String>;

impl Global {
    /// Takes what the command line leaves open from the file, if there is one. Returns the password in it.
    ///
    /// # Errors
    /// The file cannot be read, is wrong, or has a password that others can read.
    pub fn complete(&mut self) -> Result<Option<Secret>, Fail> {
        self.user_named = self.user.is_some();
        let path = match &self.config {
            Some(path) => path.clone(),
            None => match default_file() {
                Some(path) if path.exists() => path,
                _ => return Ok(self.take_over(File::default(), Path::new(""))),
            },
        };
        let text = std::fs::read_to_string(&path).map_err(|error| Fail::read(&path, &error))?;
        let file: File = toml::from_str(&text)
            .map_err(|error| Fail::usage(format!("{}: {}", path.display(), error.message())))?;
        if file.password.is_some() && readable_by_others(&path) {
            let text = "others can read the password in it; chmod 600 it, or use password_file";
            return Err(Fail::usage(format!("{}: {text}", path.display())));
        }
        // Paths in the file are seen from the file.
        Ok(self.take_over(file, path.parent().unwrap_or(Path::new(""))))
    }

    fn take_over(&mut self, file: File, folder: &Path) -> Option<Secret> {
        let beside = |path: Option<PathBuf>| path.map(|path| folder.join(path));
        // One of the two on the command line is meant instead of either in the file.
        if self.server.is_none() && self.admin.is_none() {
            self.server = file.server;
            self.admin = file.admin.filter(|_| self.server.is_none());
        }
        let or = |option: &mut Option<PathBuf>, file: Option<PathBuf>| *option = option.take().or(file);
        or(&mut self.data_dir, beside(file.data_dir));
        // The environment stands between the command line and the file.
        if std::env::var_os(PASSWORD).is_none() {
            or(&mut self.password_file, beside(file.password_file));
        }
        or(&mut self.ca, beside(file.ca));
        or(&mut self.certificate, beside(file.certificate));
        or(&mut self.key, beside(file.key));
        let user = std::env::var(USER).ok().filter(|user| !user.is_empty());
        self.user = self.user.take().or(user).or(file.user);
        self.mechanism = self.mechanism.take().or(file.mechanism);
        self.tls_name = self.tls_name.take().or(file.tls_name);
        self.tls = self.tls.or(file.tls);
        self.allow_plaintext |= file.allow_plaintext;
        self.utc |= file.utc;
        file.password.map(Secret::new)
    }

    /// Refuse what a measurement would pass over.
    ///
    /// # Errors
    /// One of them was given.
    pub fn for_bench(&self) -> Result<(), Fail> {
        let given = [
            ("--admin", self.admin.is_some()),
            ("--tls", self.tls.is_some_and(|tls| tls != Tls::Off)),
            ("--ca", self.ca.is_some()),
            ("--certificate", self.certificate.is_some()),
            ("--mechanism", self.mechanism.is_some()),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            Some((name, _)) => Err(Fail::usage(format!("bench speaks plain MUPDATE; leave {name} out"))),
            None => Ok(()),
        }
    }

    /// The data directory: the one that was named, the one that a daemon makes where it is started, or systemd's.
    pub fn data_dir(&self) -> PathBuf {
        const SYSTEM: &str = "/var/lib/mupdated";
        let here = mupdate_host::config::Config::default().data_dir;
        self.data_dir.clone().unwrap_or_else(|| {
            if !here.exists() && Path::new(SYSTEM).exists() { SYSTEM.into() } else { here }
        })
    }
}

fn default_file() -> Option<PathBuf> {
    let home = || std::env::home_dir().map(|home| home.join(".config"));
    let folder = std::env::var_os("XDG_CONFIG_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    folder.or_else(home).map(|folder| folder.join(FILE))
}

fn readable_by_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|about| about.permissions().mode() & 0o077 != 0)
}

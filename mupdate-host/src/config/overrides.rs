//! The command line over the file.

use std::path::PathBuf;

use super::{Config, ListenAddr};
use crate::logging::LogSettings;

/// What the command line says over the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--data-dir`
    pub data_dir: Option<PathBuf>,
    /// `--user`
    pub user: Option<String>,
    /// `--listen`, as often as it was given; replaces the file's list.
    pub listen: Vec<ListenAddr>,
    /// `--listen-tls`, likewise.
    pub listen_tls: Vec<ListenAddr>,
    /// `--server-name`
    pub server_name: Option<String>,
    /// `--log`
    pub log: Option<LogSettings>,
}

impl Config {
    /// Puts what the command line says over what the file says.
    #[must_use]
    pub fn with(mut self, overrides: &Overrides) -> Self {
        let Overrides { data_dir, user, listen, listen_tls, server_name, log } = overrides.clone();
        self.data_dir = data_dir.unwrap_or(self.data_dir);
        self.user = user.or(self.user);
        self.server_name = server_name.unwrap_or(self.server_name);
        self.log = log.unwrap_or(self.log);
        if !listen.is_empty() {
            self.listen = listen;
        }
        if !listen_tls.is_empty() {
            self.listen_tls = listen_tls;
        }
        self
    }
}

//! How a daemon's process is begun.

use std::{
    ffi::OsString,
    fmt,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

use super::{Kind, binary, log::Log};

/// What is around the daemon's process.
#[derive(Debug, Clone, Default)]
pub struct Launch {
    /// A program and its arguments that become the daemon, given the daemon's command line behind them: `prlimit`, say.
    pub through: Vec<OsString>,
    /// Variables of its environment, beside those of the test.
    pub environment: Vec<(OsString, OsString)>,
}

impl Launch {
    pub(super) fn spawn(&self, kind: Kind, folder: &Path, listen: &str) -> (Child, Log) {
        let mut words = self.through.iter().cloned().chain([binary(kind).into()]);
        let mut child = Command::new(words.next().expect("the daemon at least"))
            .args(words)
            .arg("--config")
            .arg(folder.join("mupdated.toml"))
            .arg("--data-dir")
            .arg(folder.join("data"))
            .args(["--listen", listen, "--listen"])
            .arg(folder.join("socket"))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the daemon was built");
        let log = Log::follow(child.stderr.take().expect("it is piped"));
        (child, log)
    }
}

/// How a daemon ended that was expected to serve.
#[derive(Debug)]
pub struct Refusal {
    /// Its end.
    pub status: ExitStatus,
    /// What it said on standard error.
    pub said: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.status, self.said)
    }
}

/// Waits until the daemon serves; where. `None`: it has ended instead.
///
/// # Panics
/// Neither happens, or it does not say where.
pub(super) fn address(log: &Log) -> Option<SocketAddr> {
    let line = log.find(" serves as ", 1)?;
    let address = line.split_once("listen=\"").and_then(|(_, rest)| rest.split([' ', '"']).next());
    let address = address.and_then(|address| address.parse().ok());
    Some(address.unwrap_or_else(|| panic!("no address in {line}")))
}

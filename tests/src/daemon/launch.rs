//! How a daemon's process is begun.

use std::{
    ffi::OsString,
    fmt,
    net::SocketAddr,
    os::fd::OwnedFd,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
};

use super::{Kind, binary, log::Log};

/// What is around the daemon's process.
#[derive(Debug, Clone, Default)]
pub struct Launch {
    /// A program and its arguments that become the daemon, given the daemon's command line behind them: `prlimit`, say.
    pub through: Vec<OsString>,
    /// Variables of its environment, beside those of the test.
    pub environment: Vec<(OsString, OsString)>,
    /// Sockets that it is passed as systemd does, two at most, and their names.
    pub passed: Vec<(String, Arc<OwnedFd>)>,
}

/// Becomes the daemon, with standard input and output as the sockets that are passed. A child's other files are closed.
const PASSES: &str = r#"exec env LISTEN_PID=$$ "$@" 3<&0 4<&1 0</dev/null 1>/dev/null"#;

impl Launch {
    pub(super) fn spawn(&self, kind: Kind, folder: &Path, listen: &str) -> (Child, Log) {
        let mut words: Vec<OsString> = self.through.iter().cloned().chain([binary(kind).into()]).collect();
        let socket = |at: usize| match self.passed.get(at) {
            Some((_, socket)) => socket.try_clone().expect("the system has files left").into(),
            None => Stdio::null(),
        };
        if !self.passed.is_empty() {
            assert!(self.passed.len() <= 2, "there is nowhere to put more");
            let names: Vec<&str> = self.passed.iter().map(|(name, _)| name.as_str()).collect();
            let told = [
                "sh".into(),
                "-c".into(),
                PASSES.into(),
                "sh".into(),
                format!("LISTEN_FDS={}", names.len()).into(),
                format!("LISTEN_FDNAMES={}", names.join(":")).into(),
            ];
            words.splice(..0, told);
        }
        let mut words = words.into_iter();
        let mut child = Command::new(words.next().expect("the daemon at least"))
            .args(words)
            .arg("--config")
            .arg(folder.join("mupdated.toml"))
            .arg("--data-dir")
            .arg(folder.join("data"))
            .args(["--listen", listen, "--listen"])
            .arg(folder.join("socket"))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(socket(0))
            .stdout(if self.passed.len() > 1 { socket(1) } else { Stdio::inherit() })
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
    // In lines for people, and in JSON.
    let behind = line.split_once("listen=\"").or_else(|| line.split_once("\"listen\":\""));
    let addresses = behind.and_then(|(_, rest)| rest.split('"').next());
    // The first that has a port: paths of Unix sockets stand there too.
    let address = addresses.and_then(|all| all.split(' ').find_map(|address| address.parse().ok()));
    Some(address.unwrap_or_else(|| panic!("no address in {line}")))
}

//! A service manager, as far as a daemon sees of it: the socket at which it wants to be told, and the variables that say so.

use std::{
    io::ErrorKind,
    os::unix::net::UnixDatagram,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::daemon::{DEADLINE, Launch};

/// Hears what a daemon tells its manager.
pub struct Manager {
    socket: UnixDatagram,
    name: String,
    watchdog: Option<Duration>,
    /// Where the socket is, if it has a file.
    _folder: Option<TempDir>,
}

impl Manager {
    /// One whose socket is a file.
    ///
    /// # Panics
    /// The system refuses.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("the folder is ours");
        Self { socket, name: path.display().to_string(), watchdog: None, _folder: Some(folder) }
    }

    /// One whose socket has a name that is no file's.
    ///
    /// # Panics
    /// The system refuses.
    #[cfg(target_os = "linux")]
    pub fn without_file() -> Self {
        use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};
        let name = format!("mupdate-tests-{}-{}", std::process::id(), fastrand::u64(..));
        let address = SocketAddr::from_abstract_name(&name).expect("short");
        let socket = UnixDatagram::bind_addr(&address).expect("nobody has that name");
        Self { socket, name: format!("@{name}"), watchdog: None, _folder: None }
    }

    /// It gives daemons up that have not shown for this time that they live. (It only says so.)
    #[must_use]
    pub fn with_watchdog(self, time: Duration) -> Self {
        Self { watchdog: Some(time), ..self }
    }

    /// Has a daemon be started by it.
    pub fn starts(&self, launch: &mut Launch) {
        launch.environment.push(("NOTIFY_SOCKET".into(), self.name.clone().into()));
        if let Some(time) = self.watchdog {
            launch.environment.push(("WATCHDOG_USEC".into(), time.as_micros().to_string().into()));
        }
    }

    /// The lines of the next message that has one which begins like this. Others before it are dropped.
    ///
    /// # Panics
    /// None comes.
    pub fn hear(&self, line: &str) -> Vec<String> {
        self.hear_within(line, DEADLINE).unwrap_or_else(|| panic!("the manager is not told {line}"))
    }

    /// The same, if it comes within this time.
    ///
    /// # Panics
    /// The socket is broken.
    pub fn hear_within(&self, line: &str, time: Duration) -> Option<Vec<String>> {
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            self.socket.set_read_timeout(Some(left)).expect("not zero");
            let mut octets = [0; 4096];
            let length = match self.socket.recv(&mut octets) {
                Ok(length) => length,
                Err(error) if [ErrorKind::WouldBlock, ErrorKind::Interrupted].contains(&error.kind()) => {
                    continue;
                }
                Err(error) => panic!("the manager hears nothing: {error}"),
            };
            let text = String::from_utf8(octets[..length].to_vec()).expect("text");
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            if lines.iter().any(|said| said.starts_with(line)) {
                return Some(lines);
            }
        }
    }
}

impl Default for Manager {
    fn default() -> Self {
        Self::new()
    }
}

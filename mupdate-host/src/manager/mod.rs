//! The service manager, which on Debian is systemd: what it is told, the proof of life that its watchdog wants, and the
//! sockets that it passes.
//!
//! It says by its environment what it wants, and this is read once, before there are other threads. What is left of the
//! variables is nothing to anybody else, as the daemon starts no program.

mod address;
mod passed;
mod pulse;
mod words;

use std::{
    io,
    os::unix::net::UnixDatagram,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sd_notify::NotifyState;
use tracing::warn;

use self::address::address;
pub use self::passed::{Passed, Purpose};
pub use self::pulse::{Answer, Ask, Pulse};
use crate::store::Progress;

/// Where it wants to be told, as sd_notify(3) has it.
const SOCKET: &str = "NOTIFY_SOCKET";

/// A manager that takes nothing for that long is done without.
const PATIENCE: Duration = Duration::from_secs(5);

/// While a start makes progress, it may take so much longer, said anew as often as the second.
const MORE_TIME: Duration = Duration::from_secs(60);
const SAID_EVERY: Duration = Duration::from_secs(1);

/// Whoever has started the daemon and wants to hear how it is. Without such a one, nothing that is said here goes anywhere.
#[derive(Debug, Clone, Default)]
pub struct Manager {
    line: Option<Arc<Line>>,
    watchdog: Option<Duration>,
}

#[derive(Debug)]
struct Line {
    socket: UnixDatagram,
    to: std::os::unix::net::SocketAddr,
    /// What it was told last of how we are.
    status: Mutex<String>,
}

impl Manager {
    /// The one that the environment names.
    pub fn of_environment() -> Self {
        let Some(socket) = std::env::var_os(SOCKET).filter(|socket| !socket.is_empty()) else {
            return Self::default();
        };
        let watchdog = sd_notify::watchdog_enabled().filter(|time| !time.is_zero());
        match Self::at(Path::new(&socket), watchdog) {
            Ok(manager) => manager,
            Err(error) => {
                warn!(%error, "the service manager cannot be told anything at {}", socket.display());
                Self::default()
            }
        }
    }

    /// One that listens here, and gives the daemon up when it has heard no proof of life for the time of its watchdog.
    ///
    /// # Errors
    /// That is no address, or there is no socket left to tell it with.
    pub fn at(socket: &Path, watchdog: Option<Duration>) -> io::Result<Self> {
        let to = address(socket)?;
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { line: Some(Arc::new(Line { socket, to, status: Mutex::default() })), watchdog })
    }

    /// Is there one?
    pub fn is_there(&self) -> bool {
        self.line.is_some()
    }

    /// How long it waits for a proof of life, if it does.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// How the daemon is, in a line for people; nothing if that was said before.
    pub fn status(&self, text: &str) {
        self.say(&[], text);
    }

    /// It serves.
    pub fn ready(&self, status: &str) {
        self.say(&[NotifyState::Ready], status);
    }

    /// Its configuration is read again; [`ready`](Self::ready) when that is done.
    pub fn reloading(&self) {
        // The time tells the manager which of its wishes this answers.
        let now = NotifyState::monotonic_usec_now();
        let states: Vec<_> = [Some(NotifyState::Reloading), now.ok()].into_iter().flatten().collect();
        self.say(&states, "reading the configuration again");
    }

    /// It ends.
    pub fn stopping(&self) {
        self.say(&[NotifyState::Stopping], "saying goodbye");
    }

    /// It lives, and this is how it is.
    fn alive(&self, status: &str) {
        self.say(&[NotifyState::Watchdog], status);
    }

    /// What a long start tells of itself: each sign of progress gains it more time.
    pub fn progress(&self) -> Progress {
        if !self.is_there() {
            return Progress::default();
        }
        let (manager, said) = (self.clone(), Mutex::new(None::<Instant>));
        Progress::new(move |done, all| {
            let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
            if done < all && said.is_some_and(|said| said.elapsed() < SAID_EVERY) {
                return;
            }
            *said = Some(Instant::now());
            let more = u32::try_from(MORE_TIME.as_micros()).unwrap_or(u32::MAX);
            let status = format!("checking the database: {}%", done.saturating_mul(100) / all.max(1));
            manager.say(&[NotifyState::ExtendTimeoutUsec(more)], &status);
        })
    }

    fn say(&self, states: &[NotifyState<'_>], status: &str) {
        let Some(line) = &self.line else { return };
        let status: String = status.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
        let mut said = line.status.lock().unwrap_or_else(PoisonError::into_inner);
        let news = *said != status;
        let mut text: String = states.iter().map(|state| format!("{state}\n")).collect();
        if news {
            text.push_str(&format!("{}\n", NotifyState::Status(&status)));
        }
        if text.is_empty() {
            return;
        }
        match line.socket.send_to_addr(text.as_bytes(), &line.to) {
            Ok(_) => *said = status,
            // It will notice by itself, and what it does then it was told by its unit.
            Err(error) => warn!(%error, "the service manager could not be told"),
        }
    }
}

#[cfg(test)]
mod tests;

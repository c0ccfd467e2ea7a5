//! Passwords that somebody else knows: PAM, LDAP, Kerberos, by way of `saslauthd`.
//!
//! It may be slow, or hang; so it has threads of its own, which nobody waits for whose password is in the users file, and
//! a question that has waited for its whole time is answered without being asked. What went wrong is told to the log
//! once in a while, and to the peer as something that passes: nobody has guessed a password then.

mod mux;

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mupdate_core::server::AuthReply;
use tracing::{error, info, warn};

use super::{Credentials, Done};
use crate::config::SaslauthdSettings;
use crate::password_pool::PasswordPool;
use crate::sync::{Mutex, lock};
use mux::Mux;

/// Questions that can wait for each thread.
const WAITING: usize = 16;

/// Trouble is logged no more often than this.
const LOGGED: Duration = Duration::from_secs(30);

/// What comes of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is the password.
    Yes,
    /// It is not, or there is no such user.
    No,
    /// Nobody knows.
    Unavailable,
}

/// What asks `saslauthd`.
pub(super) struct Saslauthd {
    settings: SaslauthdSettings,
    mux: Mux,
    /// How long the last refusal took, in microseconds.
    refusal: AtomicU64,
    trouble: Mutex<Trouble>,
}

/// What the log has been told.
#[derive(Default)]
struct Trouble {
    told: Option<Instant>,
    /// Logins since then that came to nothing.
    logins: u64,
}

/// A question that waits for a thread.
struct Question {
    credentials: Credentials,
    deadline: Instant,
    done: Done,
}

/// The threads that ask, and the questions that wait for them.
pub(super) struct Pool {
    saslauthd: Arc<Saslauthd>,
    queue: PasswordPool<Question>,
}

impl Pool {
    /// Starts the threads, if `saslauthd` is configured. `work` is called on them, and has until the deadline.
    ///
    /// # Errors
    /// The operating system refuses a thread.
    pub fn start(
        settings: &SaslauthdSettings,
        work: impl Fn(&Saslauthd, &Credentials, Instant) -> AuthReply + Send + Sync + 'static,
    ) -> io::Result<Option<Self>> {
        let Some(saslauthd) = Saslauthd::new(settings).map(Arc::new) else { return Ok(None) };
        if let Some(warning) = warning(settings) {
            warn!("{warning}");
        }
        let threads = settings.at_once;
        let asks = Arc::clone(&saslauthd);
        let queue = PasswordPool::start(threads, threads * WAITING, move |question: Question| {
            let Question { credentials, deadline, done } = question;
            done(work(&asks, &credentials, deadline));
        })?;
        Ok(Some(Self { saslauthd, queue }))
    }

    /// What is asked.
    pub fn saslauthd(&self) -> &Arc<Saslauthd> {
        &self.saslauthd
    }

    /// Has a thread look at these credentials; gives them back if too many wait already.
    ///
    /// # Errors
    /// The credentials.
    pub fn submit(&self, credentials: Credentials, done: Done) -> Result<(), (Credentials, Done)> {
        let deadline = Instant::now() + self.saslauthd.settings.timeout;
        let question = Question { credentials, deadline, done };
        self.queue.submit(question).map_err(|question| (question.credentials, question.done))
    }
}

impl Saslauthd {
    fn new(settings: &SaslauthdSettings) -> Option<Self> {
        let mux = Mux::new(settings.socket.as_deref()?, settings);
        let (settings, refusal, trouble) = (settings.clone(), AtomicU64::new(0), Mutex::default());
        Some(Self { settings, mux, refusal, trouble })
    }

    /// How it is configured.
    pub fn settings(&self) -> &SaslauthdSettings {
        &self.settings
    }

    /// Asks, and waits for the answer.
    pub fn ask(&self, user: &str, password: &[u8], deadline: Instant) -> Answer {
        let asked = Instant::now();
        match self.mux.ask(user, password, deadline) {
            Ok(is_right) => {
                self.well();
                if is_right {
                    return Answer::Yes;
                }
                let took = u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX);
                self.refusal.store(took, Ordering::Relaxed);
                Answer::No
            }
            Err(error) => {
                self.complain(&error);
                Answer::Unavailable
            }
        }
    }

    /// How long its last refusal took. Who is refused without being asked about is kept waiting for as long, or else the
    /// time would tell who is known where.
    pub fn refusal_takes(&self) -> Duration {
        Duration::from_micros(self.refusal.load(Ordering::Relaxed))
    }

    fn complain(&self, error: &io::Error) {
        let mut trouble = lock(&self.trouble);
        trouble.logins += 1;
        if trouble.told.is_none_or(|told| told.elapsed() >= LOGGED) {
            let (socket, logins) = (self.mux.socket().display(), trouble.logins);
            error!(%socket, %error, logins, "saslauthd cannot be asked; its users cannot log in");
            *trouble = Trouble { told: Some(Instant::now()), logins: 0 };
        }
    }

    /// Tells that trouble is over, and not for every answer among failures.
    fn well(&self) {
        let mut trouble = lock(&self.trouble);
        if trouble.told.is_some_and(|told| told.elapsed() >= LOGGED) {
            info!(socket = %self.mux.socket().display(), "saslauthd answers again");
            *trouble = Trouble::default();
        }
    }
}

/// What is wrong with the socket, as far as one can see from here.
pub fn warning(settings: &SaslauthdSettings) -> Option<String> {
    let socket = settings.socket.as_deref()?;
    let shown = socket.display();
    match fs::metadata(socket) {
        Ok(found) if found.file_type().is_socket() => None,
        Ok(_) => Some(format!("auth.saslauthd: {shown} is no socket")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(format!(
            "auth.saslauthd: there is no {shown}: does saslauthd run, with -m for another directory?"
        )),
        Err(error) => Some(format!(
            "auth.saslauthd: cannot look at {shown}: {error}; the daemon's user may have to be in the group sasl"
        )),
    }
}

#[cfg(test)]
mod tests;

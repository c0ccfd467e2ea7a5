//! The system log of the sandbox: what Cyrus says there, as events to wait for.

use std::{
    os::unix::net::UnixDatagram,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use mupdate_tests::daemon::DEADLINE;

/// Everything that was logged since the start.
#[derive(Default)]
pub struct Syslog {
    lines: Mutex<Vec<String>>,
    came: Condvar,
}

impl Syslog {
    /// Listens on `/dev/log`, from now on.
    pub fn listen() -> Arc<Self> {
        let socket = UnixDatagram::bind("/dev/log").expect("/dev is ours");
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        std::fs::set_permissions("/dev/log", open).expect("it is ours");
        let log = Arc::<Self>::default();
        let filled = Arc::clone(&log);
        thread::spawn(move || {
            let mut octets = [0; 8192];
            while let Ok(length) = socket.recv(&mut octets) {
                filled.lock().push(String::from_utf8_lossy(&octets[..length]).trim_end().to_owned());
                filled.came.notify_all();
            }
        });
        log
    }

    /// How many lines of a program hold this text.
    pub fn count(&self, program: &str, text: &str) -> usize {
        count(&self.lock(), program, text)
    }

    /// Waits until more than `before` lines of a program hold this text.
    ///
    /// # Panics
    /// They do not come.
    pub fn wait(&self, program: &str, text: &str, before: usize) {
        let (lines, waited) = self
            .came
            .wait_timeout_while(self.lock(), DEADLINE, |lines| count(lines, program, text) <= before)
            .unwrap_or_else(PoisonError::into_inner);
        drop(lines);
        assert!(!waited.timed_out(), "{program} never says \"{text}\"");
    }

    /// The last lines, for whoever looks for a reason.
    pub fn tail(&self) -> String {
        let lines = self.lock();
        let telling: Vec<_> = lines.iter().filter(|line| !line.contains("saslpasswd2")).cloned().collect();
        telling[telling.len().saturating_sub(40)..].join("\n")
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(lines: &[String], program: &str, text: &str) -> usize {
    lines.iter().filter(|line| line.contains(program) && line.contains(text)).count()
}

//! What a daemon says on standard error, line by line.

use std::{
    io::{BufRead, BufReader, Read},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use super::DEADLINE;

/// A log that is being read.
pub(super) struct Log(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<String>,
    ended: bool,
}

impl Log {
    /// Reads to the end, on a thread of its own.
    pub fn follow(stderr: impl Read + Send + 'static) -> Self {
        let shared = Arc::<Shared>::default();
        let reader = Arc::clone(&shared);
        thread::spawn(move || {
            for line in BufReader::new(stderr).split(b'\n') {
                let Ok(line) = line else { break };
                reader.lock().lines.push(String::from_utf8_lossy(&line).into_owned());
                reader.changed.notify_all();
            }
            reader.lock().ended = true;
            reader.changed.notify_all();
        });
        Self(shared)
    }

    /// Waits for a line that holds this text, from the first line on.
    ///
    /// # Panics
    /// None comes.
    pub fn wait_for(&self, text: &str) -> String {
        self.find(text, 1).unwrap_or_else(|| panic!("no \"{text}\" in the log:\n{}", self.text()))
    }

    /// Waits for the nth such line, or for the end of the log.
    pub fn find(&self, text: &str, nth: usize) -> Option<String> {
        let found =
            |state: &State| state.lines.iter().filter(|line| line.contains(text)).nth(nth - 1).cloned();
        let (state, _) = self
            .0
            .changed
            .wait_timeout_while(self.0.lock(), DEADLINE, |state| found(state).is_none() && !state.ended)
            .unwrap_or_else(PoisonError::into_inner);
        found(&state)
    }

    /// Waits until the program has closed its standard error, which it does at its end.
    ///
    /// # Panics
    /// It does not.
    pub fn wait_for_end(&self) {
        assert!(self.ends_within(DEADLINE), "it does not end:\n{}", self.text());
    }

    /// Does it end within this time?
    pub fn ends_within(&self, time: Duration) -> bool {
        let (state, _) = self
            .0
            .changed
            .wait_timeout_while(self.0.lock(), time, |state| !state.ended)
            .unwrap_or_else(PoisonError::into_inner);
        state.ended
    }

    /// All of it.
    pub fn text(&self) -> String {
        self.0.lock().lines.join("\n")
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

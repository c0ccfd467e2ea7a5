//! What the writer counts for the operator, beside [`WriterStats`](super::WriterStats).

use std::sync::atomic::{AtomicU64, Ordering};

use mupdate_core::directory::{Action, Refusal, Verdict};
use mupdate_core::server::CommandKind;

use crate::metrics::Histogram;

/// What came of a change that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Something changed.
    Changed,
    /// It was so already.
    Repeated,
    /// The rules are against it.
    Refused,
    /// The role of who asked is.
    Denied,
    /// A fuse of who asked has blown.
    Held,
    /// It could not be written, or the daemon was going down.
    Failed,
}

/// How many changes came out how, by command.
#[derive(Debug, Default)]
pub struct Decisions([[AtomicU64; Decision::ALL.len()]; 4]);

/// How long writing takes, and how much is written at a time.
#[derive(Debug)]
pub struct Times {
    /// Changes in a batch.
    pub batch: Histogram,
    /// From the beginning of a transaction until it is durable.
    pub transaction: Histogram,
    /// Its last part: writing and syncing.
    pub commit: Histogram,
}

impl Decision {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Changed, Self::Repeated, Self::Refused, Self::Denied, Self::Held, Self::Failed];

    /// Its name in small letters.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Repeated => "repeated",
            Self::Refused => "refused",
            Self::Denied => "denied",
            Self::Held => "held",
            Self::Failed => "failed",
        }
    }

    pub(super) fn of(verdict: &Verdict, changed: bool) -> Self {
        match verdict {
            Ok(()) if changed => Self::Changed,
            Ok(()) => Self::Repeated,
            Err(Refusal::Held { .. }) => Self::Held,
            Err(refusal) if refusal.is_of_the_principal() => Self::Denied,
            Err(_) => Self::Refused,
        }
    }
}

impl Decisions {
    /// How many changes by this command came out so; there are none by commands that change nothing.
    #[must_use]
    pub fn of(&self, kind: CommandKind, decision: Decision) -> u64 {
        row(kind).map_or(0, |row| self.0[row][decision as usize].load(Ordering::Relaxed))
    }

    pub(super) fn add(&self, action: &Action, decision: Decision) {
        if let Some(row) = row(action.into()) {
            self.0[row][decision as usize].fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn row(kind: CommandKind) -> Option<usize> {
    match kind {
        CommandKind::Reserve => Some(0),
        CommandKind::Activate => Some(1),
        CommandKind::Deactivate => Some(2),
        CommandKind::Delete => Some(3),
        _ => None,
    }
}

impl Default for Times {
    fn default() -> Self {
        Self {
            batch: Histogram::of_sizes(),
            transaction: Histogram::of_times(),
            commit: Histogram::of_times(),
        }
    }
}

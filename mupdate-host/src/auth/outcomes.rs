//! How logins came out, by mechanism.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{LoginCounts, Mechanism};

/// How a login came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Accepted from the memory of verified logins.
    Remembered,
    /// Accepted after a hash, a proof of SCRAM, or by `saslauthd`.
    Verified,
    /// Wrong user or password.
    Failed,
    /// Refused unseen, since too many were waiting.
    Busy,
    /// Refused unseen, since too many had failed.
    Unseen,
    /// `saslauthd` did not answer.
    Unavailable,
    /// Not offered here, malformed, or not permitted.
    Refused,
}

/// The counts: a row for each mechanism, and one for those that we do not speak.
#[derive(Debug, Default)]
pub(super) struct Outcomes([[AtomicU64; Outcome::ALL.len()]; Mechanism::ALL.len() + 1]);

impl Outcome {
    const ALL: [Self; 7] = [
        Self::Remembered,
        Self::Verified,
        Self::Failed,
        Self::Busy,
        Self::Unseen,
        Self::Unavailable,
        Self::Refused,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Remembered => "remembered",
            Self::Verified => "verified",
            Self::Failed => "failed",
            Self::Busy => "busy",
            Self::Unseen => "unseen",
            Self::Unavailable => "unavailable",
            Self::Refused => "refused",
        }
    }
}

impl Outcomes {
    pub fn add(&self, mechanism: Option<Mechanism>, outcome: Outcome) {
        let known = mechanism.and_then(|wanted| Mechanism::ALL.iter().position(|known| *known == wanted));
        let row = known.unwrap_or(Mechanism::ALL.len());
        self.0[row][outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// All of them, with the names of mechanisms and outcomes.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let names = Mechanism::ALL.iter().map(|mechanism| mechanism.name()).chain(["unknown"]);
        names.zip(&self.0).flat_map(|(name, row)| {
            let count = move |outcome: Outcome| {
                (name, outcome.as_str(), row[outcome as usize].load(Ordering::Relaxed))
            };
            Outcome::ALL.into_iter().map(count)
        })
    }

    /// Over all mechanisms.
    pub fn sums(&self) -> LoginCounts {
        let of =
            |outcome: Outcome| self.0.iter().map(|row| row[outcome as usize].load(Ordering::Relaxed)).sum();
        LoginCounts {
            remembered: of(Outcome::Remembered),
            verified: of(Outcome::Verified),
            failed: of(Outcome::Failed),
            busy: of(Outcome::Busy),
            unseen: of(Outcome::Unseen),
            unavailable: of(Outcome::Unavailable),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mechanism_has_a_row_and_what_is_unknown_another() {
        let outcomes = Outcomes::default();
        for (at, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, at);
        }
        for mechanism in Mechanism::ALL.map(Some).into_iter().chain([None]) {
            outcomes.add(mechanism, Outcome::Failed);
        }
        let failed = outcomes.all().filter(|(_, outcome, _)| *outcome == "failed");
        assert!(failed.map(|(_, _, count)| count).all(|count| count == 1));
        assert_eq!(outcomes.sums().failed, Mechanism::ALL.len() as u64 + 1);
        assert_eq!(outcomes.all().map(|(_, _, count)| count).sum::<u64>(), outcomes.sums().failed);
    }
}

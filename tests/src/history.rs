//! What clients know of a directory, and whether what is found after a crash can be.
//!
//! Every change writes a value that no other change of that name writes (a location or an ACL of its own), so that what
//! is found names the change that it comes from. Time is counted in [`Moment`]s, drawn by all clients from one [`Clock`].
//!
//! - **Lost**: what is found was overwritten by a change that was answered OK, or that somebody has seen.
//! - **Invented**: what is found was never asked for, or was refused.
//! - A change that was not answered may have happened or not.

use std::{
    collections::BTreeMap,
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::client::Row;

/// A point in the time of all clients.
pub type Moment = u64;

/// The time of all clients.
#[derive(Debug, Default)]
pub struct Clock(AtomicU64);

impl Clock {
    /// Now: later than every moment that was drawn before.
    pub fn now(&self) -> Moment {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }
}

/// How a change went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was not answered.
    Open,
    /// It was answered OK, or seen by somebody, at this moment.
    Done(Moment),
    /// It was answered NO.
    Refused,
}

/// A change of one name, as the client that asked for it knows it.
#[derive(Debug, Clone)]
pub struct Change {
    /// Which client; one client's changes happen in the sequence in which they are recorded.
    pub client: usize,
    /// When it was sent.
    pub sent: Moment,
    /// What it makes of the name: a mailbox, a reservation, or nothing.
    pub value: Option<Row>,
    /// How it went.
    pub outcome: Outcome,
}

impl Change {
    /// Did `self` certainly happen after `other`?
    fn follows(&self, other: &Self) -> bool {
        match other.outcome {
            _ if self.client == other.client => self.sent > other.sent,
            Outcome::Done(at) => self.sent > at,
            Outcome::Open | Outcome::Refused => false,
        }
    }

    fn done(&self) -> bool {
        matches!(self.outcome, Outcome::Done(_))
    }
}

/// What is wrong with a name.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// A change that was acknowledged is gone.
    Lost(String),
    /// Something is there that nobody asked for, or that was refused.
    Invented(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(text) => write!(f, "LOST: {text}"),
            Self::Invented(text) => write!(f, "INVENTED: {text}"),
        }
    }
}

/// Everything that is known of a directory since it was last looked at.
#[derive(Debug, Default)]
pub struct History {
    /// What was there when it was last looked at.
    base: BTreeMap<String, Row>,
    changes: BTreeMap<String, Vec<Change>>,
}

impl History {
    /// Enter a change. Those of one client come in the sequence in which they were sent.
    pub fn enter(&mut self, name: String, change: Change) {
        self.changes.entry(name).or_default().push(change);
    }

    /// Changes that were answered OK or seen.
    pub fn acknowledged(&self) -> usize {
        self.changes.values().flatten().filter(|change| change.done()).count()
    }

    /// Changes that were not answered.
    pub fn open(&self) -> usize {
        self.changes.values().flatten().filter(|change| change.outcome == Outcome::Open).count()
    }

    /// Somebody saw this: whatever has brought it about is as good as acknowledged. A deletion can be told from others
    /// only where there was just one.
    pub fn saw(&mut self, row: &Row, at: Moment) {
        let value = value(row);
        let Some(changes) = self.changes.get_mut(row.name()) else { return };
        let mut fitting = changes.iter_mut().filter(|change| change.value == value && change.sent < at);
        if let (Some(only), None) = (fitting.next(), fitting.next())
            && only.outcome == Outcome::Open
        {
            only.outcome = Outcome::Done(at);
        }
    }

    /// From here on nothing else happens to what was not answered: the server has ended in good order.
    pub fn refuse_open(&mut self) {
        for change in self.changes.values_mut().flatten() {
            if change.outcome == Outcome::Open {
                change.outcome = Outcome::Refused;
            }
        }
    }

    /// Compare with everything that is there; what is wrong.
    pub fn judge(&self, found: &BTreeMap<String, Row>) -> Vec<Fault> {
        let nobody = Vec::new();
        let names = self.base.keys().chain(self.changes.keys()).chain(found.keys());
        let names: std::collections::BTreeSet<&String> = names.collect();
        let judge = |name: &&String| {
            let changes = self.changes.get(*name).unwrap_or(&nobody);
            judge(self.base.get(*name), changes, found.get(*name), name).err()
        };
        names.iter().filter_map(judge).collect()
    }

    /// Forget all changes: this is what they came to.
    pub fn settle(&mut self, found: BTreeMap<String, Row>) {
        *self = Self { base: found, changes: BTreeMap::new() };
    }
}

fn value(row: &Row) -> Option<Row> {
    (!matches!(row, Row::Delete { .. })).then(|| row.clone())
}

/// One name.
fn judge(base: Option<&Row>, changes: &[Change], found: Option<&Row>, name: &str) -> Result<(), Fault> {
    let origin = Change { client: usize::MAX, sent: 0, value: base.cloned(), outcome: Outcome::Done(0) };
    let mut overwritten = None;
    for candidate in changes.iter().chain([&origin]) {
        if candidate.value.as_ref() != found || candidate.outcome == Outcome::Refused {
            continue;
        }
        match changes.iter().find(|change| change.done() && change.follows(candidate)) {
            Some(later) => overwritten = Some(later),
            None => return Ok(()),
        }
    }
    let history = || format!("{name}: found {found:?} of {base:?}, {changes:#?}");
    Err(match overwritten {
        Some(later) => Fault::Lost(format!("{later:?}; {}", history())),
        // What is not there was not invented: a name that was reserved or made must be there.
        None if found.is_none() => Fault::Lost(history()),
        None => Fault::Invented(history()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(acl: &str) -> Row {
        Row::mailbox("m", "be1!p", acl)
    }

    /// Changes of `m`: client, moment, ACL or deletion, outcome.
    fn judged(changes: &[(usize, Moment, &str, Outcome)], found: &str) -> Result<(), &'static str> {
        let mut history = History::default();
        history.settle([("m".to_owned(), row("old"))].into());
        for &(client, sent, acl, outcome) in changes {
            let value = (!acl.is_empty()).then(|| row(acl));
            history.enter("m".into(), Change { client, sent, value, outcome });
        }
        let found = if found.is_empty() { None } else { Some(("m".to_owned(), row(found))) };
        match history.judge(&found.into_iter().collect()).pop() {
            None => Ok(()),
            Some(Fault::Lost(_)) => Err("lost"),
            Some(Fault::Invented(_)) => Err("invented"),
        }
    }

    #[test]
    fn what_was_answered_is_there() {
        let changes = [(0, 1, "a", Outcome::Done(2))];
        assert_eq!(judged(&changes, "a"), Ok(()));
        assert_eq!(judged(&changes, "old"), Err("lost"));
        assert_eq!(judged(&changes, ""), Err("lost"));
        assert_eq!(judged(&changes, "b"), Err("invented"));
    }

    #[test]
    fn what_was_not_answered_may_be_there_and_what_was_refused_may_not() {
        for found in ["old", "a"] {
            assert_eq!(judged(&[(0, 1, "a", Outcome::Open)], found), Ok(()));
        }
        assert_eq!(judged(&[(0, 1, "a", Outcome::Refused)], "old"), Ok(()));
        assert_eq!(judged(&[(0, 1, "a", Outcome::Refused)], "a"), Err("invented"));
    }

    #[test]
    fn a_client_has_a_sequence() {
        let changes =
            [(0, 1, "a", Outcome::Done(3)), (0, 2, "b", Outcome::Done(4)), (0, 5, "", Outcome::Open)];
        assert_eq!(judged(&changes, "a"), Err("lost"));
        assert_eq!(judged(&changes, "b"), Ok(()));
        assert_eq!(judged(&changes, ""), Ok(()));
    }

    #[test]
    fn two_at_once_may_come_in_any_sequence_and_one_after_the_other_in_one() {
        let at_once = [(0, 1, "a", Outcome::Done(3)), (1, 2, "b", Outcome::Done(4))];
        assert_eq!(judged(&at_once, "a"), Ok(()));
        assert_eq!(judged(&at_once, "b"), Ok(()));
        let in_turn = [(0, 1, "a", Outcome::Done(2)), (1, 3, "b", Outcome::Done(4))];
        assert_eq!(judged(&in_turn, "a"), Err("lost"));
        assert_eq!(judged(&in_turn, "b"), Ok(()));
    }

    #[test]
    fn what_was_seen_is_as_good_as_answered() {
        let mut history = History::default();
        let change = Change { client: 0, sent: 1, value: Some(row("a")), outcome: Outcome::Open };
        history.enter("m".into(), change);
        assert!(history.judge(&BTreeMap::new()).is_empty());
        history.saw(&row("a"), 2);
        assert_eq!(history.acknowledged(), 1);
        assert!(matches!(history.judge(&BTreeMap::new())[..], [Fault::Lost(_)]));
        history.settle(BTreeMap::new());
        assert!(history.judge(&BTreeMap::new()).is_empty());
    }
}

//! The mass-change fuse: what one principal takes from other servers, or deletes, within a time is counted, and beyond a
//! limit further such changes are held until somebody who knows better says so.
//!
//! A wrong `ctl_mboxlist -m` or a changed server name makes thousands of changes, each of which is right by the rules.
//! XFER counts for nothing: its source deactivates first, so nothing active is taken. This is against mistakes; who means
//! it can deactivate what is another's, too. Against that there are [roles](super::permit).
//!
//! - Only what has become durable counts: [`staged`](Fuses::staged) changes count while their batch is open, so that no
//!   batch is longer than what is left, and go with it if it is [`aborted`](Fuses::aborted).
//! - Memory is bounded: a principal costs some dozens of numbers, and is forgotten when nothing of it counts.
//! - A change counts for the time that is configured, and up to a sixteenth of it longer.
//! - What is held changes nothing, and does not count.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, Instant};

use super::{Change, Event, Record};

/// Steps in which counted changes are forgotten.
const STEPS: u32 = 16;

/// These, and the one that is being filled.
const SLOTS: usize = STEPS as usize + 1;

/// Principals that are counted before those are looked for of whom nothing counts any more.
const MANY: usize = 256;

/// Changes that are dangerous in masses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mass {
    /// An activation that takes an active mailbox from another server.
    Takeover,
    /// A deletion, also as a part of a rename.
    Deletion,
}

impl Mass {
    /// All of them.
    pub const ALL: [Mass; 2] = [Mass::Takeover, Mass::Deletion];

    /// What it is called, many of them.
    pub fn as_str(self) -> &'static str {
        match self {
            Mass::Takeover => "takeovers",
            Mass::Deletion => "deletions",
        }
    }

    /// What a change of a record counts as.
    pub fn of_change(before: Option<&Record>, change: &Change) -> Option<Mass> {
        match change {
            Change::Put { record, takeover_from: Some(from) }
                if from.server() != record.location.server() =>
            {
                Some(Mass::Takeover)
            }
            Change::Remove if before.is_some() => Some(Mass::Deletion),
            Change::Put { .. } | Change::Remove | Change::Nothing => None,
        }
    }

    /// What an event counts as.
    pub fn of_event(event: &Event) -> Option<Mass> {
        match (&event.takeover_from, &event.after) {
            (_, None) => Some(Mass::Deletion),
            (Some(from), Some(after)) if from.server() != after.location.server() => Some(Mass::Takeover),
            (_, Some(_)) => None,
        }
    }
}

impl fmt::Display for Mass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is held of a principal's changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held([bool; 2]);

impl Held {
    /// All may go on.
    pub const NOTHING: Held = Held([false; 2]);

    /// Whether changes of this kind are held.
    pub fn holds(self, mass: Mass) -> bool {
        self.0[mass as usize]
    }
}

/// How many changes a principal may make within a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FuseLimits {
    /// Takeovers from other servers; 0 is without limit.
    pub takeovers: u32,
    /// Deletions; 0 is without limit.
    pub deletions: u32,
    /// Within this time.
    pub within: Duration,
}

impl Default for FuseLimits {
    /// A hundred takeovers in an hour. Deletions are a backend's daily work: expiry alone makes thousands.
    fn default() -> Self {
        Self { takeovers: 100, deletions: 0, within: Duration::from_secs(3600) }
    }
}

impl FuseLimits {
    /// Without any limit.
    pub const OFF: FuseLimits = FuseLimits { takeovers: 0, deletions: 0, within: Duration::from_secs(3600) };

    /// The limit of one kind, if there is one.
    pub fn of(&self, mass: Mass) -> Option<u32> {
        let limit = match mass {
            Mass::Takeover => self.takeovers,
            Mass::Deletion => self.deletions,
        };
        (limit > 0).then_some(limit)
    }
}

/// The fuses of all principals.
#[derive(Debug, Default)]
pub struct Fuses {
    limits: FuseLimits,
    /// Times are told from the first one that was seen.
    epoch: Option<Instant>,
    counts: BTreeMap<String, Counts>,
    blown: BTreeMap<String, BTreeSet<Mass>>,
}

/// Changes of one principal.
#[derive(Debug, Default)]
struct Counts {
    /// Of the open batch.
    staged: [u64; 2],
    /// The step that `slots` has got to.
    step: u64,
    slots: [[u32; 2]; SLOTS],
}

impl Counts {
    /// Forgets what is over.
    fn advance(&mut self, step: u64) {
        let over = step.saturating_sub(self.step).min(SLOTS as u64);
        for passed in 0..over {
            self.slots[slot(step - passed)] = [0; 2];
        }
        self.step = self.step.max(step);
    }

    fn of(&self, mass: Mass) -> u64 {
        let durable: u64 = self.slots.iter().map(|slot| u64::from(slot[mass as usize])).sum();
        durable + self.staged[mass as usize]
    }
}

fn slot(step: u64) -> usize {
    usize::try_from(step % SLOTS as u64).unwrap_or_default()
}

impl Fuses {
    /// Nothing is counted and nothing has blown.
    pub fn new(limits: FuseLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Other limits from now on. What has blown stays so; what was counted counts on, unless the time is another.
    pub fn set_limits(&mut self, limits: FuseLimits) {
        if limits.within != self.limits.within {
            self.counts.clear();
        }
        self.limits = limits;
    }

    /// The limits in force.
    pub fn limits(&self) -> FuseLimits {
        self.limits
    }

    /// What is held of a principal's next change.
    pub fn held(&mut self, principal: &str, now: Instant) -> Held {
        let step = self.step(now);
        let (limits, blown) = (self.limits, self.blown.get(principal));
        let mut counts = self.counts.get_mut(principal);
        if let Some(counts) = &mut counts {
            counts.advance(step);
        }
        Held(Mass::ALL.map(|mass| {
            let full = |limit| counts.as_ref().is_some_and(|counts| counts.of(mass) >= u64::from(limit));
            let blown = blown.is_some_and(|blown| blown.contains(&mass));
            limits.of(mass).is_some_and(|limit| blown || full(limit))
        }))
    }

    /// A change of the open batch counts, if the batch becomes durable.
    pub fn staged(&mut self, principal: &str, mass: Mass) {
        if self.limits.of(mass).is_none() {
            return;
        }
        if !self.counts.contains_key(principal) {
            if self.counts.len() >= MANY {
                self.counts.retain(|_, counts| Mass::ALL.iter().any(|mass| counts.of(*mass) > 0));
            }
            self.counts.insert(principal.to_owned(), Counts::default());
        }
        if let Some(counts) = self.counts.get_mut(principal) {
            counts.staged[mass as usize] += 1;
        }
    }

    /// The open batch has become durable.
    pub fn committed(&mut self, now: Instant) {
        let step = self.step(now);
        for counts in self.counts.values_mut() {
            counts.advance(step);
            for (count, staged) in counts.slots[slot(counts.step)].iter_mut().zip(&mut counts.staged) {
                let staged = std::mem::take(staged);
                *count = count.saturating_add(u32::try_from(staged).unwrap_or(u32::MAX));
            }
        }
    }

    /// Nothing of the open batch has happened.
    pub fn aborted(&mut self) {
        self.counts.values_mut().for_each(|counts| counts.staged = [0; 2]);
    }

    /// A fuse has blown, now or before. True: it is news.
    pub fn blow(&mut self, principal: &str, mass: Mass) -> bool {
        self.blown.entry(principal.to_owned()).or_default().insert(mass)
    }

    /// Somebody who knows better has released the fuses of a principal, and counting begins anew. True: one had blown.
    pub fn release(&mut self, principal: &str) -> bool {
        self.counts.remove(principal);
        self.blown.remove(principal).is_some()
    }

    /// The principals whose fuses have blown, and which.
    pub fn blown(&self) -> impl Iterator<Item = (&str, &BTreeSet<Mass>)> {
        self.blown.iter().map(|(principal, kinds)| (principal.as_str(), kinds))
    }

    fn step(&mut self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(*self.epoch.get_or_insert(now));
        let length = (self.limits.within / STEPS).max(Duration::from_nanos(1));
        u64::try_from(since.as_nanos() / length.as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::State;
    use mupdate_proto::{Acl, Location, MailboxName};
    use std::collections::VecDeque;

    const LIMITS: FuseLimits = FuseLimits { takeovers: 3, deletions: 0, within: Duration::from_secs(160) };

    #[expect(clippy::disallowed_methods, reason = "a test needs some instant to begin with")]
    fn start() -> Instant {
        Instant::now()
    }

    fn holds(fuses: &mut Fuses, now: Instant) -> bool {
        fuses.held("x", now).holds(Mass::Takeover)
    }

    #[test]
    fn what_counts_is_the_same_before_and_after() {
        let at = |location: &'static str| Location::new(location).expect("legal");
        let active = |location| Record { location: at(location), state: State::Active(Acl::new("x")) };
        let put = |location, from: Option<&'static str>| Change::Put {
            record: active(location),
            takeover_from: from.map(at),
        };
        for (before, change, counts) in [
            (None, put("be1!p", None), None),
            (Some("be1!q"), put("be1!p", Some("be1!q")), None),
            (Some("be2!p"), put("be1!p", Some("be2!p")), Some(Mass::Takeover)),
            (Some("be1!p"), Change::Remove, Some(Mass::Deletion)),
            (None, Change::Remove, None),
            (Some("be1!p"), Change::Nothing, None),
        ] {
            let before = before.map(active);
            assert_eq!(Mass::of_change(before.as_ref(), &change), counts, "{change:?}");
            let (after, takeover_from) = match change {
                Change::Put { record, takeover_from } => (Some(record), takeover_from),
                Change::Remove if before.is_some() => (None, None),
                // There is no event of these.
                Change::Remove | Change::Nothing => continue,
            };
            let mailbox = MailboxName::new("m").expect("legal");
            let event = Event { revision: 1, mailbox, before, after, takeover_from };
            assert_eq!(Mass::of_event(&event), counts, "{event:?}");
        }
        assert_eq!(Mass::ALL.map(|mass| mass.to_string()), ["takeovers", "deletions"]);
    }

    #[test]
    fn one_more_than_the_limit_is_held() {
        let (mut fuses, now) = (Fuses::new(LIMITS), start());
        for _ in 0..3 {
            assert!(!holds(&mut fuses, now));
            fuses.staged("x", Mass::Takeover);
        }
        assert!(holds(&mut fuses, now), "what is staged counts");
        assert!(!fuses.held("y", now).holds(Mass::Takeover), "everybody has their own");
        fuses.aborted();
        assert!(!holds(&mut fuses, now), "what has not happened does not count");
        for _ in 0..3 {
            fuses.staged("x", Mass::Takeover);
            fuses.committed(now);
        }
        fuses.aborted();
        assert!(holds(&mut fuses, now));
        for _ in 0..1000 {
            fuses.staged("x", Mass::Deletion);
        }
        assert!(!fuses.held("x", now).holds(Mass::Deletion), "deletions have no limit");
        fuses.staged("z", Mass::Deletion);
        assert!(!fuses.counts.contains_key("z"), "and cost nothing");
    }

    #[test]
    fn what_has_blown_stays_until_it_is_released() {
        let (mut fuses, now) = (Fuses::new(LIMITS), start());
        assert!(fuses.blow("x", Mass::Takeover));
        assert!(!fuses.blow("x", Mass::Takeover), "once");
        assert!(fuses.blow("x", Mass::Deletion));
        let later = now + 100 * LIMITS.within;
        assert!(holds(&mut fuses, later));
        assert!(!fuses.held("x", later).holds(Mass::Deletion), "without a limit nothing is held");
        assert_eq!(
            fuses.blown().map(|(principal, kinds)| (principal, kinds.len())).collect::<Vec<_>>(),
            [("x", 2)]
        );
        fuses.staged("x", Mass::Takeover);
        fuses.committed(later);
        assert!(fuses.release("x"));
        assert!(!fuses.release("x"));
        fuses.set_limits(FuseLimits { deletions: 3, ..LIMITS });
        fuses.blow("y", Mass::Deletion);
        assert!(!fuses.held("y", later).holds(Mass::Takeover), "one kind does not hold the other");
        assert!(fuses.held("y", later).holds(Mass::Deletion));
        for _ in 0..3 {
            assert!(!holds(&mut fuses, later), "counting begins anew");
            fuses.staged("x", Mass::Takeover);
        }
        assert!(holds(&mut fuses, later));
    }

    #[test]
    fn limits_can_change() {
        let (mut fuses, now) = (Fuses::new(LIMITS), start());
        for _ in 0..3 {
            fuses.staged("x", Mass::Takeover);
        }
        fuses.committed(now);
        fuses.set_limits(FuseLimits { takeovers: 4, ..LIMITS });
        assert!(!holds(&mut fuses, now));
        fuses.set_limits(FuseLimits { takeovers: 2, ..LIMITS });
        assert!(holds(&mut fuses, now));
        fuses.set_limits(FuseLimits::OFF);
        assert!(!holds(&mut fuses, now));
        assert_eq!(fuses.limits(), FuseLimits::OFF);
        fuses.set_limits(FuseLimits { within: 2 * LIMITS.within, ..LIMITS });
        assert!(!holds(&mut fuses, now), "what was counted in other steps is forgotten");
        assert_eq!(FuseLimits::default().of(Mass::Takeover), Some(100));
        assert_eq!(FuseLimits::default().of(Mass::Deletion), None);
    }

    /// Against a list of all times, for many paces: never forgotten too early, and never later than a step.
    #[test]
    fn changes_are_forgotten_in_time() {
        let within = LIMITS.within;
        let step = within / STEPS;
        for pace in [1, 3, 7, 10, 11, 40, 53, 54, 161, 171, 1000].map(Duration::from_secs) {
            let (mut fuses, mut now, mut made) = (Fuses::new(LIMITS), start(), VecDeque::new());
            for _ in 0..300 {
                let since = |time: Duration| made.iter().filter(|&&at| now < at + time).count();
                let held = holds(&mut fuses, now);
                assert!(held || since(within) < 3, "pace {pace:?}: forgotten too early");
                assert!(!held || since(within + step) >= 3, "pace {pace:?}: remembered for too long");
                if !held {
                    fuses.staged("x", Mass::Takeover);
                    fuses.committed(now);
                    made.push_back(now);
                }
                now += pace;
            }
        }
    }

    #[test]
    fn who_does_nothing_more_is_forgotten() {
        let (mut fuses, mut now) = (Fuses::new(LIMITS), start());
        for number in 0..100_000 {
            fuses.staged(&format!("x{number}"), Mass::Takeover);
            fuses.committed(now);
            now += LIMITS.within;
            assert!(fuses.counts.len() <= MANY);
        }
    }
}

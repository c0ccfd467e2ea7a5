//! The mass-change fuse: what one principal takes from other servers, or deletes, within a time is counted, and beyond a
//! limit further such changes are held until somebody who knows better says so.
//!
//! A wrong `ctl_mboxlist -m` or a changed server name makes thousands of changes, each of which is right by the rules.
//! XFER counts for nothing: its source deactivates first, so nothing active is taken. This is against mistakes; who means
//! it can deactivate what is another's, too. Against that there are [roles](super::permit()).
//!
//! - Only what has become durable counts: [`staged`](Fuses::staged) changes count while their batch is open, so that no
//!   batch is longer than what is left, and go with it if it is [`aborted`](Fuses::aborted).
//! - Memory is bounded: a principal costs some dozens of numbers, and as many for each of some dozens of servers that it
//!   takes from, and is forgotten when nothing of it counts.
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

/// Servers that are told apart for one principal; changes of more only count by their number.
const SERVERS: usize = 64;

/// So many changes of one server's names go through whatever the share: a server of a few names is not half gone
/// because of two.
const LEAST: u64 = 20;

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
    /// The same in percent of the names that the server has; 0 is without limit.
    pub takeover_share: u8,
    /// Deletions; 0 is without limit.
    pub deletions: u32,
    /// The same in percent of the names that the server has; 0 is without limit.
    pub deletion_share: u8,
    /// Within this time.
    pub within: Duration,
}

impl Default for FuseLimits {
    /// A hundred takeovers in an hour. Deletions are a backend's daily work: expiry alone makes thousands.
    fn default() -> Self {
        Self { takeovers: 100, ..Self::OFF }
    }
}

impl FuseLimits {
    /// Without any limit.
    pub const OFF: FuseLimits = FuseLimits {
        takeovers: 0,
        takeover_share: 0,
        deletions: 0,
        deletion_share: 0,
        within: Duration::from_secs(3600),
    };

    /// The limit of one kind, if there is one.
    pub fn of(&self, mass: Mass) -> Option<u32> {
        let limit = match mass {
            Mass::Takeover => self.takeovers,
            Mass::Deletion => self.deletions,
        };
        (limit > 0).then_some(limit)
    }

    /// The percentage of a server's names, if there is one.
    pub fn share_of(&self, mass: Mass) -> Option<u8> {
        let share = match mass {
            Mass::Takeover => self.takeover_share,
            Mass::Deletion => self.deletion_share,
        };
        (share > 0).then_some(share)
    }

    /// Whether it matters whose names are changed.
    pub fn have_shares(&self) -> bool {
        Mass::ALL.iter().any(|mass| self.share_of(*mass).is_some())
    }

    fn guard(&self, mass: Mass) -> bool {
        self.of(mass).is_some() || self.share_of(mass).is_some()
    }
}

/// The server that has a name which is about to change.
#[derive(Clone, Copy, Debug)]
pub struct Victim<'a> {
    /// Which server.
    pub server: &'a [u8],
    /// How many names it has, that one included.
    pub names: u64,
}

/// The fuses of all principals.
#[derive(Debug, Default)]
pub struct Fuses {
    limits: FuseLimits,
    /// Times are told from the first one that was seen.
    epoch: Option<Instant>,
    counts: BTreeMap<String, Principal>,
    blown: BTreeMap<String, BTreeSet<Mass>>,
}

/// Changes of one principal: all, and those of each server's names, where that matters.
#[derive(Debug, Default)]
struct Principal {
    all: Counts,
    servers: BTreeMap<Vec<u8>, Counts>,
}

impl Principal {
    fn each(&mut self) -> impl Iterator<Item = &mut Counts> {
        self.servers.values_mut().chain([&mut self.all])
    }

    /// The counts of a server's names, if it is one of those that are told apart.
    fn of(&mut self, server: &[u8]) -> Option<&mut Counts> {
        if !self.servers.contains_key(server) {
            if self.servers.len() >= SERVERS {
                self.servers.retain(|_, counts| !counts.are_empty());
            }
            if self.servers.len() < SERVERS {
                self.servers.insert(server.to_vec(), Counts::default());
            }
        }
        self.servers.get_mut(server)
    }
}

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

    fn are_empty(&self) -> bool {
        Mass::ALL.iter().all(|mass| self.of(*mass) == 0)
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

    /// What is held of a principal's next change, which is of a name of `victim`. It need not be said where that does
    /// not [matter](FuseLimits::have_shares).
    pub fn held(&mut self, principal: &str, victim: Option<Victim<'_>>, now: Instant) -> Held {
        let step = self.step(now);
        let (limits, blown) = (self.limits, self.blown.get(principal));
        let (mut all, mut taken) = ([0; 2], [0; 2]);
        if let Some(Principal { all: counts, servers }) = self.counts.get_mut(principal) {
            counts.advance(step);
            all = Mass::ALL.map(|mass| counts.of(mass));
            if let Some(counts) = victim.and_then(|victim| servers.get_mut(victim.server)) {
                counts.advance(step);
                taken = Mass::ALL.map(|mass| counts.of(mass));
            }
        }
        Held(Mass::ALL.map(|mass| {
            let blown = blown.is_some_and(|blown| blown.contains(&mass));
            let full = limits.of(mass).is_some_and(|limit| all[mass as usize] >= u64::from(limit));
            let share = limits.share_of(mass).zip(victim).is_some_and(|(share, victim)| {
                let taken = taken[mass as usize];
                let had = victim.names.saturating_add(taken);
                taken >= LEAST && (taken + 1).saturating_mul(100) > had.saturating_mul(share.into())
            });
            limits.guard(mass) && (blown || full || share)
        }))
    }

    /// A change of the open batch, of a name that `server` had, counts if the batch becomes durable.
    pub fn staged(&mut self, principal: &str, mass: Mass, server: &[u8]) {
        if !self.limits.guard(mass) {
            return;
        }
        if !self.counts.contains_key(principal) {
            if self.counts.len() >= MANY {
                self.counts.retain(|_, counts| !counts.all.are_empty());
            }
            self.counts.insert(principal.to_owned(), Principal::default());
        }
        let share = self.limits.share_of(mass);
        let Some(counts) = self.counts.get_mut(principal) else { return };
        counts.all.staged[mass as usize] += 1;
        if let Some(counts) = share.and_then(|_| counts.of(server)) {
            counts.staged[mass as usize] += 1;
        }
    }

    /// The open batch has become durable.
    pub fn committed(&mut self, now: Instant) {
        let step = self.step(now);
        for counts in self.counts.values_mut().flat_map(Principal::each) {
            counts.advance(step);
            for (count, staged) in counts.slots[slot(counts.step)].iter_mut().zip(&mut counts.staged) {
                let staged = std::mem::take(staged);
                *count = count.saturating_add(u32::try_from(staged).unwrap_or(u32::MAX));
            }
        }
    }

    /// Nothing of the open batch has happened.
    pub fn aborted(&mut self) {
        self.counts.values_mut().flat_map(Principal::each).for_each(|counts| counts.staged = [0; 2]);
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
mod tests;

//! A replicated pair, exhaustively: two members, two names, every history of a few changes, every moment at which the
//! replica can repeat any part of it, step by step or what it comes to, once or twice, and a failover between any two
//! changes, however much the replica lagged behind: the former leader comes back as the replica.
//!
//! Nothing is sampled: all states that can be reached are visited. In each,
//! - whatever a replica repeats is accepted;
//! - it takes an active mailbox from its users only by a deletion, and only where the leader has made the mailbox anew
//!   after that deletion: the one thing that the protocol leaves open, since DELETE names no location;
//! - once the replica has repeated everything, the server has exactly what the leader holds: also after such a deletion.

use std::collections::HashSet;

use mupdate_core::directory::{Action, Change, Policy, Record, State, decide};
use mupdate_proto::{Acl, Location, MailboxName};

/// Changes of the leader in one history.
const CHANGES: u8 = if cfg!(debug_assertions) { 3 } else { 5 };

/// Failovers in one history.
const FAILOVERS: u8 = 1;

/// Two names: what is known of each.
type Two<T> = [T; 2];

/// The ACL of each mailbox that a member holds.
type Held = Two<Option<u8>>;

/// What the server has of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Known {
    partition: bool,
    /// `None`: only reserved.
    acl: Option<u8>,
}

/// A command of a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Said {
    Reserve { name: usize, partition: bool },
    Activate { name: usize, partition: bool, acl: u8 },
    Delete { name: usize },
}

/// One change of the leader's: what it said of it, and what it held then.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Entry {
    said: Vec<Said>,
    after: Held,
}

/// Everything at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Moment {
    server: Two<Option<Known>>,
    leader: Held,
    /// What the leader is saying, last first, and the change that it belongs to.
    saying: Vec<Said>,
    change: Option<Entry>,
    /// What the replica has not repeated yet.
    log: Vec<Entry>,
    replica: Held,
    /// What the replica is repeating, last first, and how many entries that covers.
    repeating: Vec<Said>,
    covered: usize,
    changes: u8,
    failovers: u8,
    /// A late deletion has hit a mailbox that the leader holds.
    hit: bool,
}

#[derive(Debug, Default)]
struct Figures {
    moments: u64,
    steps: u64,
    ends: u64,
    late_deletions: u64,
    healed: u64,
}

#[test]
fn every_history_of_a_pair_ends_with_what_its_leader_holds() {
    let mut figures = Figures::default();
    let (mut open, mut seen) = (vec![Moment::default()], HashSet::new());
    while let Some(moment) = open.pop() {
        if !seen.insert(moment.clone()) {
            continue;
        }
        figures.moments += 1;
        let next = next(&moment, &mut figures);
        figures.steps += next.len() as u64;
        if moment.at_rest() {
            figures.ends += 1;
            figures.healed += u64::from(moment.hit);
            moment.agrees();
        }
        assert!(moment.at_rest() || !next.is_empty(), "stuck: {moment:?}");
        open.extend(next);
    }
    println!("{CHANGES} changes, {FAILOVERS} failover: {figures:?}");
    assert!(figures.healed > 0 && figures.late_deletions > 0, "the exception was not met");
}

impl Moment {
    fn leader_idle(&self) -> bool {
        self.change.is_none()
    }

    fn at_rest(&self) -> bool {
        self.leader_idle() && self.log.is_empty() && self.covered == 0
    }

    /// The server has what the leader holds, no more and no less.
    fn agrees(&self) {
        let known = self.server.map(|known| known.map(|known| known.acl));
        assert_eq!(known, self.leader.map(|acl| acl.map(Some)), "{self:?}");
    }
}

/// All that can happen at a moment.
fn next(moment: &Moment, figures: &mut Figures) -> Vec<Moment> {
    let mut next = Vec::new();
    if let Some(change) = &moment.change {
        let mut later = moment.clone();
        match later.saying.pop() {
            Some(said) => say(&mut later, said, true, figures),
            None => {
                later.leader = change.after;
                later.log.extend(later.change.take());
            }
        }
        next.push(later);
    } else if moment.changes < CHANGES {
        for change in changes(&moment.leader, moment.changes) {
            let mut later = moment.clone();
            later.changes += 1;
            later.saying = change.said.iter().rev().copied().collect();
            later.change = Some(change);
            next.push(later);
        }
    }
    if moment.covered > 0 {
        let mut later = moment.clone();
        match later.repeating.pop() {
            Some(said) => say(&mut later, said, false, figures),
            None => {
                later.replica = later.log[later.covered - 1].after;
                later.log.drain(..later.covered);
                later.covered = 0;
            }
        }
        next.push(later);
    } else {
        for covered in 1..=moment.log.len() {
            next.extend(repetitions(moment, covered).into_iter().map(|mut repeating| {
                repeating.reverse();
                Moment { repeating, covered, ..moment.clone() }
            }));
        }
    }
    if moment.leader_idle() && moment.covered == 0 && moment.failovers < FAILOVERS {
        next.push(fail_over(moment));
    }
    next
}

/// The replica leads, with what it has; the former leader comes back as its replica, and has to become like it.
fn fail_over(moment: &Moment) -> Moment {
    let (leader, replica) = (moment.replica, moment.leader);
    let becoming = Entry { said: difference(&replica, &leader), after: leader };
    let log = if replica == leader { Vec::new() } else { vec![becoming] };
    Moment { leader, replica, log, failovers: moment.failovers + 1, ..moment.clone() }
}

/// What the leader can do with what it holds. Every new mailbox and every SETACL has an ACL of its own.
fn changes(held: &Held, number: u8) -> Vec<Entry> {
    let acl = number + 1;
    let mut changes = Vec::new();
    let mut add = |said, after| changes.push(Entry { said, after });
    for name in 0..2 {
        let other = 1 - name;
        let with = |at: usize, acl| {
            let mut after = *held;
            after[at] = acl;
            after
        };
        let Some(known) = held[name] else {
            add(created(name, true, acl), with(name, Some(acl)));
            continue;
        };
        add(vec![Said::Activate { name, partition: true, acl }], with(name, Some(acl)));
        add(vec![Said::Delete { name }], with(name, None));
        if held[other].is_none() {
            let mut after = with(other, Some(known));
            after[name] = None;
            let mut said = vec![Said::Delete { name }];
            said.extend(created(other, false, known));
            add(said, after);
        }
    }
    changes
}

fn created(name: usize, partition: bool, acl: u8) -> Vec<Said> {
    vec![Said::Reserve { name, partition }, Said::Activate { name, partition, acl }]
}

/// In how many ways a replica can say the same.
fn repetitions(moment: &Moment, covered: usize) -> Vec<Vec<Said>> {
    let each: Vec<_> = moment.log[..covered].iter().flat_map(|entry| entry.said.clone()).collect();
    let whole = difference(&moment.replica, &moment.log[covered - 1].after);
    let twice = |said: &[Said]| said.iter().flat_map(|&said| [said, said]).collect();
    let again = [&each[..], &each[..]].concat();
    let mut ways = vec![twice(&each), again, twice(&whole), each, whole];
    ways.sort_by_key(Vec::len);
    ways.dedup();
    ways
}

/// From one state to the other in one go.
fn difference(from: &Held, to: &Held) -> Vec<Said> {
    let gone = (0..2).filter(|&name| from[name].is_some() && to[name].is_none());
    let mut said: Vec<_> = gone.map(|name| Said::Delete { name }).collect();
    for name in 0..2 {
        match (from[name], to[name]) {
            (None, Some(acl)) => said.extend(created(name, true, acl)),
            (Some(before), Some(acl)) if before != acl => {
                said.push(Said::Activate { name, partition: true, acl });
            }
            _ => {}
        }
    }
    said
}

/// The server hears a command.
fn say(moment: &mut Moment, said: Said, leader: bool, figures: &mut Figures) {
    let (name, action) = action(said);
    let before = moment.server[name];
    let record = before.map(record);
    let change = decide(record.as_ref(), &action, Policy::Standard);
    let change = change.unwrap_or_else(|refusal| panic!("{said:?} is refused ({refusal}): {moment:?}"));
    moment.server[name] = match change {
        Change::Nothing => before,
        Change::Put { record, takeover_from } => {
            assert_eq!(takeover_from, None);
            Some(known(&record))
        }
        Change::Remove => None,
    };
    let active = |known: Option<Known>| known.is_some_and(|known| known.acl.is_some());
    if leader || !active(before) || active(moment.server[name]) {
        return;
    }
    let coming = moment.change.as_ref().is_some_and(|change| change.after[name].is_some());
    if moment.leader[name].is_none() && !coming {
        return;
    }
    assert_eq!(said, Said::Delete { name }, "only a deletion can hit: {moment:?}");
    let absent = |entry: &Entry| entry.after[name].is_none();
    assert!(moment.log[..moment.covered].iter().any(absent), "the leader never deleted it: {moment:?}");
    figures.late_deletions += 1;
    moment.hit = true;
}

fn action(said: Said) -> (usize, Action) {
    let mailbox = |name: usize| MailboxName::new(["user.a", "user.b"][name]).expect("legal");
    match said {
        Said::Reserve { name, partition } => {
            (name, Action::Reserve { mailbox: mailbox(name), location: location(partition) })
        }
        Said::Activate { name, partition, acl } => {
            let (location, acl) = (location(partition), Acl::new(vec![acl]));
            (name, Action::Activate { mailbox: mailbox(name), location, acl })
        }
        Said::Delete { name } => (name, Action::Delete { mailbox: mailbox(name) }),
    }
}

fn location(partition: bool) -> Location {
    Location::new(if partition { "pair!default" } else { "pair!" }).expect("legal")
}

fn record(known: Known) -> Record {
    let state = known.acl.map_or(State::Reserved, |acl| State::Active(Acl::new(vec![acl])));
    Record { location: location(known.partition), state }
}

fn known(record: &Record) -> Known {
    let acl = match &record.state {
        State::Reserved => None,
        State::Active(acl) => acl.as_bytes().first().copied(),
    };
    Known { partition: !record.location.partition().is_empty(), acl }
}

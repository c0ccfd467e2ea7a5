//! Who speaks for which server, who leads, and which changes have had no echo yet. Time comes in from outside.
//!
//! - A *change* changed the directory; an *echo* says what is so already, or was said by the other speaker a moment ago.
//! - The **leader** of a server makes the changes. Another becomes it with its second change in a row that is no late echo,
//!   as a CREATE makes two, or as soon as the leader echoes a change of its own.
//! - A change is **open** from when it was made until another speaker has said what came of it last. It is **missing** once
//!   it has been open for longer than [`Table::patience`]. Only changes of servers with two speakers are kept, and of
//!   declared pairs whose other member has yet to speak.
//! - Whoever leads leaves behind what was open when the lead went to another: those may be lost.
//!
//! Memory is bounded: [`SERVERS`] servers with [`SPEAKERS`] speakers each, [`OPEN`] open changes whose names have
//! [`OCTETS`] octets together, [`STEPS`] things said for each. What does not fit is not followed, and counted.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mupdate_core::directory::Action;
use mupdate_proto::MailboxName;

use super::lag::Lags;
use super::said::{Prints, Said, leaves_reserved};

/// Servers that are followed at most.
pub const SERVERS: usize = 1024;
/// Speakers of a server that are told apart. More are no pair: the one that was silent for longest makes room.
pub const SPEAKERS: usize = 8;
/// Changes that can be open at a time, over all servers.
pub const OPEN: usize = 100_000;
/// Octets of the names of open changes.
pub const OCTETS: usize = 16 << 20;
/// Things said for an open change that are known again in an echo.
pub const STEPS: usize = 6;
/// Open changes among which those that a former leader left are looked for: the writer waits meanwhile.
const LOOKED_AT: usize = 10_000;
/// An operator is told the same of a server that often at most.
const AGAIN: Duration = Duration::from_secs(10);
/// Changes in a row that make a leader.
const IN_A_ROW: u8 = 2;
/// An open change is given up after this time, and so is a speaker that has echoed nothing for so long, unless declared.
pub const GIVEN_UP: Duration = Duration::from_secs(24 * 3600);

/// Everything that is known of servers and their speakers.
#[derive(Debug)]
pub struct Table {
    servers: HashMap<Bytes, Server>,
    opens: HashMap<MailboxName, Open>,
    /// Open changes in the order in which they were made.
    order: BTreeMap<u64, MailboxName>,
    next: u64,
    /// All before this one are counted as missing.
    fresh: u64,
    octets: usize,
    prints: Prints,
    patience: Duration,
    declared: BTreeMap<Bytes, BTreeSet<String>>,
}

/// A server name.
#[derive(Debug, Default)]
pub(super) struct Server {
    pub speakers: Vec<Voice>,
    /// Among the speakers.
    pub leader: Option<usize>,
    /// Who else changed something last, and how often in a row.
    challenger: Option<(usize, u8)>,
    pub lead_changed: Option<Instant>,
    pub lags: Lags,
    /// Changes that could not be followed for want of room.
    pub unfollowed: u64,
    /// Echoes of deletions that came so late that they deleted what had been made anew since.
    pub late_deletions: u64,
    told_of_lead: Option<Instant>,
    told_of_stranger: Option<Instant>,
}

/// A speaker of a server.
#[derive(Debug)]
pub(super) struct Voice {
    pub user: String,
    pub address: String,
    pub changes: u64,
    pub echoes: u64,
    pub last: Instant,
    pub stranger: bool,
    /// Its changes that are open, and the numbers of those that are missing their echo.
    pub open: u64,
    pub missing: BTreeSet<u64>,
}

/// A change without its echo.
#[derive(Debug)]
struct Open {
    number: u64,
    server: Bytes,
    /// Among the speakers of that server.
    speaker: usize,
    /// When the first of the steps that have had no echo was made.
    since: Instant,
    steps: Vec<(u64, Instant)>,
    reserved: bool,
}

/// What an operator should hear of at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Another speaker leads now.
    Lead {
        /// The server.
        server: Bytes,
        /// Who leads now, by user and address.
        now: (String, String),
        /// Who led before.
        before: (String, String),
        /// Changes without an echo.
        open: u64,
    },
    /// Somebody speaks for a declared pair who is no member of it.
    Stranger {
        /// The server.
        server: Bytes,
        /// Who, by user and address.
        speaker: (String, String),
    },
}

impl Table {
    /// Nobody has spoken yet.
    #[must_use]
    pub fn new(patience: Duration) -> Self {
        Self {
            servers: HashMap::new(),
            opens: HashMap::new(),
            order: BTreeMap::new(),
            next: 0,
            fresh: 0,
            octets: 0,
            prints: Prints::default(),
            patience,
            declared: BTreeMap::new(),
        }
    }

    /// Other declarations from now on: for a server name its users, or addresses, or both.
    pub fn declare(&mut self, patience: Duration, declared: BTreeMap<Bytes, BTreeSet<String>>) {
        self.patience = patience;
        self.declared = declared;
        for (name, server) in &mut self.servers {
            let members = self.declared.get(name);
            for voice in &mut server.speakers {
                voice.stranger = is_stranger(members, &voice.user, &voice.address);
            }
        }
    }

    /// How long an echo may take.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// Something was said and answered OK.
    pub fn hear(&mut self, said: Said<'_>, now: Instant) -> Option<News> {
        let mailbox = said.action.mailbox();
        let name = match (said.server(), self.opens.get(mailbox)) {
            (Some(name), _) => Bytes::copy_from_slice(name),
            // The echo of a deletion; if nothing is open, it is nobody's.
            (None, Some(open)) => open.server.clone(),
            (None, None) => return None,
        };
        if !self.servers.contains_key(&name) {
            if self.servers.len() >= SERVERS {
                return None;
            }
            self.servers.insert(name.clone(), Server::default());
        }
        let members = self.declared.get(&name);
        let server = self.servers.get_mut(&name)?;
        let at = server.speaker(&said, now, members);
        server.speakers[at].last = now;
        if server.speakers[at].stranger {
            let Voice { changes, echoes, user, address, .. } = &mut server.speakers[at];
            *(if said.event.is_some() { changes } else { echoes }) += 1;
            let speaker = (user.clone(), address.clone());
            return due(&mut server.told_of_stranger, now).then(|| News::Stranger { server: name, speaker });
        }
        let print = self.prints.of(said.action);
        let theirs = self.opens.get(mailbox).filter(|open| open.server == name && open.speaker != at);
        let step = theirs.and_then(|open| open.steps.iter().rposition(|(step, _)| *step == print));
        let echo = said.event.is_none() || step.is_some();
        if !echo {
            server.speakers[at].changes += 1;
            let news = server.led_by(at, &name, now, false);
            self.open(&name, at, &said, print, now);
            return news;
        }
        server.speakers[at].echoes += 1;
        if said.event.is_some() && matches!(said.action, Action::Delete { .. }) {
            server.late_deletions += 1;
        }
        let open = theirs?;
        // Without a step it says all the same what the steps have come to.
        let made =
            step.map_or(open.steps.last(), |step| open.steps.get(step)).map_or(open.since, |(_, made)| *made);
        let speaker = open.speaker;
        let all = match said.event {
            None => said.is_all(open.reserved),
            // Amid several steps an echo that changes something is late, and others are to follow.
            Some(_) => step == Some(open.steps.len() - 1),
        };
        server.lags.add(now.saturating_duration_since(made));
        let leads = server.leader == Some(at);
        if all {
            self.close(mailbox);
        } else if let Some(step) = step {
            self.close_until(mailbox, step);
        }
        let server = self.servers.get_mut(&name)?;
        if leads { server.led_by(speaker, &name, now, true) } else { None }
    }

    /// A step has had its echo, and what came before it needs none any more; the rest does.
    fn close_until(&mut self, mailbox: &MailboxName, step: usize) {
        let Some(open) = self.opens.get_mut(mailbox).filter(|open| step + 1 < open.steps.len()) else {
            return;
        };
        open.steps.drain(..=step);
        open.since = open.steps[0].1;
        let before = std::mem::replace(&mut open.number, self.next);
        if let Some(voice) = self.servers.get_mut(&open.server).and_then(|s| s.speakers.get_mut(open.speaker))
        {
            voice.missing.remove(&before);
        }
        if let Some(mailbox) = self.order.remove(&before) {
            self.order.insert(self.next, mailbox);
        }
        self.next += 1;
    }

    /// A change waits for its echo from now on, if there is anybody to give one.
    fn open(&mut self, name: &Bytes, speaker: usize, said: &Said<'_>, print: u64, now: Instant) {
        let mailbox = said.action.mailbox();
        let reserved = said.event.is_some_and(leaves_reserved);
        if let Some(open) = self.opens.get_mut(mailbox) {
            if open.server == *name && open.speaker == speaker {
                if open.steps.len() == STEPS {
                    open.steps.remove(0);
                }
                open.steps.push((print, now));
                open.reserved = reserved;
                return;
            }
            // Whoever spoke last for it counts.
            self.close(mailbox);
        }
        let Some(server) = self.servers.get_mut(name) else { return };
        let heard = server.members().count();
        let waits = match self.declared.get(name) {
            Some(members) => heard > 1 || server.silent(members).next().is_some(),
            // Without any echo so far, this may be one backend that changed its address.
            None => heard > 1 && server.members().any(|voice| voice.echoes > 0),
        };
        if !waits {
            return;
        }
        let octets = mailbox.as_bytes().len();
        if self.opens.len() >= OPEN || self.octets + octets > OCTETS {
            server.unfollowed += 1;
            return;
        }
        // The event's name is a copy of its own; the action's would keep a whole message alive.
        let mailbox = said.event.map_or_else(|| mailbox.detached(), |event| event.mailbox.clone());
        let number = self.next;
        self.next += 1;
        self.octets += octets;
        server.speakers[speaker].open += 1;
        self.order.insert(number, mailbox.clone());
        let steps = vec![(print, now)];
        self.opens
            .insert(mailbox, Open { number, server: name.clone(), speaker, since: now, steps, reserved });
    }

    fn close(&mut self, mailbox: &MailboxName) {
        let Some(open) = self.opens.remove(mailbox) else { return };
        self.octets -= mailbox.as_bytes().len();
        self.order.remove(&open.number);
        if let Some(voice) = self.servers.get_mut(&open.server).and_then(|s| s.speakers.get_mut(open.speaker))
        {
            voice.open = voice.open.saturating_sub(1);
            voice.missing.remove(&open.number);
        }
    }

    /// Time has passed: count what is missing by now, and give up what is too old.
    pub fn look(&mut self, now: Instant) {
        while let Some((&number, mailbox)) = self.order.range(self.fresh..).next() {
            let Some(open) = self.opens.get(mailbox) else { break };
            if now.saturating_duration_since(open.since) < self.patience {
                break;
            }
            if let Some(voice) =
                self.servers.get_mut(&open.server).and_then(|s| s.speakers.get_mut(open.speaker))
            {
                voice.missing.insert(number);
            }
            self.fresh = number + 1;
        }
        while let Some((_, mailbox)) = self.order.first_key_value() {
            let mailbox = mailbox.clone();
            let Some(open) = self.opens.get(&mailbox) else { break };
            if now.saturating_duration_since(open.since) < GIVEN_UP {
                break;
            }
            let name = open.server.clone();
            self.close(&mailbox);
            self.part_with_the_silent(&name, now);
        }
    }

    /// A server whose changes nobody echoes for a day has no pair any more, unless one is declared.
    fn part_with_the_silent(&mut self, name: &Bytes, now: Instant) {
        let declared = self.declared.contains_key(name);
        let Some(server) = self.servers.get_mut(name).filter(|_| !declared) else { return };
        let silent = |voice: &Voice| now.saturating_duration_since(voice.last) >= GIVEN_UP;
        let leader = server.leader;
        let mut voices = server.speakers.iter().enumerate();
        let gone = voices.find(|(at, voice)| leader != Some(*at) && silent(voice));
        let Some((gone, _)) = gone else { return };
        server.forget(gone);
        let of_it: Vec<MailboxName> = self
            .opens
            .iter()
            .filter(|(_, open)| open.server == *name)
            .map(|(name, _)| name.clone())
            .collect();
        for mailbox in of_it {
            match self.opens.get_mut(&mailbox) {
                Some(open) if open.speaker > gone => open.speaker -= 1,
                Some(open) if open.speaker == gone => self.close(&mailbox),
                _ => {}
            }
        }
    }

    /// The servers.
    pub(super) fn servers(&self) -> impl Iterator<Item = (&Bytes, &Server)> {
        self.servers.iter()
    }

    /// Since when an echo is missing that this speaker's changes should have had.
    pub(super) fn oldest_missing(&self, voice: &Voice) -> Option<Instant> {
        let mailbox = self.order.get(voice.missing.first()?)?;
        self.opens.get(mailbox).map(|open| open.since)
    }

    /// Some of the names that a server's changes wait for the echo of, the oldest first: those that are missing, and all
    /// that who led before has left.
    pub(super) fn waiting_names(&self, name: &[u8], most: usize) -> Vec<MailboxName> {
        let Some(server) = self.servers.get(name) else { return Vec::new() };
        let missing = server.speakers.iter().flat_map(|voice| voice.missing.iter().copied().take(most));
        let mut numbers: BTreeSet<u64> = missing.collect();
        if super::left_of(server) > 0 {
            let left = |mailbox: &MailboxName| {
                let open = self.opens.get(mailbox);
                open.is_some_and(|open| open.server == name && server.leader != Some(open.speaker))
            };
            let oldest = self.order.iter().take(LOOKED_AT).filter(|(_, mailbox)| left(mailbox));
            numbers.extend(oldest.map(|(number, _)| *number).take(most));
        }
        numbers.iter().filter_map(|number| self.order.get(number)).take(most).cloned().collect()
    }

    /// Who is declared for a server.
    pub(super) fn members(&self, server: &[u8]) -> Option<&BTreeSet<String>> {
        self.declared.get(server)
    }

    /// The declared pairs.
    pub(super) fn declared(&self) -> impl Iterator<Item = &Bytes> {
        self.declared.keys()
    }

    /// Changes that are open.
    #[must_use]
    pub fn open_changes(&self) -> usize {
        self.opens.len()
    }
}

impl Server {
    /// Who speaks for it, strangers not included.
    pub(super) fn members(&self) -> impl Iterator<Item = &Voice> {
        self.speakers.iter().filter(|voice| !voice.stranger)
    }

    /// Those of the declared users and addresses that nobody has spoken as yet.
    pub(super) fn silent<'a>(&self, declared: &'a BTreeSet<String>) -> impl Iterator<Item = &'a String> {
        let heard =
            |member: &String| self.members().any(|voice| voice.user == *member || voice.address == *member);
        declared.iter().filter(move |member| !heard(member))
    }

    /// Where among the speakers this one is.
    fn speaker(&mut self, said: &Said<'_>, now: Instant, members: Option<&BTreeSet<String>>) -> usize {
        let (user, address) = (said.user, said.address());
        let known = |voice: &Voice| voice.user == user && voice.address == address;
        if let Some(at) = self.speakers.iter().position(known) {
            return at;
        }
        let stranger = is_stranger(members, user, address);
        let (user, address) = (user.to_owned(), address.to_owned());
        let missing = BTreeSet::new();
        let voice = Voice { user, address, changes: 0, echoes: 0, last: now, stranger, open: 0, missing };
        if self.speakers.len() < SPEAKERS {
            self.speakers.push(voice);
            return self.speakers.len() - 1;
        }
        // In its place: what is open for the one before is then said to be this one's, which is no pair's affair.
        let (leader, mut at) = (self.leader, 0);
        for (other, voice) in self.speakers.iter().enumerate().filter(|(other, _)| leader != Some(*other)) {
            if leader == Some(at) || voice.last < self.speakers[at].last {
                at = other;
            }
        }
        self.speakers[at] = voice;
        at
    }

    /// A speaker has changed something, or, if that is `echoed` by the leader, certainly leads.
    fn led_by(&mut self, at: usize, name: &Bytes, now: Instant, echoed: bool) -> Option<News> {
        let Some(leader) = self.leader else {
            self.leader = Some(at);
            return None;
        };
        if leader == at {
            self.challenger = None;
            return None;
        }
        let times = match self.challenger {
            Some((who, times)) if who == at => times.saturating_add(1),
            _ => 1,
        };
        self.challenger = Some((at, times));
        if times < IN_A_ROW && !echoed {
            return None;
        }
        let who = |voice: &Voice| (voice.user.clone(), voice.address.clone());
        self.leader = Some(at);
        self.challenger = None;
        self.lead_changed = Some(now);
        let (now_leads, led) = (&self.speakers[at], &self.speakers[leader]);
        due(&mut self.told_of_lead, now).then(|| News::Lead {
            server: name.clone(),
            now: who(now_leads),
            before: who(led),
            open: led.open,
        })
    }

    fn forget(&mut self, gone: usize) {
        self.speakers.remove(gone);
        let moved = |at: usize| if at > gone { at - 1 } else { at };
        self.leader = self.leader.map(moved);
        self.challenger = None;
    }
}

/// Is it time to tell of something again?
fn due(told: &mut Option<Instant>, now: Instant) -> bool {
    let due = told.is_none_or(|told| now.saturating_duration_since(told) >= AGAIN);
    if due {
        *told = Some(now);
    }
    due
}

fn is_stranger(members: Option<&BTreeSet<String>>, user: &str, address: &str) -> bool {
    members.is_some_and(|members| !members.contains(user) && !members.contains(address))
}

#[cfg(test)]
mod tests;

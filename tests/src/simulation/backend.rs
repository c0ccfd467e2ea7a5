//! Backends: one alone, or a replicated pair under one server name.
//!
//! The leader does things to its mailboxes and tells the murder of each; a replica repeats what its leader has told,
//! as late as it likes, step by step or what it comes to. Each such errand has a connection of its own, on which one
//! command waits for the answer to the one before, as with `Cyrus`.

use std::collections::{BTreeSet, VecDeque};

use bytes::BytesMut;
use mupdate_core::directory::{Order, Record, Revision, State};
use mupdate_proto::{MailboxName, Status, Verb};

use super::{
    caller::{Caller, Heard},
    history::{History, told},
    mailboxes::{Held, Mailbox, arrival, difference, location, subject},
};
use crate::world::Connection;

/// Everybody who presents one server name.
#[derive(Debug)]
pub struct Group {
    pub server: String,
    /// The others' names cannot be taken from here.
    pub fenced: bool,
    pub order: Order,
    pub members: Vec<Member>,
    /// Which member leads.
    pub leader: usize,
    /// What every member held when the log began.
    base: Held,
    log: Vec<Entry>,
    /// What waits until the leader has time.
    pub tasks: VecDeque<Task>,
    /// Mailboxes that are on their way to another group.
    pub leaving: BTreeSet<MailboxName>,
    /// Mailboxes that are on their way here: the backend has made them already.
    pub coming: BTreeSet<MailboxName>,
    /// Nothing went wrong that only `ctl_mboxlist -m` mends: no errand of the leader's was cut short, no failover lost
    /// anything, nobody else had a hand in it.
    pub clean: bool,
}

/// One change of the leader's.
#[derive(Debug)]
struct Entry {
    /// What a replica repeats.
    told: Vec<Verb>,
    after: Held,
}

/// One backend.
#[derive(Debug, Default)]
pub struct Member {
    /// Its own mailboxes.
    pub held: Held,
    /// How much of the leader's log it has.
    applied: usize,
    /// Mailboxes that it began to repeat, and does not know how far it came.
    doubtful: BTreeSet<MailboxName>,
    pub errand: Option<Errand>,
}

/// Something that a leader has to do for another.
#[derive(Debug, Clone)]
pub enum Task {
    /// A mailbox comes from this group.
    Arrive { mailbox: MailboxName, acl: mupdate_proto::Acl, from: usize },
    /// It did not get there.
    TakeBack { mailbox: MailboxName },
}

/// Why a backend calls.
#[derive(Debug, Clone)]
pub enum Purpose {
    /// Its users changed something.
    Lead { after: Held, leaving: Option<(MailboxName, usize)> },
    /// Another backend asked for it.
    Task(Task),
    /// It repeats its leader, up to here.
    Echo { until: usize },
    /// `ctl_mboxlist -m`.
    Push,
}

/// One call.
#[derive(Debug)]
pub struct Errand {
    pub connection: Connection,
    pub purpose: Purpose,
    caller: Caller,
    todo: VecDeque<Verb>,
    /// The open command, and the revision when it was sent.
    asked: Option<(Verb, Revision)>,
    /// What was told of changes so far.
    done: Vec<Verb>,
    rows: Vec<(MailboxName, Option<Record>)>,
    /// Mailboxes that turned out to be elsewhere.
    elsewhere: Vec<MailboxName>,
}

/// How an errand ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All of it was answered OK.
    Done,
    /// Something was refused; the rest was not said.
    Refused,
    /// The connection broke: nobody knows.
    Lost,
}

impl Errand {
    /// A call, whose connection was just opened.
    pub fn new(connection: Connection, user: &str, purpose: Purpose, todo: Vec<Verb>) -> Self {
        Self {
            connection,
            purpose,
            caller: Caller::new(user),
            todo: todo.into(),
            asked: None,
            done: Vec::new(),
            rows: Vec::new(),
            elsewhere: Vec::new(),
        }
    }

    /// Octets came. Says when the errand has ended.
    pub fn hear(
        &mut self,
        octets: &[u8],
        backend: (&Group, &Held),
        history: &History,
        out: &mut BytesMut,
    ) -> Result<Option<End>, String> {
        self.caller.hear(octets);
        while let Some(heard) = self.caller.next(out) {
            match (heard, self.asked.take()) {
                (Heard::Ready, None) => {}
                (Heard::Data(data), Some(asked)) => {
                    self.rows.push(told(data)?);
                    self.asked = Some(asked);
                    continue;
                }
                (Heard::Answer(status), Some((verb, since))) => {
                    if !self.answered(verb, status, since, backend, history)? {
                        return Ok(Some(End::Refused));
                    }
                }
                (heard, asked) => return Err(format!("a backend heard {heard:?} after {asked:?}")),
            }
            let Some(verb) = self.todo.pop_front() else {
                self.caller.send(Verb::Logout, out);
                return Ok(Some(End::Done));
            };
            self.caller.send(verb.clone(), out);
            self.asked = Some((verb, history.revision()));
        }
        Ok(None)
    }

    /// An answer. False: it is no use going on.
    fn answered(
        &mut self,
        verb: Verb,
        status: Status,
        since: Revision,
        backend @ (group, _): (&Group, &Held),
        history: &History,
    ) -> Result<bool, String> {
        match verb {
            Verb::List { .. } if status == Status::Ok => self.compare(backend),
            Verb::Find { mailbox } if status == Status::Ok => self.found(mailbox, backend)?,
            _ if history.explains(&verb, status, since) => self.done.push(verb),
            _ if group.fenced && history.forbids(&group.server, &verb, status, since) => {
                // A replica that may not give up what another server has got by now drops it nevertheless.
                let drops = matches!((&self.purpose, &verb), (Purpose::Echo { .. }, Verb::Delete { .. }));
                self.done.extend(drops.then_some(verb));
                return Ok(drops);
            }
            _ => {
                return Err(format!(
                    "{verb:?} was answered {status:?}, which nothing since {since} explains"
                ));
            }
        }
        Ok(status == Status::Ok)
    }

    /// The first half of `ctl_mboxlist -m`: give up what we do not have, then walk the list beside our own mailboxes
    /// and ask for whatever is not next in it.
    fn compare(&mut self, (group, held): (&Group, &Held)) {
        let rows = std::mem::take(&mut self.rows);
        let (known, unknown): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|(mailbox, _)| held.contains_key(mailbox));
        self.todo.extend(unknown.into_iter().map(|(mailbox, _)| Verb::Delete { mailbox }));
        let mut own: Vec<_> = held.iter().collect();
        own.sort_by_cached_key(|(mailbox, _)| group.order.key(mailbox.as_bytes()));
        let mut listed = known.into_iter().peekable();
        for (mailbox, Mailbox { partition, acl }) in own {
            let known = listed.next_if(|(name, _)| name == mailbox).and_then(|(_, record)| record);
            let (location, state) = (location(&group.server, partition), State::Active(acl.clone()));
            if known != Some(Record { location, state }) {
                self.todo.push_back(Verb::Find { mailbox: mailbox.clone() });
            }
        }
    }

    /// The second half: what is nowhere is ours, what is elsewhere is not. To find at our own server what the list did
    /// not have in its place would end `ctl_mboxlist`.
    fn found(&mut self, mailbox: MailboxName, (group, held): (&Group, &Held)) -> Result<(), String> {
        let server = group.server.as_bytes();
        match self.rows.pop().and_then(|(_, record)| record) {
            Some(record) if record.location.server() == server => {
                Err(format!("{mailbox} was found at {} behind a LIST of it", group.server))
            }
            Some(_) => {
                self.elsewhere.push(mailbox);
                Ok(())
            }
            None => {
                if let Some(Mailbox { partition, acl }) = held.get(&mailbox) {
                    let (location, acl) = (location(&group.server, partition), acl.clone());
                    self.todo.push_front(Verb::Activate { mailbox, location, acl });
                }
                Ok(())
            }
        }
    }
}

impl Group {
    /// One backend or two, which hold nothing.
    pub fn new(server: String, order: Order, paired: bool, fenced: bool) -> Self {
        Self {
            server,
            fenced,
            order,
            members: (0..=usize::from(paired)).map(|_| Member::default()).collect(),
            leader: 0,
            base: Held::new(),
            log: Vec::new(),
            tasks: VecDeque::new(),
            leaving: BTreeSet::new(),
            coming: BTreeSet::new(),
            clean: true,
        }
    }

    /// The member that leads.
    pub fn lead(&mut self) -> &mut Member {
        &mut self.members[self.leader]
    }

    /// What the leader holds.
    pub fn held(&self) -> &Held {
        &self.members[self.leader].held
    }

    /// The member that follows the leader, if the group is a pair.
    pub fn replica(&self) -> Option<usize> {
        (self.members.len() > 1).then_some(1 - self.leader)
    }

    /// Does the leader hold this, or is it just telling that it does?
    pub fn holds(&self, mailbox: &MailboxName) -> bool {
        let leader = &self.members[self.leader];
        let soon = leader.errand.as_ref().is_some_and(|errand| match &errand.purpose {
            Purpose::Lead { after, .. } => after.contains_key(mailbox),
            Purpose::Task(Task::Arrive { mailbox: coming, .. }) => coming == mailbox,
            Purpose::Task(Task::TakeBack { .. }) | Purpose::Echo { .. } | Purpose::Push => false,
        });
        leader.held.contains_key(mailbox) || soon
    }

    /// The leader's mailboxes are others from now on, and a replica can follow.
    pub fn advance(&mut self, told: Vec<Verb>, after: Held) {
        self.lead().held = after.clone();
        self.log.push(Entry { told, after });
    }

    /// A mailbox has come from another group.
    pub fn admit(&mut self, mailbox: MailboxName, acl: mupdate_proto::Acl) {
        let mut after = self.held().clone();
        let told = arrival(&mailbox, &location(&self.server, "p"), &acl);
        after.insert(mailbox, Mailbox { partition: "p", acl });
        self.advance(told, after);
    }

    /// A mailbox is the leader's no more; its replica drops it in silence, as the leader does. A replica that lags
    /// behind may still tell of it, and then nobody takes that back.
    pub fn release(&mut self, mailbox: &MailboxName) {
        self.clean &= self.caught_up();
        let mut after = self.held().clone();
        if after.remove(mailbox).is_some() {
            self.advance(Vec::new(), after);
        }
        if let Some(Errand { purpose: Purpose::Lead { after, .. }, .. }) = &mut self.lead().errand {
            after.remove(mailbox);
        }
    }

    /// Has the replica repeated everything?
    pub fn caught_up(&self) -> bool {
        self.replica().is_none_or(|replica| {
            let Member { applied, held, errand, .. } = &self.members[replica];
            *applied == self.log.len() && held == self.held() && errand.is_none()
        })
    }

    /// Has a mailbox left the pair, and the replica does not know? It drops it in silence, so whatever it tells of it
    /// until then stays told.
    pub fn replica_missed_a_transfer(&self) -> bool {
        self.replica().is_some_and(|replica| {
            self.log[self.members[replica].applied..].iter().any(|entry| entry.told.is_empty())
        })
    }

    /// What the replica says next: up to so many entries further. `None` if there is nothing to say.
    pub fn echo(&self, entries: usize, collapsed: bool) -> Option<(Purpose, Vec<Verb>)> {
        let Member { applied, held, .. } = &self.members[self.replica()?];
        let until = self.log.len().min(applied + entries);
        let state = |at: usize| if at == 0 { &self.base } else { &self.log[at - 1].after };
        if until == *applied && held == state(until) {
            return None;
        }
        // Step by step only from where the leader was.
        let told = if !collapsed && held == state(*applied) {
            self.log[*applied..until].iter().flat_map(|entry| entry.told.iter().cloned()).collect()
        } else {
            difference(held, state(until), &self.server)
        };
        Some((Purpose::Echo { until }, told))
    }

    /// The replica has repeated so much, saying this.
    pub fn echoed(&mut self, until: usize, told: &[Verb]) {
        let held = if until == 0 { &self.base } else { &self.log[until - 1].after }.clone();
        if let Some(replica) = self.replica() {
            let member = &mut self.members[replica];
            (member.applied, member.held) = (until, held);
            settle(told, &mut member.doubtful);
        }
    }

    /// The replica was cut short: this was answered, and this was not.
    pub fn echo_failed(&mut self, told: &[Verb], open: Option<&Verb>) {
        let Some(replica) = self.replica() else { return };
        let Member { held, doubtful, .. } = &mut self.members[replica];
        for verb in told {
            match verb {
                Verb::Activate { mailbox, location, acl } => {
                    let partition = if location.partition() == b"q" { "q" } else { "p" };
                    held.insert(mailbox.clone(), Mailbox { partition, acl: acl.clone() });
                }
                Verb::Delete { mailbox } => {
                    held.remove(mailbox);
                }
                verb => doubtful.extend(subject(verb).cloned()),
            }
        }
        settle(told, doubtful);
        doubtful.extend(open.and_then(subject).cloned());
    }

    /// Does nobody have to run `ctl_mboxlist -m`?
    pub fn is_clean(&self) -> bool {
        self.clean && self.members.iter().all(|member| member.doubtful.is_empty())
    }

    /// The replica leaves it at what it has.
    pub fn give_up_echoing(&mut self) {
        self.echoed(self.log.len(), &[]);
    }

    /// The replica leads from now on. Returns whether nothing was lost by it.
    pub fn fail_over(&mut self) -> bool {
        let Some(replica) = self.replica() else { return true };
        let intact = self.caught_up() && self.leaving.is_empty() && self.tasks.is_empty();
        let former = self.leader;
        self.leader = replica;
        self.base = self.held().clone();
        self.log.clear();
        self.members[former].applied = 0;
        self.lead().applied = 0;
        self.clean &= intact;
        intact
    }

    /// `ctl_mboxlist -m` has ended: what turned out to be elsewhere goes.
    pub fn pushed(&mut self, member: usize, elsewhere: &[MailboxName]) {
        if member == self.leader {
            for mailbox in elsewhere {
                self.release(mailbox);
            }
        } else {
            self.members[member].held.retain(|mailbox, _| !elsewhere.contains(mailbox));
        }
    }

    /// Is this all that the server has of us?
    pub fn equals(&self, history: &History) -> Result<(), String> {
        for mailbox in history.names() {
            let ours = |record: &&Record| record.location.server() == self.server.as_bytes();
            let listed = history.now(mailbox).filter(ours);
            let wanted = self.held().get(mailbox).map(|Mailbox { partition, acl }| Record {
                location: location(&self.server, partition),
                state: State::Active(acl.clone()),
            });
            let same = match (&wanted, listed) {
                (None, None) => true,
                (Some(wanted), Some(listed)) => {
                    wanted.state == listed.state && wanted.location.same_place(&listed.location)
                }
                _ => false,
            };
            if !same {
                return Err(format!(
                    "{} has {mailbox} as {wanted:?}, the server has {:?}",
                    self.server,
                    history.now(mailbox)
                ));
            }
        }
        match self.held().keys().find(|mailbox| history.now(mailbox).is_none()) {
            Some(lost) => Err(format!("{} has {lost}, the server has not", self.server)),
            None => Ok(()),
        }
    }
}

impl Errand {
    /// Mailboxes that `ctl_mboxlist -m` found elsewhere.
    pub fn elsewhere(&self) -> &[MailboxName] {
        &self.elsewhere
    }

    /// Has anything been changed by it?
    pub fn has_done_something(&self) -> bool {
        !self.done.is_empty()
    }

    /// What was told and answered, and what was not answered.
    pub fn into_told(self) -> (Purpose, Vec<Verb>, Option<Verb>) {
        (self.purpose, self.done, self.asked.map(|(verb, _)| verb))
    }
}

/// What was told of in full is in no doubt any more: that it is gone, or active at a partition that was said.
fn settle(told: &[Verb], doubtful: &mut BTreeSet<MailboxName>) {
    for verb in told {
        match verb {
            Verb::Delete { mailbox } => doubtful.remove(mailbox),
            Verb::Activate { mailbox, location, .. } if !location.partition().is_empty() => {
                doubtful.remove(mailbox)
            }
            _ => false,
        };
    }
}

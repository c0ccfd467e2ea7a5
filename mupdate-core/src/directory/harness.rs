//! Property checks over arbitrary octets, shared by the fuzz targets and the tests. Each panics where a
//! property fails.

use std::collections::{BTreeMap, BTreeSet};
use std::slice;

use mupdate_proto::{Acl, Location, MailboxName, ServerName};

use super::{
    Action, Batch, Change, Durable, Event, Feed, Filter, Held, Learner, MemoryView, News, Order, PeerRole,
    Policy, Record, Refusal, Selection, Speaker, State, Verdict, View, at_risk, decide, risk_ranges,
    v36_name,
};

/// Runs the actions that `data` spells against a directory in memory and against a model that shares no code
/// with it; then a subscriber's copy, fed by names, against the directory.
pub fn directory(data: &[u8]) {
    let mut view = MemoryView::new();
    let mut model = Model::default();
    let mut all = Subscriber::new(Filter::All);
    let be1 = ServerName::new("be1").expect("a legal name");
    let mut partial = Subscriber::new(Filter::Servers(BTreeSet::from([be1])));
    let mut steps = data.chunks_exact(4).map(Step::read).peekable();
    while steps.peek().is_some() {
        let last = view.revision();
        let mut batch = Batch::new(last);
        let mut expected = Vec::new();
        let mut drain = false;
        for step in steps.by_ref() {
            let action = step.action();
            let (speaker, policy) =
                (Speaker { principal: "x", role: &step.role(), held: Held::NOTHING }, step.policy);
            let Ok(()) = batch.stage(&mut view, &action, speaker, policy, expected.len());
            let answer = model.apply(&step);
            if answer == Answer::Ok {
                let Ok(current) = view.get(action.mailbox());
                assert_eq!(
                    decide(current.as_ref(), &action, step.policy),
                    Ok(Change::Nothing),
                    "{action:?} again"
                );
            }
            expected.push(answer);
            drain = step.drains;
            if step.commits {
                break;
            }
        }
        let sealed = batch.seal();
        assert_eq!(sealed.revision(), view.revision());
        assert_eq!(sealed.changes(), sealed.revision() > last);
        let revision = sealed.revision();
        let Durable { verdicts, events } = sealed.durable(revision);
        for ((who, verdict), (at, expected)) in verdicts.iter().zip(expected.iter().enumerate()) {
            assert_eq!(*who, at);
            assert_eq!(Answer::of(verdict), *expected, "action {at} of a batch");
        }
        assert_eq!(verdicts.len(), expected.len());
        assert!(events.iter().map(|event| event.revision).eq(last + 1..=revision));
        for event in &events {
            assert_ne!(event.before, event.after);
            all.hear(event);
            partial.hear(event);
        }
        model.assert_equals(&view);
        if drain {
            all.drain(&view);
            partial.drain(&view);
        }
    }
    all.drain(&view);
    partial.drain(&view);
}

/// A feed, and what is known to who reads it.
struct Subscriber {
    feed: Feed,
    copy: BTreeMap<MailboxName, Record>,
}

impl Subscriber {
    fn new(filter: Filter) -> Self {
        Self { feed: Feed::new(filter), copy: BTreeMap::new() }
    }

    fn hear(&mut self, event: &Event) {
        let was_empty = self.feed.is_empty();
        let woken = self.feed.publish(&News::from(slice::from_ref(event)));
        assert_eq!(woken, was_empty && !self.feed.is_empty());
        assert!(woken || !was_empty || !self.feed.filter().wants(event));
    }

    /// After that the subscriber knows all that the directory knows of the servers that it asked for.
    fn drain(&mut self, view: &MemoryView) {
        let end = self.feed.end();
        assert!(self.feed.len() <= usize::from(Step::MAILBOXES), "each name waits once");
        while let Some(mailbox) = self.feed.pop() {
            let Ok(record) = view.get(&mailbox);
            match record {
                Some(record) => self.copy.insert(mailbox, record),
                None => self.copy.remove(&mailbox),
            };
        }
        assert_eq!(self.feed.popped(), end);
        let filter = self.feed.filter();
        let wanted = |(_, record): &(_, &Record)| filter.wants_server(record.location.server());
        assert!(self.copy.iter().filter(wanted).eq(view.records().iter().filter(wanted)));
    }
}

/// One action, as four octets spell it.
struct Step {
    verb: u8,
    mailbox: u8,
    server: u8,
    /// `None`: not said.
    partition: Option<u8>,
    /// Whether an unsaid partition comes with its `!`.
    bang: bool,
    acl: u8,
    policy: Policy,
    speaker: Voice,
    commits: bool,
    drains: bool,
}

impl Step {
    const MAILBOXES: u8 = 4;

    fn read(octets: &[u8]) -> Step {
        Step {
            verb: octets[0] % 4,
            mailbox: octets[0] / 4 % Step::MAILBOXES,
            server: octets[1] % 3,
            partition: [None, None, Some(0), Some(1)][usize::from(octets[1] / 4 % 4)],
            bang: octets[1] & 0x20 != 0,
            acl: octets[2] % 3,
            policy: [Policy::Standard, Policy::Strict, Policy::Unified, Policy::Replicated]
                [usize::from(octets[2] / 4 % 4)],
            speaker: Voice::read(octets[3] / 4),
            commits: octets[3] & 1 != 0,
            drains: octets[3] & 2 != 0,
        }
    }

    fn role(&self) -> PeerRole {
        match &self.speaker {
            Voice::Anybody => PeerRole::Admin,
            Voice::Of(servers) => {
                let name = |number: &u8| ServerName::new(format!("be{number}")).expect("a legal name");
                PeerRole::Backend(servers.iter().map(name).collect())
            }
            Voice::Reader => PeerRole::Frontend,
            Voice::Nobody => PeerRole::None,
        }
    }

    fn action(&self) -> Action {
        let mailbox = MailboxName::new(format!("user.{}", self.mailbox)).expect("a legal name");
        let partition = match (self.partition, self.bang) {
            (Some(partition), _) => format!("!p{partition}"),
            (None, true) => "!".to_owned(),
            (None, false) => String::new(),
        };
        let location = Location::new(format!("be{}{partition}", self.server)).expect("a legal location");
        match self.verb {
            0 => Action::Reserve { mailbox, location },
            1 => Action::Activate { mailbox, location, acl: Acl::new(vec![self.acl; usize::from(self.acl)]) },
            2 => Action::Deactivate { mailbox, location },
            _ => Action::Delete { mailbox },
        }
    }
}

/// Who says it.
enum Voice {
    Anybody,
    /// Somebody who speaks for these servers.
    Of(&'static [u8]),
    Reader,
    Nobody,
}

impl Voice {
    fn read(number: u8) -> Voice {
        match number % 16 {
            8 | 9 => Voice::Of(&[0]),
            10 | 11 => Voice::Of(&[1]),
            12 => Voice::Of(&[0, 2]),
            13 => Voice::Of(&[]),
            14 => Voice::Reader,
            15 => Voice::Nobody,
            _ => Voice::Anybody,
        }
    }
}

/// A verdict, without its location.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Ok,
    Exists,
    NotActive,
    Unknown,
    Takeover,
    NotItsOwn,
    ReadsOnly,
    NoRole,
}

impl Answer {
    fn of(verdict: &Verdict) -> Answer {
        match verdict {
            Ok(()) => Answer::Ok,
            Err(Refusal::AlreadyExists { .. }) => Answer::Exists,
            Err(Refusal::NotActive { .. }) => Answer::NotActive,
            Err(Refusal::DoesNotExist) => Answer::Unknown,
            Err(Refusal::TakeoverRefused { .. }) => Answer::Takeover,
            Err(Refusal::NotItsMailbox { .. } | Refusal::NotItsServer { .. }) => Answer::NotItsOwn,
            Err(Refusal::ReadsOnly { .. }) => Answer::ReadsOnly,
            Err(Refusal::NoRole { .. } | Refusal::Held { .. } | Refusal::Draining { .. }) => Answer::NoRole,
        }
    }
}

/// The rules once more, in small numbers and told by verb instead of by state.
#[derive(Default)]
struct Model {
    owners: BTreeMap<u8, Owner>,
}

#[derive(Clone, Debug)]
struct Owner {
    server: u8,
    partition: Option<u8>,
    /// `None`: only reserved.
    acl: Option<u8>,
}

impl Model {
    fn apply(&mut self, step: &Step) -> Answer {
        match &step.speaker {
            Voice::Of(servers) if self.is_foreign(step, servers) => return Answer::NotItsOwn,
            Voice::Reader => return Answer::ReadsOnly,
            Voice::Nobody => return Answer::NoRole,
            Voice::Anybody | Voice::Of(_) => {}
        }
        if step.verb == 3 {
            self.owners.remove(&step.mailbox);
            return Answer::Ok;
        }
        let said = Owner { server: step.server, partition: step.partition, acl: None };
        let known = self.owners.get(&step.mailbox).cloned();
        let foreign = known.as_ref().is_some_and(|known| {
            let conflict = known.partition.zip(said.partition).is_some_and(|(known, said)| known != said);
            known.server != said.server || conflict
        });
        let shared = matches!(step.policy, Policy::Unified | Policy::Replicated);
        let refusal = match (step.verb, &known) {
            (0, Some(_)) if foreign && !shared => Some(Answer::Exists),
            (1, Some(_)) if foreign && step.policy == Policy::Strict => Some(Answer::Takeover),
            (2, None) => Some(Answer::Unknown),
            (2, Some(Owner { acl: None, .. })) if foreign => Some(Answer::NotActive),
            _ => None,
        };
        if let Some(refusal) = refusal {
            return refusal;
        }
        if step.verb == 0 && shared && known.is_some() {
            return Answer::Ok;
        }
        let owner = self.owners.entry(step.mailbox).or_insert_with(|| said.clone());
        if foreign {
            owner.server = said.server;
            owner.partition = None;
        }
        owner.partition = said.partition.or(owner.partition);
        match step.verb {
            1 => owner.acl = Some(step.acl),
            2 => owner.acl = None,
            _ => {}
        }
        Answer::Ok
    }

    /// What is said names another's server, or takes from another what is not about to move.
    fn is_foreign(&self, step: &Step, servers: &[u8]) -> bool {
        let announces = step.verb < 2;
        let foreign = self.owners.get(&step.mailbox).filter(|owner| !servers.contains(&owner.server));
        let takes = foreign.is_some_and(|owner| match step.verb {
            0 => false,
            1 => owner.acl.is_some(),
            _ => true,
        });
        takes || announces && !servers.contains(&step.server)
    }

    fn assert_equals(&self, view: &MemoryView) {
        let records = view.records().iter().map(|(mailbox, record)| {
            let partition = record.location.partition();
            let acl = match &record.state {
                State::Reserved => None,
                State::Active(acl) => Some(acl.as_bytes().len()),
            };
            (last_digit(mailbox.as_bytes()), last_digit(record.location.server()), partition, acl)
        });
        let names: Vec<String> = self
            .owners
            .values()
            .map(|owner| owner.partition.map_or(String::new(), |partition| format!("p{partition}")))
            .collect();
        let owners = self.owners.iter().zip(&names).map(|((&mailbox, owner), partition)| {
            (mailbox, owner.server, partition.as_bytes(), owner.acl.map(usize::from))
        });
        assert!(owners.eq(records), "the directory has {:?}, the model {:?}", view.records(), self.owners);
    }
}

fn last_digit(text: &[u8]) -> u8 {
    text.last().map_or(0, |digit| digit - b'0')
}

/// Cuts `data` at each NUL, CR and LF into names; their keys must turn back into them, sort as they compare,
/// and be as long; what is selected or learned from them must be in order; and what they put at risk must be
/// where it is looked for.
pub fn order_keys(data: &[u8]) {
    let mut names: Vec<&[u8]> =
        data.split(|octet| b"\0\r\n".contains(octet)).filter(|name| !name.is_empty()).collect();
    names.truncate(32);
    for name in &names {
        assert_eq!(v36_name(&Order::V36.key(name)), *name);
        let ranges = risk_ranges(name);
        assert!(ranges.iter().all(|(from, to)| from < to));
        assert!(ranges.windows(2).all(|pair| pair[0].1 < pair[1].0));
        for other in &names {
            let key = Order::V36.key(other);
            let covered = ranges.iter().any(|(from, to)| (from..to).contains(&&key));
            assert!(
                covered || !at_risk(name, other),
                "{} puts {} at risk",
                name.escape_ascii(),
                other.escape_ascii()
            );
        }
    }
    for order in Order::ALL {
        for a in &names {
            assert_eq!(order.key(a).len(), a.len());
            assert_eq!(order.name(&order.key(a)), *a);
            for b in &names {
                assert_eq!(order.compare(a, b), order.key(a).cmp(&order.key(b)));
                assert_eq!(order.compare(a, b).is_eq(), a == b);
            }
        }
        selection_and_learner(order, &names);
    }
}

fn selection_and_learner(order: Order, names: &[&[u8]]) {
    let mut sorted = names.to_vec();
    sorted.sort_by(|a, b| order.compare(a, b));
    sorted.dedup();
    let (after, rest) = match sorted.split_first() {
        Some((first, rest)) if names.len() % 2 == 1 => (Some(*first), rest),
        _ => (None, &sorted[..]),
    };
    let mut selection = Selection::new(order, after, names.len() * 40);
    names.iter().for_each(|name| selection.offer(name));
    let selected = selection.into_sorted();
    assert!(selected.len() > 0 || rest.is_empty());
    let (kept, left) = rest.split_at(selected.len());
    assert_eq!(selected.more(), !left.is_empty());
    assert!(selected.eq(kept.iter().copied()));

    let mut learner = Learner::new();
    for name in &sorted {
        learner.observe(&MailboxName::new(name.to_vec()).expect("cut where names end"));
    }
    let verdict = learner.verdict();
    let explains = |order: Order| sorted.windows(2).all(|pair| order.compare(pair[0], pair[1]).is_lt());
    let explained: Vec<Order> = Order::ALL.into_iter().filter(|&order| explains(order)).collect();
    assert_eq!(verdict, (explained.len() == 1).then_some(order));
}

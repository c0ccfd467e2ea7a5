//! The store against the directory in memory: whatever is done, in however many transactions, both say the same.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use common::{Line, Page, find, location, name, server, walk};
use mupdate_core::directory::{Action, Batch, Filter, MemoryView, Order, Policy, Record, Speaker, State};
use mupdate_core::server::{Finish, Scope};
use mupdate_host::feeds::Feeds;
use mupdate_host::inbox::Inbox;
use mupdate_host::store::{Census, Orders, Store, StoreOptions};
use mupdate_proto::{Acl, MailboxName};
use proptest::prelude::*;

const NAMES: [&str; 16] = [
    "user",
    "user.a",
    "user.a-b",
    "user.a.b",
    "user.a b",
    "user.a^b",
    "user^a",
    "ex.org!user.a",
    "ex.org!user-a",
    "ex!user",
    "ex.org",
    "ex-org",
    "a\u{1f}b",
    "a.b",
    "shared\u{2}x",
    "user.\u{fc}",
];
const LOCATIONS: [&str; 10] =
    ["be1!p1", "be1!p2", "be1!", "be1", "be2!p1", "be2!", "be10!p1", "be3!p1", "be3!p2", "be3!p10"];
const PREFIXES: [&str; 12] =
    ["", "b", "be", "be1", "be1!", "be1!p", "be1!p1", "be2!", "be3!", "be3!p1", "be9!", "\0"];
const ACLS: [&str; 4] = ["", "anyone\tlrs\t", "a\tlrswipkxtecda\t", "x"];

/// One step of a history.
#[derive(Debug, Clone)]
enum Step {
    Do(Action, Policy),
    Commit,
    Abort,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let action =
        (0..NAMES.len(), 0..LOCATIONS.len(), 0..ACLS.len(), 0..7u8).prop_map(|(mailbox, at, acl, verb)| {
            let (mailbox, location) = (name(NAMES[mailbox]), location(LOCATIONS[at]));
            match verb {
                0 | 1 => Action::Reserve { mailbox, location },
                2..=4 => Action::Activate { mailbox, location, acl: Acl::new(ACLS[acl]) },
                5 => Action::Deactivate { mailbox, location },
                _ => Action::Delete { mailbox },
            }
        });
    let policy = prop_oneof![Just(Policy::Standard), Just(Policy::Strict), Just(Policy::Replicated)];
    let step = prop_oneof![
        12 => (action, policy).prop_map(|(action, policy)| Step::Do(action, policy)),
        2 => Just(Step::Commit),
        1 => Just(Step::Abort),
        1 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 1..80)
}

fn options() -> StoreOptions {
    let orders = Orders::from([(server("be2"), Order::Octet), (server("be3"), Order::Dot)]);
    StoreOptions {
        map_size: 4 << 20,
        max_readers: 16,
        tombstones: 5,
        journal: 20,
        orders,
        ..StoreOptions::default()
    }
}

fn line((mailbox, record): (&MailboxName, &Record)) -> Line {
    let acl = match &record.state {
        State::Active(acl) => Some(acl.as_bytes().to_vec()),
        State::Reserved => None,
    };
    (mailbox.as_bytes().to_vec(), record.location.as_bytes().to_vec(), acl)
}

/// What a walk of the model gives.
fn expected(model: &MemoryView, order: Order, covers: impl Fn(&Record) -> bool) -> Vec<Line> {
    let mut lines: Vec<Line> =
        model.records().iter().filter(|(_, record)| covers(record)).map(line).collect();
    lines.sort_by(|a, b| order.compare(&a.0, &b.0));
    lines
}

fn compare(store: &Store, model: &MemoryView, limit: usize) {
    assert_eq!(store.revision().expect("readable"), model.revision());
    for text in NAMES {
        let mailbox = name(text);
        let known = model.records().get(&mailbox).map(|record| line((&mailbox, record)));
        assert_eq!(find(store, &mailbox), known);
    }
    assert_eq!(walk(store, Scope::All, limit), expected(model, Order::V36, |_| true));
    for prefix in PREFIXES {
        let order = match prefix {
            "be2!" => Order::Octet,
            "be3!" | "be3!p1" => Order::Dot,
            _ => Order::V36,
        };
        assert_eq!(
            walk(store, Scope::Prefix(prefix.into()), limit),
            expected(model, order, |record| record.location.as_bytes().starts_with(prefix.as_bytes())),
            "prefix {prefix:?}"
        );
    }
    for servers in [&["be1"][..], &["be2", "be10"], &["be1", "be2", "be3", "nobody"], &[]] {
        let servers: BTreeSet<_> = servers.iter().map(server).collect();
        let covered = expected(model, Order::V36, |record| servers.contains(record.location.server()));
        assert_eq!(walk(store, Scope::Servers(servers.clone()), limit), covered, "servers {servers:?}");
    }
    let locations: BTreeSet<_> = model.records().values().map(|record| &record.location).collect();
    let census = store.census().expect("readable");
    let mut known =
        Census { locations: locations.len() as u64, tombstones: census.tombstones, ..Census::default() };
    for Record { location, state } in model.records().values() {
        let counts = known.servers.entry(location.server().to_vec()).or_default();
        match state {
            State::Active(_) => counts.active += 1,
            State::Reserved => counts.reserved += 1,
        }
    }
    assert_eq!(census, known);
    assert_eq!(store.names().expect("readable"), model.records().len() as u64);
    assert!(census.tombstones <= 5);
}

/// A copy of the directory that is kept by a feed agrees with the directory.
fn follow(store: &Store, feeds: &Feeds, follower: &mut Follower, limit: usize) {
    let mut page = Page::of(limit);
    store.drain(&follower.subscription, feeds.published(), &mut page).expect("readable");
    for line in page.rows {
        follower.copy.insert(line.0.clone(), line);
    }
    for mailbox in page.gone {
        follower.copy.remove(&mailbox);
    }
    let Some(Finish::Drained { position, more, revision }) = page.finish else {
        panic!("a drain ended with {:?}", page.finish)
    };
    let feed = follower.subscription.feed().lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!((position, more), (feed.popped(), !feed.is_empty()));
    if !more {
        assert_eq!(revision, store.revision().expect("readable"));
        let copy: Vec<Line> = follower.copy.values().cloned().collect();
        let mut known = walk(store, Scope::All, 100);
        known.sort();
        assert_eq!(copy, known);
    }
}

struct Follower {
    subscription: mupdate_host::feeds::Subscription,
    copy: BTreeMap<Vec<u8>, Line>,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_store_is_what_the_model_is(steps in steps(), limit in 1..5usize) {
        let dir = tempfile::TempDir::new().expect("a directory");
        let mut store = Store::open(dir.path(), options()).expect("opens");
        let mut model = MemoryView::new();
        let feeds = Feeds::new(0);
        let subscription = feeds.subscribe(Filter::All, Inbox::new(Box::new(|| ())));
        let mut follower = Follower { subscription, copy: BTreeMap::new() };
        let mut steps = steps.into_iter().chain([Step::Commit, Step::Reopen]).peekable();
        while steps.peek().is_some() {
            let mut staged = model.clone();
            let mut reopen = false;
            let mut txn = store.begin().expect("no other writer");
            let mut ours = Batch::new(txn.revision());
            let mut theirs = Batch::new(staged.revision());
            let mut commit = false;
            for (at, step) in steps.by_ref().enumerate() {
                match step {
                    Step::Do(action, policy) => {
                        ours.stage(&mut txn, &action, Speaker::TRUSTED, policy, at).expect("there is room");
                        let Ok(()) = theirs.stage(&mut staged, &action, Speaker::TRUSTED, policy, at);
                    }
                    Step::Commit => { commit = true; break }
                    Step::Abort => break,
                    Step::Reopen => { reopen = true; break }
                }
            }
            let (ours, theirs) = (ours.seal(), theirs.seal());
            prop_assert_eq!(txn.changes() > 0, ours.changes());
            if commit {
                let revision = txn.commit().expect("there is room");
                model = staged;
                let (ours, theirs) = (ours.durable(revision), theirs.durable(revision));
                prop_assert_eq!(ours.verdicts, theirs.verdicts);
                prop_assert_eq!(&ours.events, &theirs.events);
                feeds.publish(&ours.events, revision);
                follow(&store, &feeds, &mut follower, limit);
            } else {
                drop(txn);
                prop_assert_eq!(ours.refused_whole(), theirs.refused_whole());
            }
            if reopen {
                drop(store);
                store = Store::open(dir.path(), options()).expect("opens again");
            }
            compare(&store, &model, limit);
        }
    }
}

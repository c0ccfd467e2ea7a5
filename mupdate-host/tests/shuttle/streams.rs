//! What a subscriber has, while a backend changes the directory under its feet.

use std::collections::BTreeMap;
use std::sync::Arc;

use mupdate_core::directory::{Action, Filter, Revision};
use mupdate_core::server::{Finish, Scope};
use mupdate_host::feeds::Subscription;
use shuttle::thread;

use crate::bench::{Bench, OK, Peer};
use crate::common::{Line, Page, activate, delete, reserve, walk};
use crate::explore::explore;

type Mailboxes = BTreeMap<Vec<u8>, (Vec<u8>, Option<Vec<u8>>)>;

/// What the directory holds before, in any model here.
fn before() -> Vec<Action> {
    vec![
        activate("leaves", "be1!", "acl"),
        activate("moves", "be1!", "acl"),
        activate("stays", "be1!", "acl"),
    ]
}

/// What the backend does, one revision each.
fn changes() -> Vec<Action> {
    vec![
        reserve("comes", "be2!"),
        delete("leaves"),
        activate("moves", "be2!", "acl"),
        activate("comes", "be2!", "acl"),
    ]
}

/// The directory after each number of changes.
fn history() -> Vec<Mailboxes> {
    let mut now = Mailboxes::new();
    let mut all = Vec::new();
    for (done, action) in before().into_iter().chain(changes()).enumerate() {
        if done >= before().len() {
            all.push(now.clone());
        }
        let mailbox = action.mailbox().as_bytes().to_vec();
        let acl = match &action {
            Action::Activate { acl, .. } => Some(acl.as_bytes().to_vec()),
            Action::Reserve { .. } | Action::Deactivate { .. } | Action::Delete { .. } => None,
        };
        match action.location() {
            Some(location) => now.insert(mailbox, (location.as_bytes().to_vec(), acl)),
            None => now.remove(&mailbox),
        };
    }
    all.push(now);
    all
}

/// One connection with an UPDATE stream, and what its peer knows by now.
struct Frontend {
    peer: Peer,
    has: Mailboxes,
    history: Vec<Mailboxes>,
}

/// What a frontend may do in the wrong order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Right,
    DumpThenSubscribe,
    DrainThenBarrier,
}

impl Frontend {
    fn new() -> Self {
        Self { peer: Peer::new(), has: Mailboxes::new(), history: history() }
    }

    /// UPDATE, then NOOP: each is followed by a look at what must have arrived.
    fn follow(mut self, bench: &Bench, order: Order) {
        if order == Order::DumpThenSubscribe {
            self.dump(bench);
        }
        let subscription = self.peer.subscribe(bench, Filter::All);
        if order != Order::DumpThenSubscribe {
            self.dump(bench);
        }
        self.drain(bench, &subscription, u64::MAX);
        for _ in 0..2 {
            // Whoever looks into the directory now sees this, so the frontend has to have it after NOOP.
            let committed = changes_at(bench.store.revision().expect("readable"));
            if order == Order::DrainThenBarrier {
                self.drain(bench, &subscription, u64::MAX);
            }
            let position = self.peer.barrier(bench, &subscription).expect("nobody says stop");
            if order != Order::DrainThenBarrier {
                self.drain(bench, &subscription, position);
            }
            self.must_have(committed, "NOOP was answered too early");
        }
        self.catch_up(bench, &subscription);
    }

    /// The whole directory, a row at a time.
    fn dump(&mut self, bench: &Bench) {
        let mut pager = bench.store.pager(Scope::All).expect("readable");
        loop {
            thread::yield_now();
            let mut page = Page::of(1);
            bench.store.page(&mut pager, &mut page).expect("readable");
            let over = page.finish == Some(Finish::End);
            self.learn(page);
            if over {
                return;
            }
        }
    }

    /// Take out what is in the feed, a row at a time, as far as this position at least: what a session does.
    fn drain(&mut self, bench: &Bench, subscription: &Subscription, wanted: u64) {
        loop {
            let mut page = Page::of(1);
            bench.store.drain(subscription, bench.feeds.published(), &mut page).expect("readable");
            let Some(Finish::Drained { position, more, revision }) = page.finish else {
                panic!("a drain ended with {:?}", page.finish)
            };
            self.learn(page);
            if !more {
                self.must_have(changes_at(revision), "a change that was published is missing");
            }
            if !more || position >= wanted {
                return;
            }
        }
    }

    /// Drain and sleep, as a frontend that only listens does, until everything is there.
    fn catch_up(&mut self, bench: &Bench, subscription: &Subscription) {
        // What came in the meantime may have been announced together with an answer.
        self.drain(bench, subscription, u64::MAX);
        while self.has != *self.history.last().expect("at least one") {
            if self.peer.wait().changed {
                self.drain(bench, subscription, u64::MAX);
            }
        }
    }

    fn learn(&mut self, page: Page) {
        for (name, location, acl) in page.rows {
            self.has.insert(name, (location, acl));
        }
        for name in page.gone {
            self.has.remove(&name);
        }
    }

    /// Each mailbox is as it was after so many changes, or as a later one left it.
    fn must_have(&self, changes: usize, otherwise: &str) {
        let later = &self.history[changes..];
        for name in self.history.iter().flat_map(BTreeMap::keys) {
            let has = self.has.get(name);
            assert!(later.iter().any(|then| then.get(name) == has), "{otherwise}: {name:?} is {has:?}");
        }
    }
}

fn changes_at(revision: Revision) -> usize {
    usize::try_from(revision).expect("small") - before().len()
}

fn backend_and_frontend(order: Order) {
    let bench = Bench::new(&before());
    let frontend = {
        let bench = Arc::clone(&bench);
        thread::spawn(move || Frontend::new().follow(&bench, order))
    };
    let peer = Peer::new();
    for action in changes() {
        assert_eq!(peer.change(&bench, action), OK);
    }
    frontend.join().expect("no panic");
    bench.writer.stop();
    let rows = walk(&bench.store, Scope::All, 10).into_iter();
    let holds: Mailboxes = rows.map(|(name, location, acl): Line| (name, (location, acl))).collect();
    assert_eq!(Some(&holds), history().last());
}

#[test]
fn nothing_is_missed_between_dump_and_stream_and_noop_is_a_barrier() {
    explore("nothing is missed between dump and stream, and NOOP is a barrier", || {
        backend_and_frontend(Order::Right);
    });
}

#[test]
#[should_panic = "is missing"]
fn who_dumps_before_it_subscribes_misses_changes() {
    explore("(wrong) dump, then subscribe", || backend_and_frontend(Order::DumpThenSubscribe));
}

#[test]
#[should_panic = "answered too early"]
fn who_drains_before_the_barrier_answers_too_early() {
    explore("(wrong) drain, then barrier", || backend_and_frontend(Order::DrainThenBarrier));
}

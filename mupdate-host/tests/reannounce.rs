//! What is announced again after a dump, against a look at every mailbox.

mod common;

use std::collections::BTreeSet;

use common::{activate, apply, delete, name, options, pending, server, store, walk};
use mupdate_core::directory::{Filter, Revision, at_risk, can_be_at_risk, domain_of};
use mupdate_core::server::Scope;
use mupdate_host::feeds::{Feeds, Subscription};
use mupdate_host::inbox::Inbox;
use mupdate_host::store::{FOLLOWED, Store, StoreOptions};
use mupdate_proto::MailboxName;
use proptest::prelude::*;

fn subscribe(store: &Store, filter: Filter) -> Subscription {
    Feeds::new(store.revision().expect("readable")).subscribe(filter, Inbox::new(Box::new(|| ())))
}

/// Names of few letters, so that they are each other's neighbours in every way.
fn names() -> impl Strategy<Value = Vec<String>> {
    let part = proptest::string::string_regex("[ab .^!,-]{1,6}").expect("a pattern");
    proptest::collection::vec(part, 2..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn everything_at_risk_is_announced_and_nothing_else(names in names(), kept in 0..64usize, partial: bool) {
        let (_dir, store) = store();
        let place = |at: usize| ["be1!p", "be2!p"][at % 2];
        let made: Vec<_> = names.iter().enumerate().map(|(at, name)| activate(name, place(at), "")).collect();
        apply(&store, &made);
        // Every third goes before the client was in sync, every other third after; some of those come back.
        let nth = |n: usize| names.iter().enumerate().filter(move |(at, _)| at % 3 == n).map(|(_, name)| name);
        apply(&store, &nth(0).map(delete).collect::<Vec<_>>());
        let since = store.revision().expect("readable");
        let existed: BTreeSet<Vec<u8>> = walk(&store, Scope::All, 100).into_iter().map(|line| line.0).collect();
        let deleted: Vec<&String> = nth(1).filter(|name| existed.contains(name.as_bytes())).collect();
        apply(&store, &nth(1).map(delete).collect::<Vec<_>>());
        apply(&store, &nth(1).skip(kept).map(|name| activate(name, "be1!p", "")).collect::<Vec<_>>());

        let filter = if partial { Filter::Servers([server("be1")].into()) } else { Filter::All };
        let subscription = subscribe(&store, filter);
        let reached = reannounce(&store, Some(since), &subscription);
        prop_assert_eq!(reached, store.revision().expect("readable"));
        let announced: BTreeSet<MailboxName> = pending(&subscription).into_iter().collect();
        let all = walk(&store, Scope::All, 100);
        let domains: BTreeSet<&[u8]> = all.iter().filter_map(|(name, ..)| domain_of(name)).collect();
        let expected: BTreeSet<MailboxName> = walk(&store, Scope::All, 100)
            .into_iter()
            .filter(|(_, location, _)| !partial || location.starts_with(b"be1!"))
            .filter(|(other, ..)| {
                let mut gone = deleted.iter().map(|name| name.as_bytes()).chain(domains.iter().copied());
                if partial { can_be_at_risk(other) } else { gone.any(|gone| at_risk(gone, other)) }
            })
            .map(|(other, ..)| name(other))
            .collect();
        prop_assert_eq!(announced, expected);
    }
}

fn reannounce(store: &Store, since: Option<Revision>, subscription: &Subscription) -> Revision {
    let mut under_way = store.reannounce(since, subscription);
    loop {
        if let Some(reached) = store.reannounce_some(&mut under_way, subscription).expect("readable") {
            return reached;
        }
    }
}

fn announced(store: &Store, since: Option<Revision>) -> Vec<MailboxName> {
    let subscription = subscribe(store, Filter::All);
    reannounce(store, since, &subscription);
    pending(&subscription)
}

#[test]
fn only_absences_since_the_last_sync_count() {
    let (_dir, store) = store();
    apply(&store, &[activate("user.a.b", "be1!p", ""), activate("user.a-b", "be1!p", "")]);
    let before = store.revision().expect("readable");
    apply(&store, &[delete("user.a.b")]);
    let after = store.revision().expect("readable");
    let at_risk = vec![name("user.a-b")];
    assert_eq!(announced(&store, Some(before)), at_risk);
    assert_eq!(announced(&store, None), at_risk);
    assert_eq!(announced(&store, Some(after)), []);
    // A revision that this store never had: its client must have followed another one.
    assert_eq!(announced(&store, Some(after + 1)), at_risk);
}

/// A client may know names of a master that was followed which were never here, and no tombstone tells of them.
#[test]
fn where_a_master_was_followed_whoever_is_unknown_is_told_all_that_can_be_at_risk() {
    let (_dir, store) = store();
    apply(&store, &[activate("user.a-b", "be1!p", ""), activate("user.plain", "be1!p", "")]);
    assert_eq!(announced(&store, None), []);
    let mut txn = store.begin().expect("nobody else writes");
    txn.remember(FOLLOWED, Some("")).expect("there is room");
    txn.commit().expect("there is room");
    assert_eq!(announced(&store, None), [name("user.a-b")]);
    let known = store.revision().expect("readable");
    assert_eq!(announced(&store, Some(known)), []);
}

#[test]
fn a_thousand_deleted_siblings_cost_one_look_at_their_neighbours() {
    let dir = tempfile::TempDir::new().expect("a directory");
    let store = Store::open(dir.path(), StoreOptions { tombstones: 100_000, ..options() }).expect("opens");
    let neighbours: Vec<_> = (0..20_000).map(|at| format!("user.jane-{at:05}")).collect();
    let children: Vec<_> = (0..3_000).map(|at| format!("user.jane.{at:04}")).collect();
    let all = neighbours.iter().chain(&children);
    apply(&store, &all.map(|name| activate(name, "be1!p", "")).collect::<Vec<_>>());
    apply(&store, &children.iter().map(delete).collect::<Vec<_>>());
    let expected: Vec<_> = neighbours.iter().map(name).collect();
    assert_eq!(announced(&store, None), expected);
}

#[test]
fn names_without_a_domain_are_passed_over_in_one_go() {
    let (_dir, store) = store();
    let users: Vec<_> = (0..2_000).map(|at| activate(format!("user.u{at:04}"), "be1!p", "")).collect();
    let domains = ["a.org!user.x", "a-b.org!user.x", "user.org!user.x", "user-x.org!user.x"];
    apply(&store, &users);
    apply(&store, &domains.map(|name| activate(name, "be1!p", "")));
    let subscription = subscribe(&store, Filter::All);
    let mut under_way = store.reannounce(None, &subscription);
    let some = |under_way: &mut _| store.reannounce_some(under_way, &subscription).expect("readable");
    // What was deleted, the domains, and that there are no more.
    assert_eq!((some(&mut under_way), some(&mut under_way).is_some()), (None, true));
    assert_eq!(pending(&subscription), [name("a-b.org!user.x"), name("user-x.org!user.x")]);
}

//! Walks over more than fits into one look, while the directory changes under them.

mod common;

use common::{Page, activate, apply, delete, names, options, server, walk};
use mupdate_core::directory::{Action, Order};
use mupdate_core::server::{Finish, Scope};
use mupdate_host::store::{Pager, Store};
use tempfile::TempDir;

/// More than two chunks of names in an order of their own, at a few partitions of one server, and others elsewhere.
fn large() -> (TempDir, Store, Vec<String>) {
    let dir = TempDir::new().expect("a directory");
    let mut options = options();
    options.map_size = 256 << 20;
    let store = Store::open(dir.path(), options).expect("opens");
    // Awkward to both orders: separators of every rank.
    let name = |at: usize| {
        let joint = [".", "-", " ", "^"][at % 4];
        format!("user{joint}{:05}{joint}x{}", at.wrapping_mul(48_271) % 99_991, at)
    };
    let listed: Vec<String> = (0..70_000).map(name).collect();
    let mut actions: Vec<Action> = listed
        .iter()
        .enumerate()
        .map(|(at, name)| activate(name, &format!("be1!p{}", at % 5), "acl"))
        .collect();
    actions.extend((0..10_000).map(|at| activate(format!("user.other.{at}"), "be2!p", "acl")));
    apply(&store, &actions);
    (dir, store, listed)
}

fn page(store: &Store, pager: &mut Pager, limit: usize, seen: &mut Vec<String>) -> Finish {
    let mut page = Page::of(limit);
    store.page(pager, &mut page).expect("readable");
    seen.extend(names(&page.rows));
    page.finish.expect("every page is finished")
}

#[test]
fn chunks_follow_each_other_in_every_order() {
    let (_dir, store, mut listed) = large();
    for order in [Order::V36, Order::Octet, Order::Dot] {
        store.set_orders([(server("be1"), order)].into());
        listed.sort_by(|a, b| order.compare(a.as_bytes(), b.as_bytes()));
        let rows = names(&walk(&store, Scope::Prefix("be1!".into()), 10_000));
        assert!(rows == listed, "in {order} order");
    }

    // However much the sink would take, one page looks at a part of it only.
    let mut pager = store.pager(Scope::All).expect("readable");
    let mut seen = Vec::new();
    assert_eq!(page(&store, &mut pager, usize::MAX, &mut seen), Finish::More);
    assert!(seen.len() < 20_000);
}

#[test]
fn what_stays_comes_exactly_once_while_the_rest_changes() {
    let (_dir, store, listed) = large();
    for order in [Order::V36, Order::Octet] {
        store.set_orders([(server("be1"), order)].into());
        let mut pager = store.pager(Scope::Prefix("be1!".into())).expect("readable");
        assert_eq!(pager.order(), order);
        let mut seen = Vec::new();
        let mut round = 0;
        while page(&store, &mut pager, 10_000, &mut seen) == Finish::More {
            // Something moves to another partition and back, something comes and goes, all over the place.
            let moving = &listed[(round * 7919) % listed.len()];
            let passing = format!("user.{:05}.passing{round}", (round * 50_021) % 99_991);
            apply(&store, &[activate(moving, "be1!q", ""), activate(&passing, "be1!q", "")]);
            apply(&store, &[delete(passing)]);
            round += 1;
            assert!(round < 200, "the walk does not end");
        }
        seen.retain(|name| !name.contains("passing"));
        let mut sorted = listed.clone();
        sorted.sort_by(|a, b| order.compare(a.as_bytes(), b.as_bytes()));
        assert!(seen == sorted, "in {order} order");
    }
}

#[test]
fn many_partitions_are_walked_without_merging() {
    let (_dir, store) = common::store();
    let actions: Vec<Action> =
        (0..900).map(|at| activate(format!("m{at:04}"), &format!("be{}!p{at}", at % 2), "")).collect();
    apply(&store, &actions);
    for prefix in ["be", "be1!"] {
        let rows = names(&walk(&store, Scope::Prefix(prefix.into()), 100));
        let expected: Vec<String> =
            (0..900).filter(|at| prefix == "be" || at % 2 == 1).map(|at| format!("m{at:04}")).collect();
        assert_eq!(rows, expected);
    }
}

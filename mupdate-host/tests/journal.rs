//! The journal: exact, bounded, and begun anew where it was not kept.

mod common;

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::{activate, apply, change, delete, find, name, open, options, reserve, store, walk};
use mupdate_core::directory::{Record, Revision, State};
use mupdate_core::server::Scope;
use mupdate_host::admin::api::Deed;
use mupdate_host::store::journal::{Entry, LONGEST};
use mupdate_host::store::{ServerCounts, Store, StoreOptions};
use mupdate_proto::Acl;
use tempfile::TempDir;

/// The whole journal, oldest first, read in pages of this many entries.
fn journal(store: &Store, steps: usize) -> Vec<Entry> {
    let (mut entries, mut before) = (Vec::new(), None);
    loop {
        before = store
            .journal_back(before, steps, |entry| {
                entries.push(entry);
                true
            })
            .expect("readable");
        if before.is_none() {
            entries.reverse();
            return entries;
        }
    }
}

fn revisions(store: &Store) -> Vec<Revision> {
    journal(store, 7).iter().map(|entry| entry.revision).collect()
}

#[test]
fn each_change_has_its_entry() {
    let (_dir, store) = store();
    let long = "x".repeat(LONGEST + 1);
    let done = apply(
        &store,
        &[
            reserve("a", "be1!"),
            activate("a", "be1!p", "1"),
            activate("a", "be1!p", "1"),
            activate("a", "be2!q", &long),
            delete("b"),
            delete("a"),
        ],
    );
    for steps in [1, 2, 100] {
        let entries = journal(&store, steps);
        assert_eq!(entries.len(), done.events.len());
        for (entry, event) in entries.iter().zip(&done.events) {
            assert_eq!((entry.revision, &entry.mailbox), (event.revision, &event.mailbox));
            assert_eq!(entry.takeover, event.takeover_from.is_some());
            let shown = |record: &Option<Record>| {
                record.clone().map(|record| match &record.state {
                    State::Active(acl) if acl.as_bytes().len() > LONGEST => {
                        Record { state: State::Active(Acl::new("")), ..record }
                    }
                    _ => record,
                })
            };
            assert_eq!((&entry.before, &entry.after), (&shown(&event.before), &shown(&event.after)));
            assert_eq!((entry.deed, entry.user.as_str(), entry.peer.as_str()), (Deed::Upstream, "", ""));
        }
        assert_eq!(entries.iter().map(|entry| entry.cut).collect::<Vec<_>>(), [false, false, true, true]);
    }
    assert_eq!(store.journal_from().expect("readable"), Some(0));
    assert_eq!(store.journal_entry(3).expect("readable").map(|entry| entry.takeover), Some(true));
    assert_eq!(store.journal_entry(5).expect("readable"), None);
}

#[test]
fn what_is_aborted_has_none_and_authors_are_named() {
    let (_dir, store) = store();
    let stage = |commit: bool, user: &str, mailbox: &str| {
        use mupdate_core::directory::{Batch, Policy, Speaker};
        let mut txn = store.begin().expect("no other writer");
        txn.author(user, "192.0.2.1:99", Deed::Activate);
        let mut batch = Batch::new(txn.revision());
        let action = activate(mailbox, "be1!p", "x");
        batch.stage(&mut txn, &action, Speaker::TRUSTED, Policy::Standard, ()).expect("there is room");
        let _ = batch.seal();
        if commit {
            txn.commit().expect("there is room");
        }
    };
    stage(false, "x", "a");
    assert_eq!(journal(&store, 9), []);
    stage(true, "be1", "b");
    stage(true, &"long ".repeat(100), "c");
    let entries = journal(&store, 9);
    assert_eq!((entries[0].user.as_str(), entries[0].peer.as_str()), ("be1", "192.0.2.1:99"));
    assert_eq!((entries[0].deed, &entries[0].mailbox), (Deed::Activate, &name("b")));
    assert!(entries[0].at_ms > 1_600_000_000_000);
    assert_eq!(entries[1].user.len(), 255);
}

#[test]
fn the_oldest_are_forgotten() {
    let dir = TempDir::new().expect("a directory");
    let bounded = || StoreOptions { journal: 100, ..options() };
    let store = Store::open(dir.path(), bounded()).expect("opens");
    for round in 0..100 {
        apply(&store, &(0..7).map(|at| reserve(format!("m{round}.{at}"), "be1!")).collect::<Vec<_>>());
        let kept = revisions(&store);
        let last = store.revision().expect("readable");
        let from = store.journal_from().expect("readable").expect("it is kept");
        assert!(kept.iter().copied().eq(from + 1..=last), "without gaps: {kept:?} from {from}");
        assert!(kept.len() <= 107, "{}", kept.len());
        assert!(last < 100 || kept.len() >= 100, "{}", kept.len());
    }
}

#[test]
fn the_old_are_forgotten() {
    const OLD: u64 = 5000;
    let dir = TempDir::new().expect("a directory");
    let bounded = || StoreOptions { journal_age: Some(Duration::ZERO), ..options() };
    let store = Store::open(dir.path(), bounded()).expect("opens");
    apply(&store, &(0..OLD).map(|at| reserve(format!("m{at}"), "be1!")).collect::<Vec<_>>());
    let made = journal(&store, 9000)[0].at_ms;
    drop(store);
    while SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later").as_millis() <= u128::from(made) {
        std::hint::spin_loop();
    }
    let store = Store::open(dir.path(), bounded()).expect("opens");
    assert_eq!(revisions(&store).len() as u64, OLD, "as long as nothing changes");
    // Not all at once, since changes wait for it; and then it is not looked at for a while.
    let kept = [1, 2, 3].map(|new| {
        apply(&store, &[reserve(format!("new{new}"), "be1!")]);
        let (kept, from) = (revisions(&store), store.journal_from().expect("readable"));
        assert_eq!((kept[0], kept.last()), (from.expect("it is kept") + 1, Some(&(OLD + new))));
        kept.len() as u64
    });
    assert_eq!((kept[0], kept[2]), (OLD + 1 - 4096, kept[1] + 1));
    assert!(kept[1] <= 2, "{kept:?}");
}

#[test]
fn it_does_not_fill_the_map() {
    let dir = TempDir::new().expect("a directory");
    let small = StoreOptions { map_size: 1 << 20, ..options() };
    let store = Store::open(dir.path(), small).expect("opens");
    for round in 0..500 {
        let acl = format!("{round} {}", "a".repeat(4000));
        let done = change(&store, &[activate("m", "be1!p", acl)]);
        assert_eq!(done.events.len(), 1);
    }
    let kept = journal(&store, 1000).len();
    assert!((20..100).contains(&kept), "{kept}");
}

#[test]
fn it_begins_anew_where_it_was_not_kept() {
    let dir = TempDir::new().expect("a directory");
    let store = open(&dir);
    apply(&store, &[reserve("a", "be1!")]);
    drop(store);
    let off = Store::open(dir.path(), StoreOptions { journal: 0, ..options() }).expect("opens");
    assert_eq!(off.journal_from().expect("readable"), None);
    drop(off);
    let store = open(&dir);
    assert_eq!((revisions(&store), store.journal_from().expect("readable")), (vec![1], Some(0)));
    drop(store);
    let off = Store::open(dir.path(), StoreOptions { journal: 0, ..options() }).expect("opens");
    apply(&off, &[reserve("b", "be1!")]);
    drop(off);
    let store = open(&dir);
    assert_eq!((revisions(&store), store.journal_from().expect("readable")), (vec![], Some(2)));
    apply(&store, &[reserve("c", "be1!")]);
    assert_eq!(revisions(&store), [3]);
}

/// `data/format-1.mdb` was written by the last version before there was a journal.
#[test]
fn a_store_of_the_format_before_is_taken_over_whole() {
    let dir = TempDir::new().expect("a directory");
    let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/format-1.mdb");
    fs::copy(old, dir.path().join("data.mdb")).expect("readable");
    for _ in 0..2 {
        let store = open(&dir);
        assert_eq!(store.revision().expect("readable"), 12);
        let census = store.census().expect("readable");
        assert_eq!(census.all(), ServerCounts { active: 4, reserved: 1 });
        assert_eq!((census.locations, census.tombstones), (2, 1));
        let names = common::names(&walk(&store, Scope::All, 10));
        assert_eq!(names, ["user.r", "user.u0", "user.u1", "user.u2", "user.u4"]);
        let line = (b"user.u4".to_vec(), b"be1!p".to_vec(), Some(b"u4 lrswipkxtecda ".to_vec()));
        assert_eq!(find(&store, &name("user.u4")), Some(line));
        assert_eq!((revisions(&store), store.journal_from().expect("readable")), (vec![], Some(12)));
    }
    let store = open(&dir);
    apply(&store, &[delete("user.u0")]);
    assert_eq!(
        journal(&store, 9)[0].before.as_ref().map(|record| record.location.to_string()),
        Some("be1!p".into())
    );
}

//! A map that is full: what makes room works to the end, whatever is remembered of it.

mod common;

use common::{activate, delete, name, options};
use mupdate_core::directory::{Action, Batch, Policy, Speaker};
use mupdate_host::store::{CommitError, Obstacle, Store, StoreOptions};
use tempfile::TempDir;

const MAP: usize = 2 << 20;

fn at(dir: &TempDir, journal: u64) -> Store {
    Store::open(dir.path(), StoreOptions { map_size: MAP, journal, ..options() }).expect("opens")
}

/// Carry these out in one transaction, if there is room.
fn attempt(store: &Store, actions: &[Action]) -> Result<(), CommitError> {
    let mut txn = store.begin()?;
    let mut batch = Batch::new(txn.revision());
    for action in actions {
        batch.stage(&mut txn, action, Speaker::TRUSTED, Policy::Standard, ())?;
    }
    let sealed = batch.seal();
    sealed.durable(txn.commit()?);
    Ok(())
}

fn mailbox(number: usize) -> String {
    format!("user.somebody{number:06}.folder")
}

/// Make mailboxes until there is no room for one more; says how many.
fn fill(store: &Store, acl: &str) -> usize {
    let mut made = 0;
    for step in [64, 1] {
        loop {
            let more: Vec<_> = (made..made + step)
                .map(|number| activate(mailbox(number), "be1.example.org!p", acl))
                .collect();
            match attempt(store, &more) {
                Ok(()) => made += step,
                Err(CommitError::Obstacle(Obstacle::MapFull)) => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
    made
}

/// Delete all of them, far apart from each other, as the writer does: together, or one by one where that is too much.
fn empty(store: &Store, count: usize) {
    // A step that meets every number once.
    let step = (count * 2 / 3..)
        .find(|step| (2..=count).all(|n| !count.is_multiple_of(n) || !step.is_multiple_of(n)))
        .expect("one");
    let all: Vec<_> = (0..count).map(|number| delete(mailbox(number * step % count))).collect();
    for (at, few) in all.chunks(16).enumerate() {
        if attempt(store, few).is_err() {
            for one in few {
                let done = attempt(store, std::slice::from_ref(one));
                done.unwrap_or_else(|error| panic!("{at} of {}: {error}", count / 16));
            }
        }
    }
    assert_eq!((store.names().expect("readable"), store.census().expect("readable").locations), (0, 0));
}

#[test]
fn a_full_map_can_be_emptied() {
    for acl in ["admin\tlrswipkxtecda\t", &"a".repeat(9000)] {
        let dir = TempDir::new().expect("a directory");
        let store = at(&dir, 100_000);
        let made = fill(&store, acl);
        empty(&store, made);
    }
}

/// As after an update from a version that kept none.
#[test]
fn a_full_map_without_a_journal_so_far_can_be_emptied() {
    for acl in ["admin\tlrswipkxtecda\t", &"a".repeat(8000)] {
        let dir = TempDir::new().expect("a directory");
        let made = fill(&at(&dir, 0), acl);
        let store = at(&dir, 100_000);
        empty(&store, made);
        // And what was done last can be told.
        let last = store.journal_entry(store.revision().expect("readable")).expect("readable");
        assert!(last.is_some_and(|entry| entry.mailbox.as_bytes().starts_with(name("user.").as_bytes())));
    }
}

//! Stores of which a power cut has left whatever it may: all that was synced, and any pages of what was not.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use fastrand::Rng;
use mupdate_core::directory::{Record, State, View};
use mupdate_proto::{Acl, Location, MailboxName};
use tempfile::TempDir;

use super::recovery::newest;
use super::*;
use crate::store::{Found, OpenError, Store, StoreOptions};

/// Where the first record stands.
const FIRST: usize = 2 * layout::SLOT;

/// Names and their ACLs.
type Model = BTreeMap<String, Vec<u8>>;

fn options() -> StoreOptions {
    StoreOptions { map_size: 64 << 20, max_readers: 16, journal: 300, ..StoreOptions::default() }
}

fn open(dir: &Path) -> Store {
    Store::open(dir, options()).expect("opens")
}

/// One transaction of so many changes.
fn change(store: &Store, model: &mut Model, changes: usize, longest: usize, rng: &mut Rng) {
    let mut txn = store.begin().expect("no other writer");
    for _ in 0..changes {
        let name = format!("user.{}", rng.u16(..400));
        let mailbox = MailboxName::new(name.clone()).expect("legal");
        let before = txn.get(&mailbox).expect("readable");
        let revision = txn.revision() + 1;
        match before {
            Some(before) if rng.bool() => {
                txn.remove(&mailbox, &before, revision).expect("there is room");
                model.remove(&name);
            }
            before => {
                let acl = vec![b'a' + rng.u8(..26); rng.usize(..longest)];
                let location = Location::new(format!("be{}!p", rng.u8(..5))).expect("legal");
                let state = State::Active(Acl::new(acl.clone()));
                txn.put(&mailbox, &Record { location, state }, before.as_ref(), revision)
                    .expect("there is room");
                model.insert(name, acl);
            }
        }
    }
    txn.commit().expect("there is room");
}

fn found(store: &Store) -> Model {
    let mut found = Model::new();
    for number in 0..400 {
        let name = format!("user.{number}");
        let mailbox = MailboxName::new(name.clone()).expect("legal");
        if let Some(entry) = store.entry(&mailbox).expect("readable") {
            found.insert(name, entry.acl.expect("all are active"));
        }
    }
    found
}

/// What is on the disk for certain since the last header: the data file as it was then.
struct Settled {
    transaction: u64,
    data: Vec<u8>,
}

fn settle(store: &Store, dir: &Path) -> Settled {
    let redo = &store.inner.redo;
    let transaction = redo.settler.state().committed;
    redo.settle(transaction).expect("it can be synced");
    Settled { transaction, data: fs::read(dir.join(DATA_FILE)).expect("it is there") }
}

/// Both files as they are now: what `kill -9` leaves.
fn copy(dir: &Path) -> TempDir {
    let left = TempDir::new().expect("a directory");
    for file in [DATA_FILE, LOG_FILE] {
        fs::copy(dir.join(file), left.path().join(file)).expect("there is room");
    }
    left
}

/// What a power cut leaves: pages of the data file as they are now or as they were, the log up to its last sync. `None`: the
/// settler was quicker than this.
fn cut(dir: &Path, settled: &Settled, rng: &mut Rng) -> Option<TempDir> {
    let left = copy(dir);
    let mut data = fs::read(left.path().join(DATA_FILE)).expect("it was copied");
    let log = File::open(left.path().join(LOG_FILE)).expect("it was copied");
    let header = newest(&log).expect("readable").expect("whole").expect("written");
    if header.transaction != settled.transaction {
        return None;
    }
    let odds = rng.u8(..=100);
    for (page, was) in data.chunks_mut(4096).zip(settled.data.chunks(4096)) {
        if rng.u8(..100) < odds {
            page.copy_from_slice(was);
        }
    }
    for page in data.chunks_mut(4096).skip(settled.data.len() / 4096) {
        if rng.u8(..100) < odds {
            page.fill(0);
        }
    }
    fs::write(left.path().join(DATA_FILE), data).expect("there is room");
    Some(left)
}

#[test]
fn nothing_is_lost_and_nothing_invented() {
    let mut rng = Rng::with_seed(11);
    let (mut cuts, mut redone) = (0, 0);
    for _ in 0..6 {
        let dir = TempDir::new().expect("a directory");
        let (store, mut model) = (open(dir.path()), Model::new());
        for _ in 0..6 {
            let settled = settle(&store, dir.path());
            for _ in 0..rng.usize(..60) {
                change(&store, &mut model, rng.usize(1..20), 300, &mut rng);
            }
            let Some(left) = cut(dir.path(), &settled, &mut rng) else { continue };
            let revision = store.revision().expect("readable");
            cuts += 1;
            redone += usize::from(settled.transaction < store.inner.redo.settler.state().committed);
            // Cut again while it is being opened, it is as it was.
            for _ in 0..2 {
                let again = copy(left.path());
                let store = open(again.path());
                assert_eq!(store.revision().expect("readable"), revision);
                assert_eq!(found(&store), model);
                drop(store);
                // Closed in good order, it needs no log.
                fs::remove_file(again.path().join(LOG_FILE)).expect("it is there");
                assert_eq!(found(&open(again.path())), model);
                let recovery =
                    Recovery::read(left.path()).expect("readable").expect("whole").expect("not closed");
                recovery.restore(left.path()).expect("writable");
            }
        }
    }
    // On a slow disk the settler is often quicker than this.
    assert!(cuts >= 6 && redone >= 4, "{cuts} cuts, {redone} of them with something to be done again");
}

#[test]
fn transactions_beyond_an_area_are_settled_at_once() {
    let mut rng = Rng::with_seed(12);
    let dir = TempDir::new().expect("a directory");
    let (store, mut model) = (open(dir.path()), Model::new());
    for round in 0..6 {
        // An area is a megaoctet.
        let (changes, longest) = if round % 2 == 0 { (700, 8000) } else { (5, 100) };
        change(&store, &mut model, changes, longest, &mut rng);
        let state = store.inner.redo.settler.state();
        assert!(round % 2 == 1 || state.is_settled());
        drop(state);
        let image = fs::read(dir.path().join(DATA_FILE)).expect("it is there");
        let now = store.inner.redo.settler.state().settled;
        let settled = Settled { transaction: now, data: image };
        if let Some(left) = cut(dir.path(), &settled, &mut rng) {
            assert_eq!(found(&open(left.path())), model);
        }
    }
}

/// LMDB gives its number to the next one.
#[test]
fn a_transaction_that_changes_nothing_is_none() {
    let mut rng = Rng::with_seed(16);
    let dir = TempDir::new().expect("a directory");
    let (store, mut model) = (open(dir.path()), Model::new());
    for _ in 0..4 {
        let settled = settle(&store, dir.path());
        for _ in 0..3 {
            let mut txn = store.begin().expect("no other writer");
            txn.remember("never heard of", None).expect("nothing is wrong");
            txn.commit().expect("nothing is wrong");
            change(&store, &mut model, 2, 100, &mut rng);
        }
        store.begin().expect("no other writer").commit().expect("nothing is wrong");
        if let Some(left) = cut(dir.path(), &settled, &mut rng) {
            assert_eq!(found(&open(left.path())), model);
        }
        store.make_room().expect("it can be synced");
        assert!(store.inner.redo.settler.state().is_settled());
    }
}

/// Many more changes than both areas hold.
#[test]
fn areas_take_turns() {
    let mut rng = Rng::with_seed(13);
    let dir = TempDir::new().expect("a directory");
    let (store, mut model) = (open(dir.path()), Model::new());
    let mut turns = 0;
    for _ in 0..1500 {
        let before = store.inner.redo.areas.lock().expect("no panics").current;
        change(&store, &mut model, 1, 40, &mut rng);
        turns += usize::from(store.inner.redo.areas.lock().expect("no panics").current != before);
    }
    assert!(turns >= 4, "{turns}");
    let left = copy(dir.path());
    assert_eq!(found(&open(left.path())), model);
}

/// A directory that was not closed in good order, with something to be done once more.
fn killed() -> (TempDir, Model) {
    let mut rng = Rng::with_seed(14);
    let dir = TempDir::new().expect("a directory");
    let (store, mut model) = (open(dir.path()), Model::new());
    loop {
        let settled = settle(&store, dir.path());
        for _ in 0..5 {
            change(&store, &mut model, 3, 100, &mut rng);
        }
        if let Some(left) = cut(dir.path(), &settled, &mut rng) {
            return (left, model);
        }
    }
}

fn refusal(dir: &Path) -> Option<Found> {
    let files = || [DATA_FILE, LOG_FILE].map(|file| fs::read(dir.join(file)).expect("it is there"));
    let before = files();
    let found = match Store::open(dir, options()) {
        Ok(_) => return None,
        Err(OpenError::Format { found, .. }) => found,
        Err(error) => panic!("{error}"),
    };
    assert!(before == files());
    Some(found)
}

#[test]
fn a_log_that_lacks_something_is_refused() {
    let (dir, model) = killed();
    let path = dir.path().join(LOG_FILE);
    let log = fs::read(&path).expect("it is there");
    let spoil = |places: &[usize]| {
        let mut spoilt = log.clone();
        for &place in places {
            spoilt[place] ^= 0x55;
        }
        fs::write(&path, spoilt).expect("ours");
    };
    // One amid the others; both headers.
    for places in [&[FIRST + BLOCK + 50][..], &[FIRST + 50], &[100, 8192 + 100]] {
        spoil(places);
        assert_eq!(refusal(dir.path()), Some(Found::Log));
    }
    // It was cut off.
    fs::write(&path, &log[..log.len() / 2]).expect("ours");
    assert_eq!(refusal(dir.path()), Some(Found::Log));
    // The last one: nobody was answered before it was whole.
    spoil(&[FIRST + 4 * BLOCK + 50]);
    let store = open(dir.path());
    assert_eq!(store.revision().expect("readable"), 12);
    assert_ne!(found(&store), model);
}

#[test]
fn a_data_file_of_another_day_is_not_written_to() {
    let (dir, model) = killed();
    let path = dir.path().join(DATA_FILE);
    let data = fs::read(&path).expect("it is there");
    let other = TempDir::new().expect("a directory");
    let store = open(other.path());
    let mut copy = File::create(other.path().join("copy")).expect("a folder of ours");
    store.copy_into(&mut copy).expect("there is room");
    fs::copy(other.path().join("copy"), &path).expect("ours");
    assert_eq!(refusal(dir.path()), Some(Found::Other));
    // Somebody decides.
    let log = fs::read(dir.path().join(LOG_FILE)).expect("it is there");
    fs::remove_file(dir.path().join(LOG_FILE)).expect("it is there");
    assert_eq!(found(&open(dir.path())), Model::new());
    fs::write(dir.path().join(LOG_FILE), log).expect("ours");
    fs::write(&path, data).expect("ours");
    assert_eq!(found(&open(dir.path())), model);
    // Nothing is to be done again: then it does not matter.
    fs::copy(other.path().join("copy"), &path).expect("ours");
    assert_eq!(found(&open(dir.path())), Model::new());
}

/// What is left of a log is of no use without its data file.
#[test]
fn without_a_data_file_all_begins_anew() {
    let (dir, _) = killed();
    fs::remove_file(dir.path().join(DATA_FILE)).expect("it is there");
    assert_eq!(found(&open(dir.path())), Model::new());
}

/// Pages that the last header needs cannot be used again, and yet a map takes as much as it has room for.
#[test]
fn a_small_map_holds_what_it_can() {
    let dir = TempDir::new().expect("a directory");
    let store = Store::open(dir.path(), StoreOptions { map_size: 2 << 20, ..options() }).expect("opens");
    let (mut rng, mut model) = (Rng::with_seed(15), Model::new());
    // Ten times as much as the map holds.
    for _ in 0..400 {
        change(&store, &mut model, 10, 100, &mut rng);
    }
    // Whether it comes to that is a question of who is quicker, the settler or this.
    let scarce = store.inner.redo.is_scarce().expect("nothing is wrong");
    assert!(!scarce || store.inner.redo.settler.state().is_settled());
    assert_eq!(found(&store), model);
}

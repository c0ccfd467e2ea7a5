//! Opening, refusing to open, filling up, and what is still there afterwards.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::{activate, apply, change, delete, find, name, open, options, reserve, server, store, walk};
use mupdate_core::directory::{Action, Batch, Order, Policy, Speaker};
use mupdate_core::server::Scope;
use mupdate_host::store::{
    CommitError, Found, Obstacle, OpenError, ServerCounts, Store, StoreError, StoreOptions,
};
use tempfile::TempDir;

/// Every file of a directory, and what is in it.
fn contents(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let entry = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.expect("readable");
        (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).expect("readable"))
    };
    let mut files: Vec<_> = fs::read_dir(dir).expect("readable").map(entry).collect();
    files.sort();
    files
}

#[test]
fn everything_is_there_after_a_restart() {
    let (dir, store) = store();
    let acl: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    apply(&store, &[activate("a", "be1!p", &acl), reserve("b", "be1!"), activate("c", "be2!", "")]);
    apply(&store, &[delete("c")]);
    let mut txn = store.begin().expect("no other writer");
    txn.set_client(b"frontend", 3).expect("there is room");
    txn.set_order(&server("be1"), Order::Dot).expect("there is room");
    txn.commit().expect("there is room");
    let (revision, census, rows) = (
        store.revision().expect("readable"),
        store.census().expect("readable"),
        walk(&store, Scope::All, 10),
    );
    drop(store);

    let store = open(&dir);
    assert_eq!(store.revision().expect("readable"), revision);
    assert_eq!(revision, 4);
    assert_eq!(store.census().expect("readable"), census);
    assert_eq!(census.all(), ServerCounts { active: 1, reserved: 1 });
    assert_eq!((census.locations, census.tombstones), (2, 1));
    assert_eq!(walk(&store, Scope::All, 10), rows);
    assert_eq!(find(&store, &name("a")), Some((b"a".into(), b"be1!p".into(), Some(acl))));
    assert_eq!(store.client_synced(b"frontend").expect("readable"), Some(3));
    assert_eq!(store.client_synced(b"other").expect("readable"), None);
    assert_eq!(store.order_of(&server("be1")).expect("readable"), Some(Order::Dot));
    store.learn(&server("be1"), Order::V36);
    assert_eq!(store.order_of(&server("be1")).expect("readable"), Some(Order::V36), "learned counts at once");
    store.set_orders([(server("be1"), Order::Octet)].into());
    assert_eq!(store.order_of(&server("be1")).expect("readable"), Some(Order::Octet));
    assert_eq!(store.order_of(&server("be2")).expect("readable"), None);
}

#[test]
fn the_data_directory_is_its_owners_alone() {
    let parent = TempDir::new().expect("a directory");
    let dir = parent.path().join("var/mupdate");
    let store = Store::open(&dir, options()).expect("made and opened");
    let mode = |path: &Path| fs::metadata(path).expect("is there").permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    for entry in fs::read_dir(&dir).expect("readable") {
        assert_eq!(mode(&entry.expect("readable").path()), 0o600);
    }
    drop(store);
}

#[test]
fn a_second_daemon_is_refused() {
    let (dir, store) = store();
    let before = contents(dir.path());
    let refused = Store::open(dir.path(), options()).expect_err("it is in use");
    assert!(matches!(refused, OpenError::InUse { process, .. } if process == Some(std::process::id())));
    let text = refused.to_string();
    assert!(text.contains("in use by process") && text.contains("--data-dir"), "{text}");
    assert!(!text.contains('\n'));
    assert_eq!(contents(dir.path()), before);
    drop(store);
    open(&dir);
}

#[test]
fn what_is_no_store_is_left_alone() {
    let dir = TempDir::new().expect("a directory");
    fs::write(dir.path().join("data.mdb"), "hello, I am somebody else's data. ".repeat(1000))
        .expect("written");
    let before = contents(dir.path());
    let refused = Store::open(dir.path(), options()).expect_err("it is foreign");
    assert!(matches!(refused, OpenError::Format { found: Found::Foreign, .. }), "{refused}");
    assert_eq!(contents(dir.path()), before);
}

#[test]
fn a_place_that_cannot_be_a_directory_is_refused() {
    let dir = TempDir::new().expect("a directory");
    let file = dir.path().join("file");
    fs::write(&file, "").expect("written");
    for path in [file.clone(), file.join("below")] {
        let refused = Store::open(&path, options()).expect_err("it is a file");
        assert!(matches!(refused, OpenError::NotWritable { .. }), "{refused:?}");
        assert!(refused.to_string().contains("--data-dir"), "{refused}");
    }
}

#[test]
fn the_longest_name_fits_and_a_longer_one_is_refused() {
    let (_dir, store) = store();
    let limit = store.name_limit();
    assert!(limit >= 1024, "{limit}");
    let longest = [b'x'; 8192];
    apply(&store, &[activate(&longest[..limit], "be1!p", "acl")]);
    assert!(find(&store, &name(&longest[..limit])).is_some());
    assert_eq!(walk(&store, Scope::Prefix("be1!".into()), 1).len(), 1);
    assert!(find(&store, &name(longest)).is_none());

    let mut txn = store.begin().expect("no other writer");
    let action = activate(&longest[..=limit], "be1!p", "acl");
    let staged = Batch::new(txn.revision()).stage(&mut txn, &action, Speaker::TRUSTED, Policy::Standard, ());
    assert!(matches!(staged, Err(StoreError::NameTooLong)));
}

#[test]
fn locations_of_any_length_are_told_apart() {
    let (_dir, store) = store();
    let long = "p".repeat(3000);
    let places = [format!("be1!{long}"), format!("be1!{long}q"), format!("be1!{}", &long[1..]), "be1".into()];
    let actions: Vec<Action> =
        places.iter().enumerate().map(|(at, place)| activate(format!("m{at}"), place, "")).collect();
    apply(&store, &actions);
    apply(&store, &[activate("m4", &places[0], "")]);
    assert_eq!(store.census().expect("readable").locations, 4);
    let at = |prefix: &str| common::names(&walk(&store, Scope::Prefix(prefix.to_owned().into()), 2));
    assert_eq!(at(&places[0]), ["m0", "m1", "m4"]);
    assert_eq!(at(&places[1]), ["m1"]);
    assert_eq!(at(&places[2]), ["m0", "m1", "m2", "m4"]);
    assert_eq!(at("be1!"), ["m0", "m1", "m2", "m4"]);
    let server_name = "s".repeat(2000);
    apply(&store, &[activate("l1", &format!("{server_name}!p"), ""), activate("l2", &server_name, "")]);
    let servers = [server(&server_name)].into();
    assert_eq!(common::names(&walk(&store, Scope::Servers(servers), 1)), ["l1", "l2"]);
}

#[test]
fn a_full_store_refuses_and_goes_on() {
    let dir = TempDir::new().expect("a directory");
    let small = || StoreOptions { map_size: 512 << 10, ..options() };
    let store = Store::open(dir.path(), small()).expect("opens");
    let acl = "a".repeat(3000);
    let mut made = 0;
    let full = loop {
        let mut txn = store.begin().expect("no other writer");
        let mut batch = Batch::new(txn.revision());
        let action = activate(format!("m{made:04}"), &format!("be1!p{made}"), &acl);
        let staged =
            batch.stage(&mut txn, &action, Speaker::TRUSTED, Policy::Standard, ()).map_err(CommitError::from);
        match staged.and_then(|()| txn.commit()) {
            Ok(_) => made += 1,
            Err(error) => break error,
        }
        assert!(made < 1000, "512 KiB are never full");
    };
    assert!(matches!(full, CommitError::Obstacle(Obstacle::MapFull)), "{full}");
    let (used, size) = store.map_fill().expect("readable");
    assert!(used > size / 2 && used <= size, "{used} of {size}");
    let census = store.census().expect("readable");
    assert_eq!((census.all().active, census.locations), (made, made));
    assert_eq!(walk(&store, Scope::Prefix("be1!p".into()), 7).len() as u64, made);
    assert_eq!(store.revision().expect("readable"), made);
    drop(store);

    let store =
        Store::open(dir.path(), StoreOptions { map_size: 8 << 20, ..options() }).expect("opens larger");
    assert_eq!(store.census().expect("readable"), census);
    apply(&store, &[activate("one more", "be1!p", acl)]);
}

#[test]
fn tombstones_and_clients_are_bounded() {
    let dir = TempDir::new().expect("a directory");
    let store = Store::open(dir.path(), StoreOptions { tombstones: 10, ..options() }).expect("opens");
    for round in 0..5 {
        let names: Vec<String> = (0..5).map(|at| format!("m{round}.{at}")).collect();
        apply(&store, &names.iter().map(|name| reserve(name, "be1!")).collect::<Vec<_>>());
        apply(&store, &names.iter().map(delete).collect::<Vec<_>>());
    }
    assert_eq!(store.census().expect("readable").tombstones, 10);
    // Rounds of five reservations and five deletions: 50 events. Those of the last two rounds are kept.
    assert_eq!(store.tombstones_from().expect("readable"), 30);

    let mut txn = store.begin().expect("no other writer");
    for client in 0..9000_u64 {
        txn.set_client(format!("client {client}").as_bytes(), client + 1).expect("there is room");
    }
    txn.set_client(&[b'x'; 5000], 1).expect("ignored");
    txn.set_order(&server("be1"), Order::Octet).expect("there is room");
    txn.commit().expect("there is room");
    assert_eq!(store.client_synced(b"client 0").expect("readable"), None);
    assert_eq!(store.client_synced(b"client 8999").expect("readable"), Some(9000));
    assert_eq!(store.order_of(&server("be1")).expect("readable"), Some(Order::Octet));
}

#[test]
fn a_location_that_holds_nothing_is_forgotten() {
    let (_dir, store) = store();
    apply(&store, &[reserve("a", "be1!p"), activate("b", "be1!p", "")]);
    apply(&store, &[activate("a", "be2!", ""), delete("b"), activate("c", "be3!", ""), delete("c")]);
    assert_eq!(store.census().expect("readable").locations, 1);
    apply(&store, &[activate("b", "be1!p", "")]);
    assert_eq!(common::names(&walk(&store, Scope::Prefix("be1!".into()), 9)), ["b"]);
    let done = change(&store, &[reserve("b", "be2!")]);
    assert!(done.verdicts[0].1.is_err());
    assert_eq!(store.census().expect("readable").locations, 2);
}

//! What only this module can bring about: stores of other programs and of other versions.

use std::path::Path;

use heed::types::Bytes as Octets;
use tempfile::TempDir;

use super::lock::Claim;
use super::meta_page::SMALLEST_PAGE;
use super::tables::{Contents, contents};
use super::{DATA_FILE, Found, MOST_TORN, OpenError, Store, StoreOptions, TORN_FILE, env, redo};

fn options() -> StoreOptions {
    StoreOptions { map_size: 1 << 20, max_readers: 16, ..StoreOptions::default() }
}

fn refusal(dir: &Path) -> Found {
    let files = || {
        let files = std::fs::read_dir(dir).expect("readable").map(|entry| entry.expect("readable").path());
        let mut files: Vec<_> = files.map(|path| (std::fs::read(&path).expect("readable"), path)).collect();
        files.sort();
        files
    };
    let before = files();
    let found = match Store::open(dir, options()) {
        Err(OpenError::Format { found, .. }) => found,
        other => panic!("{other:?}"),
    };
    assert!(files() == before, "files have changed");
    found
}

fn set_format(dir: &Path, format: &[u8]) {
    let store = Store::open(dir, options()).expect("ours");
    let txn = store.inner.env.write_txn().expect("no other writer");
    let mut txn = store.inner.redo.stage(txn);
    store.inner.tables.meta.put(&mut txn, b"format", format).expect("there is room");
    store.inner.redo.commit(txn, false, |error| panic!("{error}")).expect("there is room");
}

#[test]
fn another_version_is_told_from_another_program() {
    for (format, found) in [
        (&b"mupdate directory 4"[..], Found::Version(4)),
        (b"mupdate directory two", Found::Foreign),
        (b"\xff", Found::Foreign),
    ] {
        let dir = TempDir::new().expect("a directory");
        set_format(dir.path(), format);
        assert_eq!(refusal(dir.path()), found);
        let text = Store::open(dir.path(), options()).expect_err("refused").to_string();
        assert!(!text.contains('\n'), "{text}");
    }
}

#[test]
fn other_programs_tables_are_left_alone() {
    for (table, key) in [(Some("tables"), "x"), (Some("meta"), "version"), (None, "meta"), (None, "x")] {
        let dir = TempDir::new().expect("a directory");
        let theirs = env::open(dir.path(), 1 << 20, 16).expect("opens");
        let mut txn = theirs.write_txn().expect("no other writer");
        let made = theirs.create_database::<Octets, Octets>(&mut txn, table).expect("made");
        made.put(&mut txn, key.as_bytes(), b"theirs").expect("there is room");
        txn.commit().expect("there is room");
        drop(theirs);
        assert_eq!(refusal(dir.path()), Found::Foreign);
    }
}

#[test]
fn a_store_that_was_never_filled_is_taken_over() {
    let dir = TempDir::new().expect("a directory");
    std::fs::write(dir.path().join("data.mdb"), "").expect("written");
    drop(Store::open(dir.path(), options()).expect("an empty file is nothing"));

    let dir = TempDir::new().expect("a directory");
    drop(env::open(dir.path(), 1 << 20, 16).expect("opens"));
    assert_eq!(
        contents(&env::look(dir.path(), 1 << 20).expect("opens")).expect("readable"),
        Contents::Nothing
    );
    drop(Store::open(dir.path(), options()).expect("an environment without tables is nothing"));
    assert_eq!(contents(&env::look(dir.path(), 1 << 20).expect("opens")).expect("readable"), Contents::Ours);
}

#[test]
fn a_first_start_that_was_cut_short_is_made_once_more() {
    let data = |dir: &Path| std::fs::read(dir.join(DATA_FILE)).expect("readable");
    let unborn = |data: &[u8]| {
        let dir = TempDir::new().expect("a directory");
        drop(Claim::take(dir.path()).expect("nobody else has it"));
        redo::announce(dir.path(), options().map_size).expect("there is room");
        std::fs::write(dir.path().join(DATA_FILE), data).expect("there is room");
        dir
    };
    let dir = TempDir::new().expect("a directory");
    set_format(dir.path(), b"mupdate directory 3");
    let whole = data(dir.path());
    let mut torn = whole.clone();
    torn[..SMALLEST_PAGE].fill(0);
    let anew = unborn(&torn);
    assert_eq!(Store::open(anew.path(), options()).expect("made anew").revision().ok(), Some(0));
    assert_eq!(std::fs::read(anew.path().join(TORN_FILE)).ok(), Some(torn.clone()));
    // Somebody has put another file there meanwhile.
    let backup = unborn(&whole);
    drop(Store::open(backup.path(), options()).expect("it is whole"));
    assert_eq!(data(backup.path())[3 * SMALLEST_PAGE..], whole[3 * SMALLEST_PAGE..]);
    torn.resize(usize::try_from(MOST_TORN).expect("little") + 1, 0);
    assert_eq!(refusal(unborn(&torn).path()), Found::Foreign);
    // Once it is over, damage is damage.
    torn.truncate(whole.len());
    std::fs::write(dir.path().join(DATA_FILE), torn).expect("there is room");
    assert_eq!(refusal(dir.path()), Found::Foreign);
}

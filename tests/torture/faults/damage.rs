//! Data files that are not what the daemon has written.

use std::{fs, path::PathBuf};

use mupdate_tests::{
    client::Row,
    daemon::{Daemon, Kind},
    preload::preload,
};

use super::login;

const PAGE: usize = 4096;

/// Names that are there from the start.
const MAILBOXES: u32 = 3000;

/// Pages of the data file that its first mailboxes take. Changes write others, of which few stay in use.
fn first_pages(kind: Kind) -> usize {
    let mut daemon = Daemon::start_on(kind, "", |data| preload(data, MAILBOXES));
    let length = fs::metadata(daemon.data_dir().join("data.mdb")).expect("a file of ours").len();
    assert!(daemon.terminate().success());
    usize::try_from(length).expect("short") / PAGE
}

/// A daemon that has ended in good order, its data file, and what is in it.
fn sound(kind: Kind) -> (Daemon, PathBuf, Vec<u8>, Vec<Row>) {
    let mut daemon = Daemon::start_on(kind, "", |data| preload(data, MAILBOXES));
    let mut client = login(&daemon);
    // It has a page of its own.
    client.activate("user.long", "be1!default", &"x".repeat(3900)).expect("there is room");
    for number in 0..200 {
        client.delete(&format!("user.{number:08}")).expect("it serves");
    }
    let rows = client.list(None).expect("LIST works");
    assert!(daemon.terminate().success());
    let path = daemon.data_dir().join("data.mdb");
    let file = fs::read(&path).expect("a file of ours");
    (daemon, path, file, rows)
}

/// It says what is wrong and exits with 65 (`EX_DATAERR`), having changed nothing; or the damage is where nothing was,
/// and everything is there. True: it was refused.
fn refused_or_whole(daemon: &mut Daemon, path: &PathBuf, damaged: &[u8], rows: &[Row]) -> bool {
    fs::write(path, damaged).expect("a file of ours");
    match daemon.try_start_again() {
        Err(refusal) => {
            assert_eq!(refusal.status.code(), Some(65), "{refusal}");
            let last = refusal.said.lines().last().unwrap_or_default();
            assert!(last.contains("damaged") && last.contains("backup"), "{refusal}");
            assert!(!refusal.said.contains("panicked"), "{refusal}");
            assert!(fs::read(path).expect("a file of ours") == damaged, "it was changed");
            true
        }
        Ok(()) => {
            let found = login(daemon).list(None).expect("LIST works");
            assert!(found == rows, "it serves what is not all there");
            daemon.kill();
            false
        }
    }
}

/// The end of the file is missing.
pub fn truncated(kind: Kind) {
    let (mut daemon, path, file, rows) = sound(kind);
    let pages = file.len() / PAGE;
    let mut refused = 0;
    let lengths = [pages - 1, pages - 2, pages / 2, pages / 4, 3, 2].map(|pages| pages * PAGE);
    for length in lengths.into_iter().chain([file.len() / 2 + 100, PAGE, 100, 1]) {
        refused += usize::from(refused_or_whole(&mut daemon, &path, &file[..length], &rows));
    }
    assert!(refused >= 8, "{refused} were refused");
    fs::write(&path, &file).expect("a file of ours");
    daemon.start_again();
    assert_eq!(login(&daemon).list(None).expect("LIST works"), rows);
}

/// One page is full of something else: zeros, ones, chance, or another page of the same file.
pub fn garbage_page(kind: Kind) {
    let (mut daemon, path, file, rows) = sound(kind);
    let mut rng = fastrand::Rng::with_seed(6);
    let pages = first_pages(kind);
    let (mut refused, mut tried) = (0, 0);
    for page in (2..pages).step_by(pages / 12) {
        let other = rng.usize(2..pages);
        let chance: Vec<u8> = std::iter::repeat_with(|| rng.u8(..)).take(PAGE).collect();
        let contents: [&[u8]; 4] =
            [&[0; PAGE], &[0xff; PAGE], &chance, &file[other * PAGE..(other + 1) * PAGE]];
        for content in contents {
            let mut damaged = file.clone();
            damaged[page * PAGE..(page + 1) * PAGE].copy_from_slice(content);
            tried += 1;
            refused += usize::from(refused_or_whole(&mut daemon, &path, &damaged, &rows));
        }
    }
    println!("{}: {refused} of {tried} garbage pages were in use, and refused", kind.program());
    assert!(refused > tried / 3, "{refused} of {tried} were refused");
}

/// The two pages at the beginning.
pub fn garbage_meta_pages(kind: Kind) {
    let (mut daemon, path, file, rows) = sound(kind);
    for page in 0..2 {
        for content in [0, 0xff] {
            let mut damaged = file.clone();
            damaged[page * PAGE..(page + 1) * PAGE].fill(content);
            assert!(refused_or_whole(&mut daemon, &path, &damaged, &rows));
        }
    }
}

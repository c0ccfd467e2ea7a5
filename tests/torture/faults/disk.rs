//! Disks and maps that are full, and disks that are slow.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    time::Duration,
};

use mupdate_tests::{
    client::{Client, Row, activate},
    daemon::{DEADLINE, Daemon, Kind, Launch},
    history::History,
    load::{Load, compare},
    shim::Phase,
};

use super::{SHAPE, login, refusal, shimmed};
use crate::sandbox::Mount;

/// A small disk: the daemon's files, the redo log first of all, and a few hundred mailboxes.
const DISK: u64 = 16 << 20;

/// A file of this many octets is in the way on it, or what is left of the room if that is less.
fn fill(data_dir: &Path) {
    let mut ballast = File::create(data_dir.join("ballast")).expect("a folder of ours");
    // Until it says that there is no more.
    for size in [64 * 1024, 4096, 1] {
        while ballast.write_all(&vec![0; size]).is_ok() {}
    }
}

fn make_room(data_dir: &Path) {
    fs::remove_file(data_dir.join("ballast")).expect("it was made by `fill`");
}

/// Writes until it is refused: what was acknowledged, and the text of the refusal.
fn write_until_refused<S: std::io::Read + Write>(client: &mut Client<S>, prefix: &str) -> (Vec<Row>, String) {
    let acl = "x".repeat(3000);
    let mut rows = Vec::new();
    loop {
        let name = format!("user.{prefix}{:05}", rows.len());
        match client.activate(&name, "be1!default", &acl) {
            Ok(()) => rows.push(Row::mailbox(&name, "be1!default", &acl)),
            answer => return (rows, refusal(answer)),
        }
    }
}

fn on_a_small_disk(kind: Kind) -> (Daemon, Mount) {
    let mut mount = None;
    let daemon =
        Daemon::start_as(kind, "fuse.takeovers = 0\nlimits.connections = 100\n", Launch::default(), |data| {
            mount = Some(Mount::small_disk(data, DISK));
        });
    (daemon, mount.expect("it was made before the start"))
}

/// Changes are answered NO, everything else goes on, and when there is room again changes do, too.
pub fn full_at_a_commit(kind: Kind) {
    let (mut daemon, _mount) = on_a_small_disk(kind);
    let data_dir = daemon.data_dir();
    let mut client = login(&daemon);
    client.activate("user.first", "be1!default", "a").expect("there is room");
    fill(&data_dir);
    let (rows, text) = write_until_refused(&mut client, "a");
    assert!(text.contains("disk is full"), "{text}");
    daemon.wait_for_log("the disk is full");
    // Reading needs no room, for old connections and for new ones.
    assert!(client.find("user.first").expect("FIND works").is_some());
    let mut other = login(&daemon);
    assert_eq!(other.list(None).expect("LIST works").len(), rows.len() + 1);
    assert_eq!(other.update(&[]).expect("UPDATE works").len(), rows.len() + 1);
    // A short change may find room where a long one does not. Refused is refused.
    let tried = client.activate("user.short", "be1!default", "");
    make_room(&data_dir);
    client.activate("user.last", "be1!default", "a").expect("there is room again");
    daemon.wait_for_log("changes are written again");
    let found = client.list(None).expect("LIST works");
    assert!(rows.iter().all(|row| found.contains(row)), "something acknowledged is gone");
    assert_eq!(found.iter().any(|row| row.name() == "user.short"), tried.is_ok());
    daemon.kill();
    daemon.start_again();
    assert_eq!(login(&daemon).list(None).expect("LIST works"), found);
}

/// A daemon that has data serves it; one that has none says what it lacks.
pub fn full_at_the_start(kind: Kind) {
    let (mut daemon, _mount) = on_a_small_disk(kind);
    let data_dir = daemon.data_dir();
    login(&daemon).activate("user.first", "be1!default", "a").expect("there is room");
    daemon.kill();
    fill(&data_dir);
    daemon.start_again();
    let mut client = login(&daemon);
    assert_eq!(client.list(None).expect("LIST works").len(), 1);
    // Each connection of its own reads at the same time as the others: LMDB's table of readers needs no room either.
    let mut readers: Vec<_> = (0..50).map(|_| login(&daemon)).collect();
    for reader in &mut readers {
        reader.send(mupdate_tests::client::find("user.first"));
        reader.flush().expect("short");
    }
    for reader in &mut readers {
        assert_eq!(reader.answer().expect("FIND works").len(), 1);
    }
    let (rows, _) = write_until_refused(&mut client, "a");
    make_room(&data_dir);
    client.activate("user.last", "be1!default", "a").expect("there is room again");
    assert_eq!(client.list(None).expect("LIST works").len(), rows.len() + 2);
    assert!(daemon.terminate().success());

    // What it cannot do without is missing: the table of readers, the log, then the store, too.
    for file in ["lock.mdb", "redo.log", "data.mdb"] {
        fs::remove_file(data_dir.join(file)).expect("it was made");
        fill(&data_dir);
        let refusal = daemon.try_start_again().expect_err("there is no room");
        assert_eq!(refusal.status.code(), Some(74), "{refusal}");
        assert!(refusal.said.lines().last().is_some_and(|last| last.contains("make room")), "{refusal}");
        make_room(&data_dir);
        daemon.start_again();
        let left = login(&daemon).list(None).expect("LIST works").len();
        assert_eq!(left, if file == "data.mdb" { 0 } else { rows.len() + 2 });
        assert!(daemon.terminate().success());
    }
}

/// The disk becomes full amid load and is emptied again, a few times: nobody is told anything wrong.
pub fn full_under_load(kind: Kind) {
    let (mut daemon, _mount) = on_a_small_disk(kind);
    let data_dir = daemon.data_dir();
    let mut history = History::default();
    let load = Load::start(&daemon, SHAPE, 0, &mut fastrand::Rng::with_seed(4));
    for _ in 0..5 {
        assert_eq!(load.wait_for(300), 300, "the writers gave up");
        fill(&data_dir);
        assert_eq!(load.wait_for(300), 300, "refusals are answers too");
        make_room(&data_dir);
    }
    assert_eq!(load.wait_for(300), 300, "the writers gave up");
    daemon.kill();
    let told = load.finish(&mut history);
    daemon.start_again();
    compare(&daemon, &mut history, &told);
}

/// The map is full: changes are answered NO, deletions make room, and a larger map is all that it takes.
pub fn map_full(kind: Kind) {
    let mut daemon = Daemon::start(kind, "store.map_size = \"1MiB\"\n");
    let mut client = login(&daemon);
    let (mut rows, text) = write_until_refused(&mut client, "a");
    assert!(text.contains("store is full"), "{text}");
    daemon.wait_for_log("raise map_size");
    assert_eq!(client.list(None).expect("LIST works"), rows);
    // Deletions go on, and make room.
    let gone = rows.split_off(rows.len() / 2);
    for row in &gone {
        client.delete(row.name()).expect("a deletion makes room");
    }
    client.activate("user.again", "be1!default", &"x".repeat(3000)).expect("there is room again");
    let (more, _) = write_until_refused(&mut client, "b");
    assert!(more.len() >= gone.len() / 4, "{} deletions made room for {}", gone.len(), more.len());
    let before = client.list(None).expect("LIST works");
    assert_eq!(before.len(), rows.len() + more.len() + 1);
    assert!(daemon.terminate().success());
    fs::write(daemon.config_file(), "store.map_size = \"16MiB\"\n").expect("a folder of ours");
    daemon.start_again();
    let mut client = login(&daemon);
    assert_eq!(client.list(None).expect("LIST works"), before);
    for number in 0..100 {
        client.activate(&format!("user.c{number}"), "be1!default", &"x".repeat(3000)).expect("there is room");
    }
}

/// Who only reads does not wait for a disk that takes its time, and changes that come together go together.
pub fn slow(kind: Kind) {
    let (daemon, shim) = shimmed(kind, "streams.hold_ms = 0\n");
    let mut writers: Vec<_> = (0..32).map(|_| login(&daemon)).collect();
    let mut reader = login(&daemon);
    writers[0].activate("user.first", "be1!default", "a").expect("it serves");
    let before = shim.syncs();
    // Long enough for a reader on a machine that has other things to do.
    shim.delay(Duration::from_millis(500));
    for (number, writer) in writers.iter_mut().enumerate() {
        writer.send(activate(&format!("user.{number}"), "be1!default", "a"));
        writer.flush().expect("short");
    }
    assert!(shim.await_phase(|phase| phase == Phase::Syncing, DEADLINE));
    let mut found = 0;
    let (during, syncs) = (std::time::Instant::now(), shim.syncs());
    assert!(reader.find("user.first").expect("FIND works").is_some());
    while shim.syncs() == syncs {
        found += 1;
        assert!(reader.find("user.first").expect("FIND works").is_some());
        assert!(during.elapsed() < DEADLINE, "the sync never ends");
    }
    assert!(found >= 3, "{found} FINDs during a sync of 500 ms");
    for writer in &mut writers {
        writer.answer().expect("slow, but done");
    }
    let syncs = shim.syncs() - before;
    assert!(syncs <= 4, "{syncs} syncs for 32 changes at once");
    println!("{}: {found} FINDs during one sync of 500 ms; 32 changes in {syncs} syncs", kind.program());
}

//! The redo log: what is in it is all that there is of the last changes, and so it must not be lost, nor taken for another's.

use std::{fs, path::PathBuf};

use mupdate_tests::{
    client::Row,
    daemon::{DEADLINE, Daemon, Kind},
    history::History,
    load::{Load, compare},
    shim::Call,
};
use rustix::io::Errno;

use super::{SHAPE, io::ends_with_its_reason, login, refusal, shimmed};

/// Where the first record can be, and what each begins at a multiple of.
const AREAS_AT: usize = 2 * HEADER;
const HEADER: usize = 8192;
const BLOCK: usize = 4096;

/// A record cannot be written.
pub fn write_fails(kind: Kind) {
    ends_with_its_reason(kind, Call::LogWrite, Errno::IO, "Input/output error");
}

/// A record cannot be synced.
pub fn sync_fails(kind: Kind) {
    ends_with_its_reason(kind, Call::LogSync, Errno::IO, "Input/output error");
    // What was written may be there or not, and a sync that is tried again says nothing of it.
    ends_with_its_reason(kind, Call::LogSync, Errno::NOSPC, "No space left on device");
}

/// A record is written in two pieces, which is as good as in one.
pub fn write_cut_short(kind: Kind) {
    let (mut daemon, shim) = shimmed(kind, "streams.hold_ms = 0\n");
    let mut history = History::default();
    let load = Load::start(&daemon, SHAPE, 0, &mut fastrand::Rng::with_seed(8));
    for _ in 0..10 {
        let wanted = shim.failed() + 1;
        shim.write_short(Call::LogWrite);
        while shim.failed() < wanted {
            assert_eq!(load.wait_for(10), 10, "the writers gave up");
        }
    }
    daemon.kill();
    let told = load.finish(&mut history);
    daemon.start_again();
    compare(&daemon, &mut history, &told);
}

/// What would be written to a log without a name would be gone with the process, as with the data file.
pub fn removed(kind: Kind) {
    let mut daemon = Daemon::start(kind, "");
    let mut client = login(&daemon);
    client.activate("user.a", "be1!default", "a").expect("it serves");
    fs::remove_file(log(&daemon)).expect("it is there");
    let text = refusal(client.activate("user.b", "be1!default", "a"));
    assert!(text.contains("data directory is gone"), "{text}");
    assert!(client.find("user.a").expect("FIND works").is_some());
    // In good order everything is in the data file.
    assert!(daemon.terminate().success());
    daemon.start_again();
    let mut client = login(&daemon);
    assert_eq!(client.list(None).expect("LIST works"), [Row::mailbox("user.a", "be1!default", "a")]);
    client.activate("user.b", "be1!default", "a").expect("there is a log again");
    // After a crash of the daemon alone the data file is as it was left, too. (After a power cut it is not.)
    daemon.kill();
    fs::remove_file(log(&daemon)).expect("it is there");
    daemon.start_again();
    assert_eq!(login(&daemon).list(None).expect("LIST works").len(), 2);
}

/// A daemon that was killed with changes in its log, these files, and what it had answered.
fn killed(kind: Kind) -> (Daemon, [Vec<u8>; 2], Vec<Row>) {
    // Nothing is settled until the files are read.
    let (mut daemon, shim) = shimmed(kind, "");
    shim.delay_settling(DEADLINE);
    let mut client = login(&daemon);
    for number in 0..20 {
        client.activate(&format!("user.{number}"), "be1!default", "a").expect("it serves");
    }
    let rows = client.list(None).expect("LIST works");
    daemon.kill();
    daemon.launch().environment.clear();
    let files = [data(&daemon), log(&daemon)].map(|path| fs::read(path).expect("a file of ours"));
    (daemon, files, rows)
}

/// What a start on these files comes to: what is there; or a refusal with 65 (`EX_DATAERR`) that has changed nothing.
fn found(daemon: &mut Daemon, files: [&[u8]; 2]) -> Option<Vec<Row>> {
    let paths = [data(daemon), log(daemon)];
    for (path, octets) in paths.iter().zip(files) {
        fs::write(path, octets).expect("a folder of ours");
    }
    match daemon.try_start_again() {
        Ok(()) => {
            let rows = login(daemon).list(None).expect("LIST works");
            daemon.kill();
            Some(rows)
        }
        Err(refusal) => {
            assert_eq!(refusal.status.code(), Some(65), "{refusal}");
            assert!(!refusal.said.contains("panicked"), "{refusal}");
            for (path, octets) in paths.iter().zip(files) {
                assert!(fs::read(path).expect("a file of ours") == octets, "{} was changed", path.display());
            }
            None
        }
    }
}

/// Where the last record and the one in the middle begin.
fn records(log: &[u8]) -> (usize, usize) {
    let at = (AREAS_AT..log.len()).step_by(BLOCK).filter(|&at| log[at..].starts_with(b"redo"));
    let at: Vec<usize> = at.collect();
    assert!(at.len() >= 20, "{} records", at.len());
    let number = |at: usize| u64::from_be_bytes(log[at + 16..at + 24].try_into().expect("eight"));
    let mut at = at;
    at.sort_by_key(|&at| number(at));
    (at[at.len() - 1], at[at.len() - 10])
}

/// Garbage in the log: the last record may be torn, as nobody was answered then; all else that is missing is missed.
pub fn garbage(kind: Kind) {
    let (mut daemon, [data, log], rows) = killed(kind);
    assert_eq!(found(&mut daemon, [&data, &log]).as_ref(), Some(&rows));
    let (last, middle) = records(&log);
    let damaged = |places: &[usize]| {
        let mut damaged = log.clone();
        for &at in places {
            damaged[at..at + 512].fill(0xA5);
        }
        damaged
    };
    let torn = found(&mut daemon, [&data, &damaged(&[last])]).expect("it may be torn");
    assert_eq!(torn.len(), rows.len() - 1);
    assert_eq!(found(&mut daemon, [&data, &damaged(&[middle])]), None);
    assert_eq!(found(&mut daemon, [&data, &damaged(&[0, HEADER])]), None);
    // One header was being written when the power failed, or is the older one; else records of later days are there.
    for header in [0, HEADER] {
        let found = found(&mut daemon, [&data, &damaged(&[header])]);
        assert!(found.is_none_or(|found| found == rows), "header {header}");
    }
    assert_eq!(found(&mut daemon, [&data, &log[..log.len() / 4]]), None);
    // As it was, it is as good as ever.
    assert_eq!(found(&mut daemon, [&data, &log]).as_ref(), Some(&rows));
}

/// A data file of an earlier day, or of another daemon, beside a log with changes that it lacks: nobody but an operator knows
/// which of the two is right.
pub fn of_another_data_file(kind: Kind) {
    let mut other = Daemon::start(kind, "");
    login(&other).activate("user.other", "be1!default", "a").expect("it serves");
    assert!(other.terminate().success());
    let others = fs::read(data(&other)).expect("a file of ours");
    let (mut daemon, [data, log], rows) = killed(kind);
    assert_eq!(found(&mut daemon, [&others, &log]), None);
    // The operator decides for the data file.
    fs::write(self::data(&daemon), &others).expect("a folder of ours");
    fs::remove_file(self::log(&daemon)).expect("it is there");
    daemon.start_again();
    let there = login(&daemon).list(None).expect("LIST works");
    assert_eq!(there, [Row::mailbox("user.other", "be1!default", "a")]);
    daemon.kill();
    assert_eq!(found(&mut daemon, [&data, &log]), Some(rows));
}

fn log(daemon: &Daemon) -> PathBuf {
    daemon.data_dir().join("redo.log")
}

fn data(daemon: &Daemon) -> PathBuf {
    daemon.data_dir().join("data.mdb")
}

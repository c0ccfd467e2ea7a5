//! What a machine can do to a daemon, one fault a test: each has an outcome that is written down, nothing that was
//! acknowledged is lost, and the next start is a clean one.

mod clock;
mod damage;
mod disk;
mod io;
mod limits;
mod log;
mod place;

use std::net::TcpStream;

use mupdate_tests::{
    client::{Answer, Client, ClientError},
    daemon::{Daemon, Kind, Launch},
    history::History,
    load::{Load, SETTINGS, Shape, compare},
    shim::Shim,
};

/// What a test needs of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// To mount: root, and a mount namespace of its own.
    Mounts,
    /// To make control groups: root.
    Groups,
}

/// A test: it panics where something is wrong.
pub type Fault = (&'static str, Needs, fn(Kind));

/// All of them.
pub const FAULTS: [Fault; 33] = [
    ("disk_full_at_a_commit", Needs::Mounts, disk::full_at_a_commit),
    ("disk_full_at_the_start", Needs::Mounts, disk::full_at_the_start),
    ("disk_full_under_load", Needs::Mounts, disk::full_under_load),
    ("disk_slow", Needs::Nothing, disk::slow),
    ("map_full", Needs::Nothing, disk::map_full),
    ("io_write_fails", Needs::Nothing, io::write_fails),
    ("io_sync_fails", Needs::Nothing, io::sync_fails),
    ("io_meta_page_fails", Needs::Nothing, io::meta_page_fails),
    ("io_write_cut_short", Needs::Nothing, io::write_cut_short),
    ("io_no_space_reported_late", Needs::Nothing, io::no_space_reported_late),
    ("io_read_only_disk", Needs::Nothing, io::read_only_disk),
    ("io_settling_finds_no_space", Needs::Nothing, io::settling_finds_no_space),
    ("log_write_fails", Needs::Nothing, log::write_fails),
    ("log_sync_fails", Needs::Nothing, log::sync_fails),
    ("log_write_cut_short", Needs::Nothing, log::write_cut_short),
    ("log_removed", Needs::Nothing, log::removed),
    ("log_with_garbage", Needs::Nothing, log::garbage),
    ("log_of_another_data_file", Needs::Nothing, log::of_another_data_file),
    ("files_exhausted", Needs::Nothing, limits::files_exhausted),
    ("waiting_refused", Needs::Nothing, limits::waiting_refused),
    ("files_few_from_the_start", Needs::Nothing, limits::files_few_from_the_start),
    ("threads_exhausted", Needs::Groups, limits::threads_exhausted),
    ("threads_refused", Needs::Nothing, limits::threads_refused),
    ("memory_exhausted", Needs::Groups, limits::memory_exhausted),
    ("address_space_too_small", Needs::Nothing, limits::address_space_too_small),
    ("clock_jumps", Needs::Nothing, clock::jumps),
    ("directory_removed", Needs::Nothing, place::removed),
    ("directory_moved_away_and_back", Needs::Nothing, place::moved_away_and_back),
    ("directory_read_only_at_the_start", Needs::Mounts, place::read_only_at_the_start),
    ("users_file_broken", Needs::Nothing, place::users_file_broken),
    ("store_truncated", Needs::Nothing, damage::truncated),
    ("store_with_a_garbage_page", Needs::Nothing, damage::garbage_page),
    ("store_with_garbage_meta_pages", Needs::Nothing, damage::garbage_meta_pages),
];

const SHAPE: Shape = Shape { writers: 16, subscribers: 1, depth: 16 };

fn login(daemon: &Daemon) -> Client<TcpStream> {
    Client::login(daemon.connect()).expect("the daemon serves")
}

/// A daemon on top of a shim.
fn shimmed(kind: Kind, toml: &str) -> (Daemon, Shim) {
    let shim = Shim::new();
    let toml = format!("{SETTINGS}{toml}");
    let mut daemon = Daemon::start_as(kind, &toml, Launch::default(), |_| {});
    let data_dir = daemon.data_dir();
    assert!(daemon.terminate().success());
    shim.under(daemon.launch(), &data_dir);
    daemon.start_again();
    (daemon, shim)
}

/// The text of a NO.
#[track_caller]
fn refusal<T>(answer: Answer<T>) -> String {
    match answer {
        Err(ClientError::Refused { text, .. }) => text,
        Err(other) => panic!("no NO but {other}"),
        Ok(_) => panic!("no NO but an OK"),
    }
}

/// Puts the daemon under load, breaks something, and waits for its end: what its clients were told must be there once
/// the cause is mended. The exit code, and what it said.
fn broken_under_load(
    daemon: &mut Daemon,
    after: usize,
    break_it: impl FnOnce(),
    mend: impl FnOnce(),
) -> (Option<i32>, String) {
    let mut history = History::default();
    let load = Load::start(daemon, SHAPE, 0, &mut fastrand::Rng::with_seed(3));
    assert_eq!(load.wait_for(after), after, "the writers gave up");
    break_it();
    let ended = (daemon.wait().code(), daemon.log());
    let told = load.finish(&mut history);
    mend();
    daemon.start_again();
    assert!(compare(daemon, &mut history, &told) > 0);
    ended
}

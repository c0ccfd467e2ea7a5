//! Somebody tampers with the data directory of a running daemon.

use std::fs;

use mupdate_tests::{
    client::Row,
    daemon::{Daemon, Kind, Signal},
};

use super::{login, refusal};
use crate::sandbox::Mount;

/// What has no name any more would not be there after a restart: changes are answered NO, repetitions too, and whoever
/// reads is served as long as the process runs.
pub fn removed(kind: Kind) {
    let mut daemon = Daemon::start(kind, "");
    let mut client = login(&daemon);
    client.activate("user.a", "be1!default", "a").expect("it serves");
    fs::remove_dir_all(daemon.data_dir()).expect("a folder of ours");
    let text = refusal(client.activate("user.b", "be1!default", "a"));
    assert!(text.contains("data directory is gone"), "{text}");
    refusal(client.activate("user.a", "be1!default", "a"));
    daemon.wait_for_log("put the data directory back");
    assert_eq!(client.list(None).expect("LIST works"), [Row::mailbox("user.a", "be1!default", "a")]);
    daemon.signal(Signal::HUP);
    daemon.wait_for_log("nothing was reloaded");
    assert_eq!(login(&daemon).update(&[]).expect("UPDATE works").len(), 1);
    assert!(daemon.terminate().success());
}

/// A directory that comes back as it was is as good as before; another one in its place is not.
pub fn moved_away_and_back(kind: Kind) {
    let mut daemon = Daemon::start(kind, "");
    let mut client = login(&daemon);
    client.activate("user.a", "be1!default", "a").expect("it serves");
    let (data_dir, elsewhere) = (daemon.data_dir(), daemon.data_dir().with_extension("away"));
    fs::rename(&data_dir, &elsewhere).expect("a folder of ours");
    refusal(client.delete("user.a"));
    fs::create_dir(&data_dir).expect("a folder of ours");
    fs::copy(elsewhere.join("data.mdb"), data_dir.join("data.mdb")).expect("a folder of ours");
    refusal(client.delete("user.a"));
    fs::remove_dir_all(&data_dir).expect("a folder of ours");
    fs::rename(&elsewhere, &data_dir).expect("a folder of ours");
    client.activate("user.b", "be1!default", "b").expect("it is back");
    daemon.wait_for_log("changes are written again");
    daemon.kill();
    daemon.start_again();
    assert_eq!(login(&daemon).list(None).expect("LIST works").len(), 2);
}

/// A daemon needs to write, and says that it cannot.
pub fn read_only_at_the_start(kind: Kind) {
    let mut daemon = Daemon::start(kind, "");
    login(&daemon).activate("user.a", "be1!default", "a").expect("it serves");
    assert!(daemon.terminate().success());
    let mount = Mount::read_only(&daemon.data_dir());
    let refusal = daemon.try_start_again().expect_err("nothing can be written");
    assert_eq!(refusal.status.code(), Some(73), "{refusal}");
    assert!(refusal.said.contains("cannot write the data directory"), "{refusal}");
    drop(mount);
    daemon.start_again();
    assert_eq!(login(&daemon).list(None).expect("LIST works").len(), 1);
}

/// A users file that cannot be read changes nothing at a reload, and keeps the next daemon from starting.
pub fn users_file_broken(kind: Kind) {
    let mut daemon = Daemon::start(kind, "");
    let users = daemon.data_dir().join("users");
    let sound = fs::read(&users).expect("a folder of ours");
    for broken in [&b"murder:secret\n"[..], &[0xff; 100], &sound[..sound.len() / 2]] {
        fs::write(&users, broken).expect("a folder of ours");
        daemon.signal(Signal::HUP);
        daemon.wait_for_log("nothing was reloaded");
        login(&daemon).activate("user.a", "be1!default", "a").expect("users are as before");
    }
    assert!(daemon.terminate().success());
    let refusal = daemon.try_start_again().expect_err("nobody could log in");
    assert_eq!(refusal.status.code(), Some(65), "{refusal}");
    fs::write(&users, sound).expect("a folder of ours");
    daemon.start_again();
    assert_eq!(login(&daemon).list(None).expect("LIST works").len(), 1);
}

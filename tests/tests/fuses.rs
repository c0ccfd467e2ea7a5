//! Fuses that blow, outlive a restart, and are released.

use std::{
    ffi::OsStr,
    fs,
    net::TcpStream,
    time::{Duration, Instant},
};

use mupdate_tests::{
    client::{Client, ClientError},
    daemon::{DEADLINE, Daemon, Kind, run_to_its_end},
    on_both_daemons,
};

on_both_daemons!(a_fuse_outlives_a_restart_and_is_released, sighup_sees_a_release_at_once);

const SETTINGS: &str = "fuse.takeovers = 2\n";
const HELD: &str = "the fuse of principal murder has blown: takeovers are held until an operator releases it";

/// Takes mailboxes of one server for another until it is refused; how many were taken, and the reason.
fn take(client: &mut Client<TcpStream>, from: &str, to: &str) -> (usize, String) {
    for number in 0.. {
        let name = format!("user.{number}");
        client.activate(&name, from, "x").expect("whoever has it is the same again");
        match client.activate(&name, to, "x") {
            Ok(()) => {}
            Err(ClientError::Refused { text, .. }) => return (number, text),
            Err(error) => panic!("{error}"),
        }
    }
    unreachable!("there is a limit")
}

fn fuse(daemon: &Daemon, arguments: &[&str]) -> (Option<i32>, String) {
    daemon.tell(&[&["fuse"], arguments].concat())
}

fn a_fuse_outlives_a_restart_and_is_released(kind: Kind) {
    let mut daemon = Daemon::start(kind, SETTINGS);
    assert_eq!(fuse(&daemon, &["list"]), (Some(0), String::new()));
    assert_eq!(take(&mut daemon.login(), "be1!p", "be2!p"), (2, HELD.to_owned()));
    let alarm = daemon.wait_for_log("A FUSE HAS BLOWN: too many takeovers by one principal");
    assert!(alarm.contains("ERROR") && alarm.contains("murder"), "{alarm}");
    let (code, listed) = fuse(&daemon, &["list"]);
    assert!(code == Some(0) && listed.starts_with("murder: takeovers are held, blown "), "{listed}");

    daemon.kill();
    daemon.start_again();
    daemon.wait_for_log("a fuse has blown before, and changes are held");
    let mut client = daemon.login();
    let refused = |answer| matches!(answer, Err(ClientError::Refused { text, .. }) if text == HELD);
    assert!(refused(client.activate("user.2", "be2!p", "x")), "it is held as before");
    client.delete("user.0").expect("deletions have no limit");
    assert_eq!(daemon.log().matches("A FUSE HAS BLOWN").count(), 0, "it is no news");

    let (_, checked) = daemon.tell(&["check-config"]);
    assert!(checked.contains("# Warning: the fuse of murder has blown: takeovers are held"), "{checked}");
    let (code, said) = fuse(&daemon, &["release", "nobody"]);
    assert!(code == Some(65) && said.contains("no fuse of nobody has blown"), "{said}");
    let (code, said) = fuse(&daemon, &["release", "murder"]);
    assert!(code == Some(0) && said.contains("the fuse of murder is released"), "{said}");
    let (started, mut tries) = (Instant::now(), 0);
    while refused(client.activate("user.2", "be2!p", "x")) {
        tries += 1;
        assert!(started.elapsed() < DEADLINE, "it is never seen, after {tries} tries");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    daemon.wait_for_log("the fuse has been released");
    assert_eq!(fuse(&daemon, &["list"]), (Some(0), String::new()));
}

fn sighup_sees_a_release_at_once(kind: Kind) {
    let daemon = Daemon::start(kind, SETTINGS);
    let mut client = daemon.login();
    assert_eq!(take(&mut client, "be1!p", "be2!p"), (2, HELD.to_owned()));
    assert_eq!(fuse(&daemon, &["release", "--all"]).0, Some(0));
    fs::write(daemon.config_file(), "fuse.takeovers = 3\n").expect("the file is ours");
    daemon.reload();
    assert_eq!(take(&mut client, "be3!p", "be4!p").1, HELD);
    daemon.wait_for_logs("A FUSE HAS BLOWN", 2);
    let (code, said) = run_to_its_end(kind, &[OsStr::new("fuse"), OsStr::new("release")]);
    assert!(code == Some(64) && said.contains("<NAME>"), "{said}");
}

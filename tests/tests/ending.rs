//! The end of a daemon in good order, what a reload changes, and what outlives both.

use std::{fs, io::Write};

use mupdate_tests::{
    client::{Client, Row, activate},
    daemon::{Daemon, Kind, Signal},
    on_both_daemons,
    preload::preload,
};

on_both_daemons!(
    everybody_is_told,
    nobody_new_comes_in,
    an_impatient_operator,
    a_reload_changes_limits_for_new_connections,
    a_reload_of_nonsense_changes_nothing,
    everything_outlives_a_restart,
    what_was_learned_outlives_a_restart,
);

fn everybody_is_told(kind: Kind) {
    let mut daemon = Daemon::start(kind, "");
    let mut idle = daemon.login();
    let mut stream = daemon.login();
    stream.update(&[]).expect("UPDATE works");
    let (mut nobody, _) = Client::greet(daemon.connect_unix()).expect("it serves");
    let mut half = daemon.login();
    half.stream().write_all(b"X ACTIVATE \"user.a\" {100+}\r\nhalf").expect("a socket");
    half.flush().expect("nothing is queued");
    daemon.signal(Signal::TERM);
    for client in [&mut idle, &mut stream, &mut half] {
        let said = client.end().expect("an end in good order");
        assert!(said.is_some_and(|text| text.contains("shutting down")));
    }
    assert!(nobody.end().expect("an end in good order").is_some());
    assert!(daemon.wait().success());
    assert!(!daemon.socket().exists());
}

fn nobody_new_comes_in(kind: Kind) {
    let mut daemon = Daemon::start_on(kind, "", |data| preload(data, 50_000));
    let address = daemon.address();
    let mut stuck = daemon.login();
    for _ in 0..20 {
        stuck.send(mupdate_proto::Verb::List { prefix: None });
    }
    stuck.flush().expect("short");
    daemon.signal(Signal::TERM);
    daemon.wait_for_log("stopping");
    // Whoever gets through in the last moment is told, or cut off.
    if let Ok(mut client) = std::net::TcpStream::connect(address).map_err(Into::into).and_then(Client::login)
    {
        drop(client.end());
    }
    drop(stuck);
    assert!(daemon.wait().success());
}

/// Somebody who does not read holds the end up; a second signal does not wait for him.
fn an_impatient_operator(kind: Kind) {
    let mut daemon = Daemon::start_on(kind, "", |data| preload(data, 50_000));
    let mut stuck = daemon.login();
    for _ in 0..20 {
        stuck.send(mupdate_proto::Verb::List { prefix: None });
    }
    stuck.flush().expect("short");
    // Answers that fill the socket are under way by then.
    let mut other = daemon.login();
    other.activate("user.a", "be1!x", "").expect("it serves");
    daemon.signal(Signal::TERM);
    daemon.wait_for_log("stopping");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait().code(), Some(75));
    daemon.start_again();
    let mut client = daemon.login();
    assert!(client.find("user.a").expect("FIND works").is_some());
}

fn a_reload_changes_limits_for_new_connections(kind: Kind) {
    let daemon = Daemon::start(kind, "");
    let mut old = daemon.login();
    fs::write(
        daemon.config_file(),
        "limits.literal = 4096\nlimits.message = 100000\ncompress = \"both\"\npolicy = \"strict\"\n",
    )
    .expect("a folder of ours");
    daemon.signal(Signal::HUP);
    daemon.wait_for_log("reloaded");
    let waiting = daemon.wait_for_log("until a restart");
    assert!(waiting.contains("policy"), "{waiting}");
    let mut new = daemon.login();
    let long = "x".repeat(5000);
    assert!(new.activate("user.a", "be1!x", &long).is_err(), "over the new limit");
    old.activate("user.a", "be1!x", &long).expect("within the old one");
    old.activate("user.a", "be2!x", "").expect("the policy is the old one");
}

fn a_reload_of_nonsense_changes_nothing(kind: Kind) {
    let mut daemon = Daemon::start(kind, "");
    fs::write(daemon.config_file(), "nonsense = 1\n").expect("a folder of ours");
    daemon.signal(Signal::HUP);
    let line = daemon.wait_for_log("nothing was reloaded");
    assert!(line.contains("nonsense"), "{line}");
    daemon.login().activate("user.a", "be1!x", "").expect("as before");
    assert!(daemon.is_running());
}

fn everything_outlives_a_restart(kind: Kind) {
    let mut daemon = Daemon::start(kind, "");
    let mut client = daemon.login();
    let acl = "a\tlrs\t".repeat(5000);
    client.activate("user.a", "be1!default", &acl).expect("free");
    client.reserve("user.b", "be1!").expect("free");
    client.activate("user.c", "be2", "").expect("free");
    client.activate("user.d", "be2!x", "").expect("free");
    client.delete("user.d").expect("ours");
    for _ in 0..200 {
        client.send(activate("user.e", "be2!x", "e"));
    }
    for _ in 0..200 {
        client.answer().expect("ours");
    }
    let before = client.list(None).expect("LIST works");
    assert_eq!(
        before,
        [
            Row::mailbox("user.a", "be1!default", &acl),
            Row::reserve("user.b", "be1!"),
            Row::mailbox("user.c", "be2", ""),
            Row::mailbox("user.e", "be2!x", "e"),
        ]
    );
    for end in [Daemon::terminate as fn(&mut Daemon) -> _, |daemon| {
        daemon.signal(Signal::INT);
        daemon.wait()
    }] {
        assert!(end(&mut daemon).success());
        daemon.start_again();
        let mut client = daemon.login();
        assert_eq!(client.list(None).expect("LIST works"), before);
    }
}

/// The order of a backend, and the deletions that frontends may have missed.
fn what_was_learned_outlives_a_restart(kind: Kind) {
    let mut daemon = Daemon::start(kind, "");
    let mut client = daemon.login();
    for name in ["user.a-b", "user.a.b", "user.a.c"] {
        client.activate(name, "be1!x", "").expect("free");
    }
    client.delete("user.a.c").expect("ours");
    client.list(Some("be1!")).expect("LIST works");
    for name in ["user.a-b", "user.a.b"] {
        client.find(name).expect("FIND works");
    }
    client.logout().expect("LOGOUT works");
    client.end().expect("an end in good order");
    assert!(daemon.terminate().success());
    daemon.start_again();
    let mut client = daemon.login();
    let listed = client.list(Some("be1!")).expect("LIST works");
    assert_eq!(listed.iter().map(Row::name).collect::<Vec<_>>(), ["user.a-b", "user.a.b"], "octet order");
    let dumped = client.update(&[]).expect("UPDATE works");
    assert_eq!(dumped.iter().map(Row::name).collect::<Vec<_>>(), ["user.a.b", "user.a-b"], "v36 order");
    assert_eq!(client.noop().expect("NOOP works").iter().map(Row::name).collect::<Vec<_>>(), ["user.a-b"]);
}

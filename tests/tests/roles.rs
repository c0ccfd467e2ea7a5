//! Roles that change while connections are open, and what the log says of refusals.

use std::fs;

use mupdate_proto::Verb;
use mupdate_tests::{
    client::{ClientError, Row},
    daemon::{Daemon, Kind},
    on_both_daemons,
};

on_both_daemons!(
    roles_are_read_again_for_open_connections,
    a_flood_of_refusals_is_a_few_lines,
    who_has_no_user_or_no_role_is_told,
);

/// The reason of a NO.
fn refused<T: std::fmt::Debug>(answer: Result<T, ClientError>) -> String {
    match answer {
        Err(ClientError::Refused { text, .. }) => text,
        other => panic!("{other:?}"),
    }
}

fn reload(daemon: &Daemon, settings: &str) {
    fs::write(daemon.config_file(), settings).expect("the file is ours");
    daemon.reload();
}

const BE1: &str = "roles.be1 = { role = \"backend\", servers = [\"be1\"] }\nroles.murder = \"admin\"\n";

fn roles_are_read_again_for_open_connections(kind: Kind) {
    let daemon = Daemon::start(kind, BE1);
    let (mut backend, mut admin) = (daemon.login_as("be1"), daemon.login());
    let mut stream = daemon.login_as("be1");
    stream.update(&[]).expect("backends may follow");
    backend.activate("m", "be1!p", "x").expect("its own server");
    stream.noop().expect("NOOP works");

    reload(&daemon, &BE1.replace("\"be1\"", "\"be2\""));
    let held = "mailbox is held by be1!p, which principal be1 may not speak for";
    assert_eq!(refused(backend.delete("m")), held);
    backend.activate("n", "be2!p", "x").expect("its own server now");

    reload(&daemon, "roles.be1 = \"frontend\"\nroles.murder = \"admin\"\n");
    assert_eq!(refused(backend.delete("n")), "principal be1 is a frontend and changes nothing");
    assert_eq!(backend.find("n").expect("it may read"), Some(Row::mailbox("n", "be2!p", "x")));

    reload(&daemon, "roles.murder = \"admin\"\n");
    let none = "principal be1 has no role";
    assert_eq!(refused(backend.find("n")), none);
    assert_eq!(refused(backend.list(None)), none);
    backend.call(Verb::Noop).expect("everybody may");
    // A stream that may not be followed any more ends with the next change.
    admin.delete("n").expect("the administrator may");
    let ended = loop {
        match stream.streamed() {
            Ok(row) => assert!(!matches!(row, Row::Delete { .. }), "{row:?}"),
            Err(error) => break error,
        }
    };
    assert!(matches!(&ended, ClientError::Bye(text) if text == none), "{ended:?}");

    reload(&daemon, "");
    backend.delete("m").expect("there are no roles any more");
}

fn a_flood_of_refusals_is_a_few_lines(kind: Kind) {
    let daemon = Daemon::start(kind, "roles.be1 = { role = \"backend\", servers = [\"be1\"] }\n");
    let mut nobody = daemon.login();
    let mut backend = daemon.login_as("be1");
    for _ in 0..2000 {
        assert_eq!(refused(nobody.delete("m")), "principal murder has no role");
        assert_eq!(refused(nobody.find("m")), "principal murder has no role");
        assert!(refused(backend.activate("m", "be2!p", "x")).starts_with("location is be2!p, which"));
    }
    let log = daemon.log();
    let lines = |text: &str| log.lines().filter(|line| line.contains(text)).count();
    let (told, summed) = (lines("refused: "), lines("refused more than was logged"));
    assert!((20..6000 / 4).contains(&told), "{told} lines for 6000 refusals");
    assert!(summed <= told, "{summed} sums of {told} lines");
    assert!(log.contains("refused: principal murder has no role"), "{log}");
}

fn who_has_no_user_or_no_role_is_told(kind: Kind) {
    let mut daemon = Daemon::start(kind, "");
    daemon.wait_for_log("there are no [roles]: whoever is logged in may change every mailbox");
    daemon.terminate();
    fs::write(daemon.config_file(), "roles.ghost = \"admin\"\n").expect("the file is ours");
    daemon.start_again();
    daemon.wait_for_log("roles.ghost: there is no user of this name");
    daemon.wait_for_log("user murder has no role in [roles], and may do nothing");
    assert!(!daemon.log().contains("there are no [roles]"));
}

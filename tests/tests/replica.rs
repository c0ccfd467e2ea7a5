//! A replica of a master, both of them ours.

use std::{
    collections::BTreeMap,
    fs,
    net::{SocketAddr, TcpListener},
    thread,
    time::Instant,
};

use mupdate_proto::{Role, Status};
use mupdate_tests::{
    client::{Client, ClientError, Row},
    daemon::{DEADLINE, Daemon, Kind},
    on_both_daemons,
    player::LOGIN,
    preload::preload,
    tls::{self, Authority},
};

on_both_daemons!(
    follows_and_takes_no_changes,
    is_ready_once_it_has_had_everything,
    very_many_names,
    a_master_behind_tls,
);

/// An address that is free now, for a daemon that comes back to where it was.
fn somewhere() -> String {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").to_string()
}

/// A replica of the master at this address.
fn replica(kind: Kind, master: &str, more: &str) -> Daemon {
    let toml = format!(
        "authority = \"upstream\"\n[upstream]\nhost = \"{master}\"\nuser = \"{}\"\npassword_file = \"password\"\n\
         noop_ms = 50\nretry_ms = 50\nretry_max_ms = 200\n{more}",
        LOGIN.0
    );
    Daemon::start_on(kind, &toml, |data| {
        let folder = data.parent().expect("it is in a folder");
        fs::write(folder.join("password"), format!("{}\n", LOGIN.1)).expect("the folder is ours");
    })
}

fn other(kind: Kind) -> Kind {
    if kind == Kind::Smol { Kind::Sync } else { Kind::Smol }
}

fn names(rows: Vec<Row>) -> BTreeMap<String, Row> {
    rows.into_iter().map(|row| (row.name().to_owned(), row)).collect()
}

fn is_ready_once_it_has_had_everything(kind: Kind) {
    let address = somewhere();
    let mut replica = replica(kind, &address, "");
    let mut http = replica.admin();
    let ready = http.get("/readyz");
    let reason = format!("upstream: this replica has never had everything that {address} has\n");
    assert_eq!((ready.status, ready.text()), (503, reason));
    let mut master = Daemon::start_at(other(kind), "", &address);
    replica.wait_for_logs("in sync with the master", 1);
    let started = Instant::now();
    while http.get("/readyz").text() != "ok\n" {
        assert!(started.elapsed() < DEADLINE, "it has everything");
        thread::yield_now();
    }
    // It goes on with what it has, and so may those who ask it.
    master.kill();
    assert!(replica.terminate().success());
    replica.start_again();
    assert_eq!(replica.admin().get("/readyz").text(), "ok\n");
}

/// Clients of a replica see what its master has, and are told that it is none; a master that is killed comes back.
fn follows_and_takes_no_changes(kind: Kind) {
    let address = somewhere();
    let mut master = Daemon::start_at(other(kind), "log = 'debug'\n", &address);
    let mut writer = master.login();
    writer.activate("user.a", "be1!default", "a\tlrs\t").expect("the name is free");
    writer.reserve("user.b", "be2!").expect("the name is free");
    let replica = replica(kind, &address, "");
    replica.wait_for_logs("in sync with the master", 1);
    // By the best mechanism of the master's; the tests' own client takes PLAIN.
    master.wait_for_log("mechanism=\"SCRAM-SHA-256\"");

    let (mut client, banner) = Client::greet(replica.connect()).expect("it serves");
    assert_eq!(banner.role, Role::Replica("mupdate://127.0.0.1".into()));
    client.authenticate(LOGIN.0, LOGIN.1).expect("the same user");
    assert_eq!(client.list(None).expect("LIST works"), writer.list(None).expect("LIST works"));
    for refused in
        [client.reserve("user.x", "be1!"), client.activate("user.x", "be1!", ""), client.delete("user.a")]
    {
        let Err(ClientError::Refused { status: Status::Bad, text }) = refused else { panic!("{refused:?}") };
        assert_eq!(text, "read-only session");
    }
    for (target, body) in [
        ("/v1/undo", r#"{"to_revision":0}"#),
        ("/v1/drain", r#"{"server":"be1","draining":true}"#),
        ("/v1/reservations/release", r#"{"names":[["user.b",2]]}"#),
    ] {
        let answer = replica.admin().post(target, body);
        let error = "this server is a replica: ask its master";
        assert_eq!((answer.status, answer.json()["error"].as_str()), (409, Some(error)), "{target}");
    }
    // A frontend that follows the replica.
    let mut stream = replica.login();
    assert_eq!(stream.update(&[]).expect("UPDATE works").len(), 2);
    writer.activate("user.b", "be2!default", "b\tlrs\t").expect("it is reserved for it");
    assert_eq!(stream.streamed().expect("told"), Row::mailbox("user.b", "be2!default", "b\tlrs\t"));
    writer.delete("user.a").expect("it is there");
    assert_eq!(stream.streamed().expect("told"), Row::Delete { name: "user.a".into() });

    // While it is away, the replica serves what it has.
    master.kill();
    replica.wait_for_log("the master is not followed");
    let left = Row::mailbox("user.b", "be2!default", "b\tlrs\t");
    assert_eq!(client.find("user.b").expect("FIND works"), Some(left));
    master.start_again();
    replica.wait_for_logs("in sync with the master", 2);
    master.login().reserve("user.c", "be1!default").expect("the name is free");
    assert_eq!(stream.streamed().expect("told"), Row::reserve("user.c", "be1!default"));
}

/// What was deleted while the replica was away goes, and nothing else.
fn very_many_names(kind: Kind) {
    // What is built for debugging is ten times slower.
    const MANY: u32 = if cfg!(debug_assertions) { 20_000 } else { 100_000 };
    let master = Daemon::start_on(kind, "", |data| preload(data, MANY));
    let address = master.address().to_string();
    let mut replica = replica(other(kind), &address, "");
    replica.wait_for_logs("in sync with the master", 1);
    assert_eq!(replica.terminate().code(), Some(0));
    let mut writer = master.login();
    for number in (0..MANY).step_by(MANY as usize / 100) {
        writer.delete(&format!("user.{number:08}")).expect("it is there");
        writer.activate(&format!("user.{:08}", number + 1), "be2!x", "moved").expect("it is there");
        writer.reserve(&format!("user.{number:08}.new"), "be3!x").expect("the name is free");
    }
    replica.start_again();
    let line = replica.wait_for_logs("in sync with the master", 1);
    assert!(line.contains("removed=100") && line.contains("changed=300"), "{line}");
    let (here, there) = (replica.login().list(None), writer.list(None));
    assert!(names(here.expect("LIST works")) == names(there.expect("LIST works")), "the copies differ");
}

/// STARTTLS where it is required, and a certificate that has to be of the right authority.
fn a_master_behind_tls(kind: Kind) {
    let authority = Authority::new("authority");
    let install = |data: &std::path::Path| {
        let folder = data.parent().expect("it is in a folder");
        tls::install(&authority.server(90), &authority, folder).expect("the folder is ours");
    };
    let master = Daemon::start_on(other(kind), tls::SETTINGS, install);
    let SocketAddr::V4(address) = master.address() else { panic!("bound to 127.0.0.1") };
    master.login().reserve("user.a", "be1!").expect("the name is free");
    let stranger = Authority::new("stranger");
    let files = tempfile::tempdir().expect("a folder");
    for (name, authority) in [("right.pem", &authority), ("wrong.pem", &stranger)] {
        fs::write(files.path().join(name), authority.pem()).expect("the folder is ours");
    }
    let ca = |name: &str| format!("starttls = \"require\"\nca = \"{}\"\n", files.path().join(name).display());
    let host = format!("localhost:{}", address.port());
    for (file, why) in [("wrong.pem", "UnknownIssuer"), ("right.pem", "not valid for name")] {
        let refusing = replica(kind, &host, &ca(file));
        let line = refusing.wait_for_log("the master is not followed");
        assert!(line.contains(why), "{line}");
    }
    replica(kind, &host, "starttls = \"require\"\n").wait_for_log("in sync with the master");
}

//! Many connections, and how fast changes reach those who wait for them.

use std::{
    net::TcpStream,
    time::{Duration, Instant},
};

use mupdate_tests::{
    client::{Client, ClientError, Row},
    daemon::{Daemon, Kind},
    on_both_daemons,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

on_both_daemons!(
    too_many_connections,
    a_thousand_idle_connections,
    many_subscribers,
    changes_arrive_at_once,
    a_socket_of_the_machine
);

/// No machine is that slow.
const SANE: Duration = Duration::from_secs(10);

fn too_many_connections(kind: Kind) {
    let daemon = Daemon::start(kind, "limits.connections = 3\n");
    let mut inside: Vec<_> = (0..3).map(|_| daemon.login()).collect();
    match Client::greet(daemon.connect()) {
        Err(ClientError::Bye(text)) => assert!(text.contains("too many connections"), "{text}"),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("there was no room"),
    }
    daemon.wait_for_log("too many connections");
    inside.iter_mut().for_each(|client| drop(client.noop().expect("who is inside stays")));
    let mut leaving = inside.pop().expect("there are three");
    leaving.logout().expect("LOGOUT works");
    leaving.end().expect("an end in good order");
    drop(leaving);
    // The place is free a moment after the connection is closed.
    let started = Instant::now();
    while Client::login(daemon.connect()).is_err() {
        assert!(started.elapsed() < SANE, "the place is never given back");
    }
}

fn a_thousand_idle_connections(kind: Kind) {
    raise_open_files();
    let daemon = Daemon::start(kind, "");
    let idle: Vec<TcpStream> = (0..1100).map(|_| daemon.connect()).collect();
    let greeted: Vec<_> =
        idle.into_iter().map(|stream| Client::greet(stream).expect("there is room")).collect();
    let started = Instant::now();
    let mut client = daemon.login();
    client.activate("user.a", "be1!x", "a").expect("free");
    assert_eq!(client.list(None).expect("LIST works").len(), 1);
    assert!(started.elapsed() < SANE, "one of 1,101 waited {:?}", started.elapsed());
    drop(greeted);
    // All of them are let go, and their files with them.
    let few = 100;
    while daemon.open_files() > few {
        assert!(started.elapsed() < 6 * SANE, "{} files are open still", daemon.open_files());
        client.noop().expect("NOOP works");
    }
}

fn many_subscribers(kind: Kind) {
    let daemon = Daemon::start(kind, "");
    let mut writer = daemon.login();
    writer.activate("user.first", "be1!x", "a").expect("free");
    let mut streams: Vec<_> = (0..120)
        .map(|number| {
            let mut stream = daemon.login();
            let servers: &[&str] = if number % 2 == 0 { &[] } else { &["be1"] };
            assert_eq!(stream.update(servers).expect("UPDATE works").len(), 1);
            stream
        })
        .collect();
    let names: Vec<_> = (0..50).map(|number| format!("user.{number:02}")).collect();
    let started = Instant::now();
    for name in &names {
        writer.activate(name, "be1!x", "a").expect("free");
    }
    for stream in &mut streams {
        for name in &names {
            assert_eq!(stream.streamed().expect("it is sent"), Row::mailbox(name, "be1!x", "a"));
        }
        assert_eq!(stream.noop().expect("NOOP works"), []);
    }
    println!("{}: 50 changes at 120 subscribers after {:?}", kind.program(), started.elapsed());
}

fn changes_arrive_at_once(kind: Kind) {
    let daemon = Daemon::start(kind, "streams.hold_ms = 0\n");
    let mut stream = daemon.login();
    stream.update(&[]).expect("UPDATE works");
    let mut writer = daemon.login();
    let mut times: Vec<Duration> = (0..100)
        .map(|number| {
            let name = format!("user.{number}");
            let started = Instant::now();
            writer.activate(&name, "be1!x", "a").expect("free");
            assert_eq!(stream.streamed().expect("it is sent").name(), name);
            started.elapsed()
        })
        .collect();
    times.sort();
    println!("{}: a change takes {:?}, at most {:?}", kind.program(), times[50], times[99]);
    assert!(times[99] < SANE);
}

fn a_socket_of_the_machine(kind: Kind) {
    let daemon = Daemon::start(kind, "");
    let mut client = Client::login(daemon.connect_unix()).expect("it serves");
    client.activate("user.a", "be1!x", "a").expect("free");
    let mut other = daemon.login();
    assert_eq!(other.find("user.a").expect("FIND works"), Some(Row::mailbox("user.a", "be1!x", "a")));
    client.logout().expect("LOGOUT works");
}

/// A thousand sockets are more than is allowed by default.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
        .expect("up to the maximum");
}

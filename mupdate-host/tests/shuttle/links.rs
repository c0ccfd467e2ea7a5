//! Whole connections but for their sockets: sessions, the writer, feeds and logins, as a daemon puts them together.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mupdate_host::config::Config;
use mupdate_host::connections::Place;
use mupdate_host::inbox::Inbox;
use mupdate_host::link::{Link, Peer};
use mupdate_host::listen::Entrance;
use mupdate_host::service::Service;
use mupdate_host::store::Progress;
use shuttle::sync::mpsc::{Receiver, sync_channel};
use shuttle::thread;

use crate::explore::explore;

/// The user `user` with the password `pencil`, from RFC 7677, section 3: with fewer iterations than a new one has.
const USERS: &str = "user:SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==\
                     $WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=\n";

const LOGIN: &str = "L AUTHENTICATE \"PLAIN\" \"AHVzZXIAcGVuY2ls\"\r\n";

const SETTINGS: &str = "[streams]\nhold_ms = 0\n[store]\nmap_size = \"16MiB\"\nreaders = 32";

/// A peer and the daemon's side of its connection.
struct Connection {
    link: Link,
    woken: Receiver<()>,
    /// What the peer was told and has not looked at yet.
    said: String,
}

impl Connection {
    fn new(service: &Arc<Service>, place: Place) -> Self {
        let peer = Peer::Internet("127.0.0.1:1".parse().expect("an address"));
        let (wake, woken) = sync_channel(1);
        let inbox = Inbox::new(Box::new(move || {
            // A full channel means that a wake-up is under way.
            let _ = wake.try_send(());
        }));
        Self {
            link: Link::new(service, place, peer, Entrance::Plain, inbox, Instant::now()),
            woken,
            said: String::new(),
        }
    }

    /// Come in, unless the daemon goes down.
    fn open(service: &Arc<Service>) -> Option<Self> {
        let place = service.connections.admit(9)?;
        Some(Self::new(service, place))
    }

    /// Let the link run until it sleeps; take what it says. True: the connection is over.
    fn run(&mut self) -> bool {
        loop {
            let wait = self.link.run(Instant::now());
            let output = self.link.output().to_vec();
            self.said.push_str(std::str::from_utf8(&output).expect("this model speaks ASCII"));
            self.link.wrote(output.len(), Instant::now());
            if wait.closed.is_some() {
                return true;
            }
            if output.is_empty() && !wait.again {
                return false;
            }
        }
    }

    /// The lines up to the one that starts like this. `None`: the connection ended before.
    fn until(&mut self, start: &str) -> Option<String> {
        loop {
            let over = self.run();
            let at = if self.said.starts_with(start) {
                Some(0)
            } else {
                self.said.find(&format!("\n{start}")).map(|at| at + 1)
            };
            if let Some(end) = at.and_then(|at| Some(at + self.said[at..].find('\n')? + 1)) {
                return Some(self.said.drain(..end).collect());
            }
            if over {
                return None;
            }
            self.woken.recv().expect("the inbox holds the other end");
        }
    }

    fn ask(&mut self, command: &str, end: &str) -> Option<String> {
        self.link.received(command.as_bytes());
        self.until(end)
    }
}

fn service() -> (tempfile::TempDir, Arc<Service>) {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("users"), USERS).expect("a file");
    let config = Config { data_dir: dir.path().into(), ..Config::parse(SETTINGS).expect("settings") };
    let on_fatal = Box::new(|text: &str| panic!("the writer gave up: {text}"));
    let (service, _) = Service::open(&config, 100, on_fatal, Progress::default()).expect("a service");
    (dir, service)
}

/// What a frontend knows after these lines.
fn learn(has: &mut BTreeSet<String>, lines: &str) {
    for line in lines.lines() {
        let Some(name) = line.split('"').nth(1) else { continue };
        match line.split(' ').nth(1) {
            Some("MAILBOX" | "RESERVE") => drop(has.insert(name.to_owned())),
            Some("DELETE") => drop(has.remove(name)),
            _ => {}
        }
    }
}

/// What a backend does in these models, with the answers: a revision each.
const CHANGES: [(&str, &str); 3] = [
    ("A RESERVE \"a\" \"be1!\"\r\n", "A OK"),
    ("B ACTIVATE \"b\" \"be1!\" \"acl\"\r\n", "B OK"),
    ("C DELETE \"a\"\r\n", "C OK"),
];

#[test]
fn noop_brings_everything_that_was_committed_before_it() {
    explore("links: NOOP brings everything that was committed before it", || {
        let (_dir, service) = service();
        let backend = {
            let service = Arc::clone(&service);
            thread::spawn(move || {
                let mut backend = Connection::open(&service).expect("room");
                backend.ask(LOGIN, "L OK").expect("a login");
                for (command, answer) in CHANGES {
                    backend.ask(command, answer).expect("an answer");
                }
            })
        };
        let mut frontend = Connection::open(&service).expect("room");
        frontend.ask(LOGIN, "L OK").expect("a login");
        let mut has = BTreeSet::new();
        learn(&mut has, &frontend.ask("U UPDATE\r\n", "U OK").expect("a dump"));
        for _ in 0..2 {
            let before = service.store.revision().expect("readable");
            learn(&mut has, &frontend.ask("N NOOP\r\n", "N OK").expect("an answer"));
            let after = service.store.revision().expect("readable");
            let (a, b) = (has.contains("a"), has.contains("b"));
            assert!(a || before != 1 || after > 2, "RESERVE a is missing");
            assert!(b || before < 2, "ACTIVATE b is missing");
            assert!(!a || before < 3, "DELETE a is missing");
        }
        // And without NOOP too, as soon as it is there.
        while has != BTreeSet::from(["b".to_owned()]) {
            learn(&mut has, &frontend.until("U ").expect("the rest"));
        }
        backend.join().expect("no panic");
        service.writer.stop();
    });
}

#[test]
fn every_connection_is_told_of_the_end_and_nothing_answered_is_lost() {
    explore("links: every connection is told of the end, and nothing answered is lost", || {
        let (_dir, service) = service();
        let connections = ["m1", "m2"].map(|mailbox| {
            let service = Arc::clone(&service);
            thread::spawn(move || {
                let mut peer = Connection::open(&service)?;
                peer.ask(LOGIN, "L OK")?;
                let command = format!("A ACTIVATE \"{mailbox}\" \"be1!\" \"acl\"\r\n");
                let answer = peer.ask(&command, "A ");
                while peer.until("* BYE").is_none() && !peer.run() {}
                answer
            })
        });
        service.connections.shutdown();
        assert_eq!(service.connections.wait_until_empty(Duration::from_secs(10)), 0);
        service.writer.stop();
        let answers = connections.map(|connection| connection.join().expect("no panic"));
        let there = service.store.census().expect("readable").all().active;
        let done = answers.iter().flatten().filter(|answer| answer.contains("A OK")).count() as u64;
        assert!(there >= done, "{done} answered OK, {there} on the disk");
    });
}

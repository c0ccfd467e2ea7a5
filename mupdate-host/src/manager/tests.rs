use std::sync::mpsc;

use super::*;
use crate::{
    service::fixture::Host,
    writer::{Done, Job},
};

/// How long something may take that is to come.
const LATEST: Duration = Duration::from_secs(30);

struct Listener {
    socket: UnixDatagram,
    folder: tempfile::TempDir,
}

impl Listener {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        let socket = UnixDatagram::bind(folder.path().join("notify")).expect("the folder is ours");
        Self { socket, folder }
    }

    fn manager(&self) -> Manager {
        Manager::at(&self.folder.path().join("notify"), None).expect("it is there")
    }

    /// One with a watchdog, and so with a question every 10 ms.
    fn watching(&self) -> Manager {
        Manager::at(&self.folder.path().join("notify"), Some(Duration::from_millis(40))).expect("it is there")
    }

    /// What was said already.
    fn heard(&self) -> Option<String> {
        self.socket.set_nonblocking(true).expect("a socket");
        self.next()
    }

    fn next(&self) -> Option<String> {
        let mut octets = [0; 1000];
        let length = self.socket.recv(&mut octets).ok()?;
        Some(String::from_utf8_lossy(&octets[..length]).into_owned())
    }

    /// Everything up to the message that has this line.
    fn hear(&self, line: &str) -> Vec<String> {
        self.socket.set_nonblocking(false).expect("a socket");
        self.socket.set_read_timeout(Some(LATEST)).expect("not zero");
        let mut all = Vec::new();
        while !all.last().is_some_and(|last: &String| last.lines().any(|said| said.starts_with(line))) {
            all.push(self.next().unwrap_or_else(|| panic!("no {line} behind {all:?}")));
        }
        all
    }
}

#[test]
fn a_status_is_one_line_and_said_once() {
    let listener = Listener::new();
    let manager = listener.manager();
    manager.status("one\ntwo");
    assert_eq!(listener.heard().as_deref(), Some("STATUS=one two\n"));
    manager.clone().status("one\ntwo");
    assert_eq!(listener.heard(), None);
    manager.ready("one two");
    assert_eq!(listener.heard().as_deref(), Some("READY=1\n"));
    manager.alive("three");
    assert_eq!(listener.heard().as_deref(), Some("WATCHDOG=1\nSTATUS=three\n"));
    manager.stopping();
    assert_eq!(listener.heard().as_deref(), Some("STOPPING=1\nSTATUS=saying goodbye\n"));
}

#[test]
fn progress_is_told_now_and_then_and_at_the_end() {
    let listener = Listener::new();
    let progress = listener.manager().progress();
    for done in 0..100 {
        progress.tell(done, 100);
    }
    progress.tell(100, 100);
    let more = "EXTEND_TIMEOUT_USEC=60000000\nSTATUS=checking the database:";
    assert_eq!(listener.heard(), Some(format!("{more} 0%\n")));
    assert_eq!(listener.heard(), Some(format!("{more} 100%\n")));
    assert_eq!(listener.heard(), None);
}

#[test]
fn nobody_is_told_nothing() {
    let manager = Manager::default();
    assert!(!manager.is_there());
    manager.ready("ready");
    manager.progress().tell(1, 2);
    // A manager that is gone does no harm.
    let listener = Listener::new();
    let manager = listener.manager();
    drop(listener);
    manager.ready("ready");
}

#[test]
fn an_address_is_a_path_or_a_name() {
    assert!(Manager::at(Path::new("/run/systemd/notify"), None).is_ok());
    assert!(Manager::at(Path::new("@name"), None).is_ok_and(|manager| manager.is_there()));
    for wrong in ["notify", "vsock:2:1234", ""] {
        assert!(Manager::at(Path::new(wrong), None).is_err(), "{wrong}");
    }
}

/// So many accept connections, and so many of them live.
fn accepting(all: usize, living: usize) -> Ask {
    Box::new(move |answer| {
        for number in 0..all {
            match answer() {
                answer if number < living => drop(answer),
                answer => answer.is_lost(),
            }
        }
        all
    })
}

#[test]
fn whoever_has_heard_from_all_is_ready_and_lives() {
    let (listener, host) = (Listener::new(), Host::new(""));
    let pulse = Pulse::start(&listener.watching(), &host.service, accepting(2, 2)).expect("a thread");
    assert_eq!(
        listener.hear("READY=1"),
        ["READY=1\nSTATUS=master; 0 connections; 0 mailbox names\n"],
        "nothing before it"
    );
    listener.hear("WATCHDOG=1");
    listener.hear("WATCHDOG=1");
    pulse.reloaded();
    listener.hear("READY=1");
    pulse.stop();
    while listener.heard().is_some() {}
    assert_eq!(listener.heard(), None);
}

#[test]
fn one_who_accepts_nobody_is_enough() {
    let (listener, host) = (Listener::new(), Host::new(""));
    let pulse = Pulse::start(&listener.watching(), &host.service, accepting(3, 2)).expect("a thread");
    let heard = listener.hear("STATUS=no connections are accepted, for ");
    // It is not ready by having read its configuration, either.
    pulse.reloaded();
    pulse.stop();
    let rest = std::iter::from_fn(|| listener.heard());
    for said in heard.into_iter().chain(rest) {
        assert!(!said.contains("READY=1") && !said.contains("WATCHDOG=1"), "{said}");
    }
}

#[test]
fn a_writer_that_moves_on_lives() {
    let (listener, host) = (Listener::new(), Host::new(""));
    let (release, released) = mpsc::channel::<()>();
    host.service.writer.submit(Job::Nothing(Done::new(move |_| released.recv().unwrap_or_default())));
    let pulse = Pulse::start(&listener.watching(), &host.service, accepting(1, 1)).expect("a thread");
    let heard = listener.hear("STATUS=the writer does not answer");
    assert!(!heard.iter().any(|said| said.contains("WATCHDOG=1")), "{heard:?}");
    // As a large import does.
    let until = Instant::now() + LATEST;
    listener.socket.set_read_timeout(Some(Duration::from_millis(1))).expect("not zero");
    loop {
        host.service.writer.stats().step();
        match listener.next() {
            Some(said) if said.contains("WATCHDOG=1\nSTATUS=the writer is at something large") => break,
            _ => assert!(Instant::now() < until, "it counts as dead"),
        }
    }
    release.send(()).expect("the writer waits");
    listener.hear("READY=1");
    pulse.stop();
}

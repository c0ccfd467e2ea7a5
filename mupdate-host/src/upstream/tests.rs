//! The replica's side against a master that is played line by line.

use std::{
    io::{BufRead, BufReader, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::mpsc,
    time::Duration,
};

use mupdate_core::{
    directory::{Edit, Record, State},
    server::{Finish, Row, Scope},
};
use tempfile::TempDir;

use super::*;
use crate::{
    authority::Following,
    config::Config,
    feeds::Feeds,
    fixture,
    store::{RowSink, StoreOptions},
    writer::{Edits, Origin, WriterOptions},
};

/// A replica without sockets for clients of its own.
struct Bench {
    _folder: TempDir,
    store: Store,
    writer: Arc<Writer>,
    upstream: Upstream,
    master: TcpListener,
}

fn bench(names: &[&str], more: &str) -> Bench {
    bench_of(64 << 20, names, more)
}

fn bench_of(map_size: usize, names: &[&str], more: &str) -> Bench {
    let folder = tempfile::tempdir().expect("a folder");
    let password = folder.path().join("password");
    std::fs::write(&password, "secret\n").expect("ours");
    let master = TcpListener::bind("127.0.0.1:0").expect("a port");
    let host = master.local_addr().expect("bound");
    let text = format!(
        "[upstream]\nhost = '{host}'\nuser = 'u'\npassword_file = '{}'\nnoop_ms = 50\nretry_ms = 10\n{more}",
        password.display()
    );
    let config = Config::parse(&text).expect("settings");
    let store =
        Store::open(&folder.path().join("data"), StoreOptions { map_size, ..StoreOptions::default() })
            .expect("a store");
    let feeds = Feeds::new(0);
    let authority = Box::new(Following { url: "mupdate://m".into() });
    let writer = Writer::spawn(store.clone(), authority, feeds, WriterOptions::default(), Box::new(|_| ()));
    let writer = Arc::new(writer.expect("a thread"));
    let edits = names.iter().map(|name| Edit {
        mailbox: fixture::name(name),
        record: Some(Record { location: fixture::location("be0!p"), state: State::Reserved }),
    });
    let (tell, told) = mpsc::channel();
    let done = Done::new(move |outcome| tell.send(outcome).expect("the test waits"));
    let origin = Origin { principal: "test".into(), peer: "test".into() };
    writer.submit(Job::Edits(Edits { edits: edits.collect(), origin, deed: api::Deed::Import, done }));
    told.recv().expect("an answer").expect("durable");
    let upstream = Upstream::new(&config.upstream, &store, &writer).expect("a host");
    Bench { _folder: folder, store, writer, upstream, master }
}

impl Bench {
    /// The next connection, logged in and asked for everything.
    fn asked(&self, role: &str) -> (TcpStream, BufReader<TcpStream>) {
        let (mut stream, _) = self.master.accept().expect("it connects");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("not zero");
        write!(stream, "* AUTH \"PLAIN\"\r\n* OK MUPDATE \"m\" \"Cyrus\" \"3\" \"{role}\"\r\n")
            .expect("it reads");
        let mut lines = BufReader::new(stream.try_clone().expect("a socket"));
        if role == "(master)" {
            expect(&mut lines, "C1 AUTHENTICATE");
            write!(stream, "C1 OK \"hello\"\r\n").expect("it reads");
            expect(&mut lines, "C2 UPDATE");
        }
        (stream, lines)
    }

    fn names(&self) -> Vec<String> {
        struct All(Vec<String>);
        impl RowSink for &mut All {
            fn full(&self) -> bool {
                false
            }
            fn row(&mut self, row: Row<'_>) {
                let acl = row.acl.map(|acl| format!(" {}", acl.escape_ascii())).unwrap_or_default();
                self.0.push(format!("{} {}{acl}", row.name.escape_ascii(), row.location.escape_ascii()));
            }
            fn gone(&mut self, _: &[u8]) {}
            fn finish(self, how: Finish) {
                assert_eq!(how, Finish::End);
            }
        }
        let mut all = All(Vec::new());
        let mut pager = self.store.pager(Scope::All).expect("readable");
        self.store.page(&mut pager, &mut all).expect("readable");
        all.0
    }

    fn wait(&self, what: impl Fn(&api::Upstream) -> bool) -> api::Upstream {
        let inner = self.upstream.shared.lock();
        drop(inner);
        let mut inner = self.upstream.shared.lock();
        let begun = std::time::Instant::now();
        loop {
            drop(inner);
            let status = self.upstream.status();
            if what(&status) {
                return status;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "it never comes: {status:?}");
            inner = self.upstream.shared.lock();
            let (again, _) = self
                .upstream
                .shared
                .changed
                .wait_timeout(inner, Duration::from_millis(20))
                .unwrap_or_else(PoisonError::into_inner);
            inner = again;
        }
    }
}

/// The next line begins so; literals are beside the point.
fn expect(lines: &mut impl BufRead, start: &str) -> String {
    loop {
        let mut line = String::new();
        assert!(lines.read_line(&mut line).expect("in time") > 0, "the connection ended before {start}");
        if line.starts_with(start) {
            return line;
        }
    }
}

/// Answers a NOOP.
fn noop(stream: &mut TcpStream, lines: &mut impl BufRead) {
    let line = expect(lines, "C");
    let tag = line.split(' ').next().expect("a tag");
    write!(stream, "{tag} OK \"Noop done\"\r\n").expect("it reads");
}

#[test]
fn a_list_that_breaks_off_removes_nothing_and_one_that_ends_makes_equal() {
    let bench = bench(&["user.a", "user.b", "user.c"], "");
    bench.upstream.start().expect("a thread");
    let (mut stream, _lines) = bench.asked("(master)");
    write!(stream, "C2 MAILBOX \"user.b\" \"be1!p\" \"b\tlrs\"\r\nC2 RESERVE \"user.d\" \"be1!p\"\r\n")
        .expect("it reads");
    stream.shutdown(Shutdown::Both).expect("a socket");
    let status = bench.wait(|status| status.last_error.is_some());
    assert_eq!((status.state, status.lag_ms), (api::UpstreamState::Away, None));
    assert!(bench.upstream.may_be_replaced().is_err_and(|reason| reason.contains("never had everything")));
    for name in ["user.a be0!p", "user.c be0!p"] {
        assert!(bench.names().iter().any(|row| row == name), "{name} is gone");
    }

    let (mut stream, mut lines) = bench.asked("(master)");
    let rows = "C2 MAILBOX \"user.b\" \"be1!p\" \"b\tlrs\"\r\nC2 RESERVE \"user.d\" \"be1!p\"\r\nC2 DELETE \"user.c\"\r\n";
    // What follows the OK in the same piece is no part of the list, and not removed with what that lacks.
    write!(stream, "{rows}C2 OK \"streaming starts\"\r\nC2 RESERVE \"user.e\" \"be2!p\"\r\n")
        .expect("it reads");
    noop(&mut stream, &mut lines);
    let status =
        bench.wait(|status| status.state == api::UpstreamState::Following && status.lag_ms.is_some());
    assert!(status.last_error.is_some(), "what was, is told still");
    noop(&mut stream, &mut lines);
    assert_eq!(bench.names(), ["user.b be1!p b\\tlrs", "user.d be1!p", "user.e be2!p"]);
    // A list that is the same costs no revision.
    let revision = bench.store.revision().expect("readable");
    stream.shutdown(Shutdown::Both).expect("a socket");
    let (mut stream, mut lines) = bench.asked("(master)");
    write!(
        stream,
        "{}C2 RESERVE \"user.e\" \"be2!p\"\r\nC2 OK \"go\"\r\n",
        rows.replace("C2 DELETE \"user.c\"\r\n", "")
    )
    .expect("it reads");
    noop(&mut stream, &mut lines);
    noop(&mut stream, &mut lines);
    assert_eq!(bench.store.revision().expect("readable"), revision);
    bench.upstream.stop();
    bench.writer.stop();
}

#[test]
fn a_full_store_follows_deletions_and_takes_the_rest_when_there_is_room() {
    const NAMES: usize = 3000;
    let bench = bench_of(4 << 20, &[], "");
    bench.upstream.start().expect("a thread");
    let (mut stream, mut lines) = bench.asked("(master)");
    let acl = "a".repeat(1500);
    let list = |names: std::ops::Range<usize>| -> String {
        let row = |number| format!("C2 MAILBOX \"user.{number:04}\" \"be1!p\" \"{acl}\"\r\n");
        names.map(row).chain(["C2 OK \"streaming starts\"\r\n".to_owned()]).collect()
    };
    stream.write_all(list(0..NAMES).as_bytes()).expect("it reads");
    noop(&mut stream, &mut lines);
    let status = bench.wait(|status| status.missing > 0);
    assert_eq!((status.state, status.lag_ms), (api::UpstreamState::Following, None));
    assert!(!bench.upstream.has_everything());
    assert!(bench.upstream.may_be_replaced().is_err_and(|reason| reason.contains("no room for them")));
    let kept = bench.names();
    assert!(kept.len() > 100 && kept.len() as u64 + status.missing >= NAMES as u64, "{}", kept.len());

    // Whatever was kept first, deletions go through, and make room for others.
    let name = |row: &str| row.split(' ').next().expect("a name").to_owned();
    let gone: Vec<String> = kept.iter().step_by(2).map(|row| name(row)).collect();
    for name in &gone {
        write!(stream, "C2 DELETE \"{name}\"\r\n").expect("it reads");
    }
    noop(&mut stream, &mut lines);
    // It is asked only when the answer before was heard, and all that came before that is written.
    noop(&mut stream, &mut lines);
    let now: Vec<String> = bench.names().iter().map(|row| name(row)).collect();
    assert!(gone.iter().all(|name| !now.contains(name)) && now.len() > kept.len() - gone.len());

    // What is left of the master's list has room, and is asked for anew.
    for number in 100..NAMES {
        write!(stream, "C2 DELETE \"user.{number:04}\"\r\n").expect("it reads");
    }
    let (mut stream, mut lines) = bench.asked("(master)");
    stream.write_all(list(0..100).as_bytes()).expect("it reads");
    noop(&mut stream, &mut lines);
    let status = bench.wait(|status| status.lag_ms.is_some());
    assert_eq!((status.missing, bench.names().len()), (0, 100));
    assert!(bench.upstream.has_everything());
    bench.upstream.stop();
    bench.writer.stop();
}

#[test]
fn neither_an_empty_master_nor_another_replica_is_believed() {
    let bench = bench(&["user.a"], "");
    bench.upstream.start().expect("a thread");
    let (mut stream, _lines) = bench.asked("(master)");
    write!(stream, "C2 OK \"streaming starts\"\r\n").expect("it reads");
    bench.wait(|status| status.last_error.as_ref().is_some_and(|error| error.contains("is not believed")));
    let (mut replica, mut lines) = bench.asked("mupdate://elsewhere");
    expect(&mut lines, "C1 AUTHENTICATE");
    write!(replica, "C1 OK \"hello\"\r\n").expect("it reads");
    bench.wait(|status| {
        status.last_error.as_ref().is_some_and(|error| error.contains("replica of mupdate://elsewhere"))
    });
    assert_eq!(bench.names(), ["user.a be0!p"]);
}

#[test]
fn what_came_from_one_master_says_nothing_of_another() {
    let bench = bench(&[], "");
    bench.upstream.was_the_master();
    bench.writer.stop();
    let again = |settings: &_| Upstream::new(settings, &bench.store, &bench.writer).expect("a host");
    let mut settings = bench.upstream.shared.settings.clone();
    assert!(again(&settings).has_everything(), "it is remembered");
    settings.host.as_mut().expect("a host").name = "other.example.org".into();
    assert!(!again(&settings).has_everything());
}

#[test]
fn pauses_grow_by_chance_and_no_more_than_twice() {
    let pause = Duration::from_millis(100);
    assert!((0..100).map(|_| jittered(pause)).all(|time| time >= pause && time <= 2 * pause));
}

#[test]
fn a_master_that_says_nothing_does_not_hold_up_the_end() {
    let bench = bench(&[], "");
    bench.upstream.start().expect("a thread");
    let (silent, _) = bench.master.accept().expect("it connects");
    let began = Instant::now();
    bench.upstream.stop();
    assert!(began.elapsed() < END && !bench.upstream.shared.lock().running);
    drop(silent);
}

#[test]
fn a_thread_that_hangs_when_it_is_told_to_end_can_be_told_to_go_on() {
    let bench = bench(&[], "");
    bench.upstream.start().expect("a thread");
    let (silent, _) = bench.master.accept().expect("it connects");
    // As if it hung in what nothing breaks off.
    bench.upstream.shared.lock().stop = true;
    bench.upstream.start().expect("a thread");
    drop(silent);
    let (_stream, _lines) = bench.asked("(master)");
}

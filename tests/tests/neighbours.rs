//! What one connection does changes nothing for the others.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use mupdate_tests::{
    client::{Client, Row, activate},
    daemon::{Daemon, Kind},
    on_both_daemons,
    preload::preload,
};

on_both_daemons!(
    one_that_never_reads,
    one_that_sends_an_octet_a_second,
    one_that_sends_garbage,
    one_that_pipelines_without_end,
    one_that_takes_nothing_is_dropped,
    ten_mebibytes_each_way,
);

/// No machine is that slow: beyond it, somebody waited for the neighbour.
const SANE: Duration = Duration::from_secs(10);

/// Works as a backend and a frontend do, and tells the longest that anything took.
fn honest(daemon: &Daemon) -> Duration {
    let mut stream = daemon.login();
    stream.update(&["honest"]).expect("UPDATE works");
    let mut worst = Duration::ZERO;
    for number in 0..50 {
        let started = Instant::now();
        let mut backend = daemon.login();
        let name = format!("honest.{number}");
        backend.reserve(&name, "honest!default").expect("the name is free");
        backend.activate(&name, "honest!default", "a lrs").expect("the name is ours");
        assert_eq!(
            backend.find(&name).expect("FIND works"),
            Some(Row::mailbox(&name, "honest!default", "a lrs"))
        );
        let changes = stream.noop().expect("NOOP works");
        assert!(changes.contains(&Row::mailbox(&name, "honest!default", "a lrs")), "{changes:?}");
        backend.delete(&name).expect("the name is ours");
        backend.logout().expect("LOGOUT works");
        worst = worst.max(started.elapsed());
    }
    assert!(worst < SANE, "somebody waited {worst:?}");
    worst
}

/// Tells a neighbour that nobody watches him any more: the other end is gone then.
struct Over(Receiver<()>);

impl Over {
    /// Waits so long; true if it is over.
    fn within(&self, time: Duration) -> bool {
        self.0.recv_timeout(time) == Err(RecvTimeoutError::Disconnected)
    }
}

/// Lets a neighbour do something over and over while honest work goes on.
fn beside(daemon: &Daemon, neighbour: impl Fn(&TcpStream, &Over) + Send + 'static) -> Duration {
    let (watched, over) = mpsc::channel();
    let (stream, address, over) = (daemon.connect(), daemon.address(), Over(over));
    let neighbour = thread::spawn(move || {
        neighbour(&stream, &over);
        while !over.within(Duration::ZERO) {
            let Ok(stream) = TcpStream::connect(address) else { return };
            neighbour(&stream, &over);
        }
    });
    let worst = honest(daemon);
    drop(watched);
    neighbour.join().expect("the neighbour goes");
    worst
}

fn one_that_never_reads(kind: Kind) {
    let daemon = Daemon::start_on(kind, "", |data| preload(data, 50_000));
    let alone = honest(&daemon);
    let mut neighbours = Vec::new();
    for _ in 0..8 {
        let mut stream = daemon.login();
        for _ in 0..20 {
            stream.send(mupdate_proto::Verb::List { prefix: None });
        }
        stream.flush().expect("the commands are short");
        neighbours.push(stream);
    }
    let worst = honest(&daemon);
    println!("{}: {alone:?} alone, {worst:?} beside clients that never read", kind.program());
}

fn one_that_sends_an_octet_a_second(kind: Kind) {
    let daemon = Daemon::start(kind, "");
    let worst = beside(&daemon, |mut stream, over| {
        for octet in b"A1 AUTH" {
            if stream.write_all(&[*octet]).is_err() || over.within(Duration::from_secs(1)) {
                return;
            }
        }
    });
    println!("{}: {worst:?} beside a slow sender", kind.program());
}

fn one_that_sends_garbage(kind: Kind) {
    let daemon = Daemon::start(kind, "");
    let worst = beside(&daemon, |mut stream, _| {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        for _ in 0..64 {
            let garbage: Vec<u8> = std::iter::repeat_with(|| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()[0]
            })
            .take(4096)
            .collect();
            if stream.write_all(&garbage).is_err() {
                return;
            }
        }
        let _ = stream.write_all(b"\r\nA1 FIND {99999999999+}\r\n");
    });
    println!("{}: {worst:?} beside garbage", kind.program());
}

fn one_that_pipelines_without_end(kind: Kind) {
    let daemon = Daemon::start(kind, "");
    let worst = beside(&daemon, |stream, _| {
        let Ok(writer) = stream.try_clone() else { return };
        let Ok(mut client) = Client::login(writer) else { return };
        for number in 0..2000 {
            client.send(activate(&format!("greedy.{}", number % 100), "greedy!x", &format!("{number}")));
        }
        for _ in 0..2000 {
            if client.answer().is_err() {
                return;
            }
        }
    });
    println!("{}: {worst:?} beside a pipeline", kind.program());
}

/// Who takes nothing for longer than is allowed is dropped, however much waits for him.
fn one_that_takes_nothing_is_dropped(kind: Kind) {
    let daemon = Daemon::start_on(kind, "limits.stall_seconds = 1\n", |data| preload(data, 50_000));
    let mut stalled = daemon.login();
    for _ in 0..20 {
        stalled.send(mupdate_proto::Verb::List { prefix: None });
    }
    stalled.flush().expect("the commands are short");
    daemon.wait_for_log("takes nothing");
    honest(&daemon);
}

/// Long commands up, long answers down, all at once: neither side may wait for the other to read first.
fn ten_mebibytes_each_way(kind: Kind) {
    const TIMES: usize = 2100;
    let daemon = Daemon::start(kind, "");
    let mut client = daemon.login();
    let acl = "x".repeat(5000);
    client.activate("user.a", "be1!default", &acl).expect("the name is free");
    let mut reader = client.stream().try_clone().expect("a socket");
    let mut writer = client.stream().try_clone().expect("a socket");
    let sending = thread::spawn(move || {
        let mut sent = 0;
        for _ in 0..TIMES {
            // No name is that long: refused, and looked at to its last octet.
            let command = format!("A FIND {{5000+}}\r\n{}\r\nB FIND \"user.a\"\r\n", "y".repeat(5000));
            writer.write_all(command.as_bytes()).expect("the server goes on reading");
            sent += command.len();
        }
        writer.write_all(b"Q LOGOUT\r\n").expect("the server goes on reading");
        writer.shutdown(Shutdown::Write).expect("a socket");
        sent
    });
    let mut answers = Vec::new();
    reader.read_to_end(&mut answers).expect("the server goes on writing");
    let sent = sending.join().expect("everything was sent");
    let lines = || answers.split(|&octet| octet == b'\n');
    assert_eq!(lines().filter(|line| line == b"A NO \"mailbox name is too long\"\r").count(), TIMES);
    assert_eq!(lines().filter(|line| line == b"B OK \"Search completed\"\r").count(), TIMES);
    assert!(answers.ends_with(b"Q OK \"bye-bye\"\r\n"));
    assert!(sent > 10 << 20 && answers.len() > 10 << 20);
}

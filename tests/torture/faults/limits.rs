//! What the system gives only so much of.

use std::{
    fs,
    net::TcpStream,
    os::unix::process::ExitStatusExt,
    thread,
    time::{Duration, Instant},
};

use mupdate_tests::{
    client::{Client, ClientError},
    daemon::{DEADLINE, Daemon, Kind},
    shim::Call,
};
use rustix::{
    io::Errno,
    process::{Pid, Resource, Rlimit, getrlimit, prlimit},
};

use super::{login, shimmed};
use crate::sandbox::Group;

/// Hundredths of a second of a processor that the process has used.
fn processor_time(daemon: &Daemon) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", daemon.process())).expect("it runs");
    let (_, fields) = stat.rsplit_once(')').expect("a name stands in parentheses");
    fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().expect("a number")).sum()
}

fn threads(daemon: &Daemon) -> usize {
    fs::read_dir(format!("/proc/{}/task", daemon.process())).expect("it runs").count()
}

/// What was allowed before.
fn allow_files(daemon: &Daemon, limit: Rlimit) -> Rlimit {
    let process = i32::try_from(daemon.process()).ok().and_then(Pid::from_raw);
    prlimit(process, Resource::Nofile, limit).expect("a child of ours")
}

/// Hundredths of a second of a processor that it uses in a second in which nobody wants anything.
fn used_in_a_second(daemon: &Daemon) -> u64 {
    let used = processor_time(daemon);
    thread::sleep(Duration::from_secs(1));
    processor_time(daemon) - used
}

/// Whoever is inside goes on; whoever comes waits until somebody leaves, and costs nothing meanwhile.
pub fn files_exhausted(kind: Kind) {
    let daemon = Daemon::start(kind, "");
    if daemon.open_files() == 0 {
        return println!("SKIPPED: only root sees which files a daemon has open");
    }
    let mut inside: Vec<_> = (0..5).map(|_| login(&daemon)).collect();
    let few = Some(daemon.open_files() as u64 + 3);
    allow_files(&daemon, Rlimit { current: few, maximum: few });
    let coming: Vec<TcpStream> = (0..12).map(|_| daemon.connect()).collect();
    daemon.wait_for_log("connections wait until others are closed");
    let used = used_in_a_second(&daemon);
    assert!(used <= 10, "{used} hundredths of a second in one second of waiting");
    for (number, client) in inside.iter_mut().enumerate() {
        client.activate(&format!("user.{number}"), "be1!default", "a").expect("it goes on");
    }
    drop(inside);
    for stream in coming {
        let (client, _) = Client::greet(stream).expect("there is room now");
        drop(client);
    }
    println!("{}: {used}0 ms of a processor in a second of waiting", kind.program());
}

/// poll(2) itself fails when it is asked about more files than are allowed. Whoever comes then is served as soon as it
/// works again.
pub fn waiting_refused(kind: Kind) {
    let daemon = Daemon::start(kind, "");
    // It has raised its own to the maximum that it has from us.
    let maximum = getrlimit(Resource::Nofile).maximum;
    let allowed = allow_files(&daemon, Rlimit { current: Some(0), maximum });
    let coming: Vec<TcpStream> = (0..3).map(|_| daemon.connect()).collect();
    daemon.wait_for_log("connections wait until others are closed");
    let used = used_in_a_second(&daemon);
    assert!(used <= 10, "{used} hundredths of a second in one second of waiting");
    allow_files(&daemon, allowed);
    for stream in coming {
        let (client, _) = Client::greet(stream).expect("there is room now");
        drop(client);
    }
    login(&daemon).activate("user.a", "be1!default", "a").expect("it serves");
}

/// A limit that is known beforehand is kept to in words.
pub fn files_few_from_the_start(kind: Kind) {
    let mut daemon = Daemon::start(kind, "");
    assert!(daemon.terminate().success());
    daemon.launch().through = ["prlimit", "--nofile=100:100"].map(Into::into).into();
    daemon.start_again();
    daemon.wait_for_log("raise the limit of open files");
    let mut inside = Vec::new();
    let refused = loop {
        match Client::login(daemon.connect()) {
            Ok(client) => inside.push(client),
            Err(error) => break error,
        }
    };
    assert!(matches!(&refused, ClientError::Bye(text) if text.contains("too many connections")), "{refused}");
    assert!(inside.len() >= 15, "{} connections with 100 files", inside.len());
    for client in &mut inside {
        client.noop().expect("it goes on");
    }
    drop(inside);
    let started = Instant::now();
    while Client::login(daemon.connect()).is_err() {
        assert!(started.elapsed() < DEADLINE, "places are never given back");
    }
}

/// Without threads to be had, `mupdated-sync` turns new connections away and says so, not too often; `mupdated` needs
/// none. Both go on.
fn without_threads(daemon: &Daemon, kind: Kind, inside: &mut Client<TcpStream>) {
    for _ in 0..50 {
        match (kind, Client::greet(daemon.connect())) {
            (Kind::Smol, Ok(_)) => {}
            (Kind::Sync, Err(ClientError::Bye(text))) => assert!(text.contains("out of threads"), "{text}"),
            (_, Err(error)) => panic!("{error}"),
            (Kind::Sync, Ok(_)) => panic!("there was a thread"),
        }
    }
    inside.activate("user.a", "be1!default", "a").expect("it goes on");
    if kind == Kind::Sync {
        daemon.wait_for_log("no thread for it");
        let lines = daemon.log().matches("no thread for it").count();
        assert!(lines <= 10, "{lines} lines for 50 connections");
    }
}

/// A control group limits the threads.
pub fn threads_exhausted(kind: Kind) {
    let mut daemon = Daemon::start(kind, "");
    let mut inside = login(&daemon);
    let group = Group::new("pids").expect("it was looked for before");
    group.take(daemon.process());
    group.limit("pids", threads(&daemon) as u64);
    without_threads(&daemon, kind, &mut inside);
    group.limit("pids", 1000);
    login(&daemon).activate("user.b", "be1!default", "a").expect("there are threads again");
    assert!(daemon.terminate().success());
}

/// The same where there are no control groups.
pub fn threads_refused(kind: Kind) {
    let (mut daemon, shim) = shimmed(kind, "");
    let mut inside = login(&daemon);
    shim.fail(Call::Thread, 0, -1, Errno::AGAIN);
    without_threads(&daemon, kind, &mut inside);
    shim.mend();
    login(&daemon).activate("user.b", "be1!default", "a").expect("there are threads again");
    assert!(daemon.terminate().success());
}

/// Memory that a control group does not give: the kernel kills the process, which is a crash like others.
pub fn memory_exhausted(kind: Kind) {
    let mut daemon = Daemon::start(kind, "");
    let mut client = login(&daemon);
    for number in 0..50 {
        client.activate(&format!("user.{number}"), "be1!default", "a").expect("it serves");
    }
    let group = Group::new("memory").expect("it was looked for before");
    group.limit("memory", 48 << 20);
    group.take(daemon.process());
    // Commands whose last octets never come, as large as they are allowed to be.
    let mut greedy = Vec::new();
    while daemon.is_running() && greedy.len() < 500 {
        let Ok(stream) = TcpStream::connect(daemon.address()) else { break };
        stream.set_read_timeout(Some(DEADLINE)).expect("not zero");
        let Ok(client) = Client::login(stream) else { break };
        let mut half = b"X ACTIVATE \"user.x\" \"be1!default\" {1000000+}\r\n".to_vec();
        half.resize(900_000, b'x');
        let _ = std::io::Write::write_all(&mut client.stream(), &half);
        greedy.push(client);
    }
    let status = daemon.wait();
    println!("{}: killed with {} commands of 900 kB under way: {status}", kind.program(), greedy.len());
    assert!(matches!(status.signal(), Some(6 | 9)), "{status}");
    daemon.start_again();
    assert_eq!(login(&daemon).list(None).expect("LIST works").len(), 50);
}

/// `map_size` is address space, and a limit on that has to leave room for it.
pub fn address_space_too_small(kind: Kind) {
    let mut daemon = Daemon::start(kind, "");
    login(&daemon).activate("user.a", "be1!default", "a").expect("it serves");
    assert!(daemon.terminate().success());
    daemon.launch().through = ["prlimit", "--as=2147483648"].map(Into::into).into();
    let refusal = daemon.try_start_again().expect_err("16 GiB are more than 2 GiB");
    assert_eq!(refusal.status.code(), Some(74), "{refusal}");
    assert!(refusal.said.contains("lower map_size"), "{refusal}");
    fs::write(daemon.config_file(), "store.map_size = \"256MiB\"\n").expect("a folder of ours");
    daemon.start_again();
    let mut client = login(&daemon);
    client.activate("user.b", "be1!default", "a").expect("it serves");
    assert_eq!(client.list(None).expect("LIST works").len(), 2);
}

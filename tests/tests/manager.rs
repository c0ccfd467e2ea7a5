//! What the daemons tell the service manager that has started them, and how they show its watchdog that they live.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use mupdate_tests::{
    client::activate,
    daemon::{DEADLINE, Daemon, Kind, Launch, Signal, binary},
    notify::Manager,
    on_both_daemons,
    player::LOGIN,
    preload::preload,
    shim::{Phase, Shim},
};

on_both_daemons!(
    it_is_told_of_the_start_a_reload_and_the_end,
    a_name_without_a_file_will_do,
    a_large_database_gets_the_time_that_it_takes,
    it_is_told_why_a_daemon_does_not_start,
    who_lives_says_so_again_and_again,
    a_slow_disk_is_no_hang,
    a_writer_that_hangs_says_nothing,
    a_journal_that_does_not_listen_is_done_without,
    lines_of_json_have_the_fields,
);

fn start(kind: Kind, toml: &str, manager: &Manager) -> Daemon {
    let mut launch = Launch::default();
    manager.starts(&mut launch);
    Daemon::start_as(kind, toml, launch, |_| {})
}

fn says(lines: &[String], line: &str) -> bool {
    lines.iter().any(|said| said == line)
}

fn it_is_told_of_the_start_a_reload_and_the_end(kind: Kind) {
    let manager = Manager::new();
    let mut daemon = start(kind, "", &manager);
    assert!(says(&manager.hear("STATUS="), "STATUS=starting"));
    let ready = manager.hear("READY=1");
    assert!(says(&ready, "STATUS=master; 0 connections; 0 mailbox names"), "{ready:?}");
    daemon.signal(Signal::HUP);
    let reloading = manager.hear("RELOADING=1");
    let now = reloading.iter().find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
    assert!(now.is_some_and(|now| now.parse::<u64>().is_ok_and(|now| now > 0)), "{reloading:?}");
    manager.hear("READY=1");
    // What cannot be read leaves the daemon as ready as it was.
    fs::write(daemon.config_file(), "nonsense = 1").expect("the file is ours");
    daemon.signal(Signal::HUP);
    manager.hear("RELOADING=1");
    manager.hear("READY=1");
    daemon.signal(Signal::TERM);
    manager.hear("STOPPING=1");
    assert!(daemon.wait().success());
}

fn a_name_without_a_file_will_do(kind: Kind) {
    let manager = Manager::without_file();
    let _daemon = start(kind, "", &manager);
    manager.hear("READY=1");
}

fn a_large_database_gets_the_time_that_it_takes(kind: Kind) {
    let manager = Manager::new();
    let mut launch = Launch::default();
    manager.starts(&mut launch);
    let _daemon = Daemon::start_as(kind, "", launch, |data| preload(data, 50_000));
    let looks = manager.hear("EXTEND_TIMEOUT_USEC=60000000");
    assert!(looks.iter().any(|line| line.starts_with("STATUS=checking the database: ")), "{looks:?}");
    let ready = manager.hear("READY=1");
    assert!(says(&ready, "STATUS=master; 0 connections; 50000 mailbox names"), "{ready:?}");
}

fn it_is_told_why_a_daemon_does_not_start(kind: Kind) {
    let manager = Manager::new();
    let first = start(kind, "", &manager);
    manager.hear("READY=1");
    let mut launch = Launch::default();
    manager.starts(&mut launch);
    let listen = first.address().to_string();
    let second = Command::new(binary(kind))
        .args(["--listen", &listen, "--data-dir"])
        .arg(first.data_dir())
        .envs(launch.environment)
        .output()
        .expect("the daemon was built");
    assert_eq!(second.status.code(), Some(69), "{second:?}");
    let why = manager.hear("STATUS=cannot listen on ");
    assert!(why[0].contains(&listen), "{why:?}");
}

fn who_lives_says_so_again_and_again(kind: Kind) {
    let watchdog = Duration::from_millis(800);
    let manager = Manager::new().with_watchdog(watchdog);
    let daemon = start(kind, "", &manager);
    let began = Instant::now();
    for _ in 0..5 {
        manager.hear("WATCHDOG=1");
    }
    // Four times at least within the time of the watchdog, and not without a pause.
    assert!(began.elapsed() > watchdog / 2, "{:?}", began.elapsed());
    let mut client = daemon.login();
    client.activate("user.a", "be1!x", "").expect("it can be written");
    let status = manager.hear("STATUS=");
    assert!(says(&status, "WATCHDOG=1"), "{status:?}");
}

/// A daemon with a watchdog, on a disk that can be made slow.
fn on_a_slow_disk(kind: Kind, watchdog: Duration) -> (Daemon, Shim, Manager) {
    let (shim, manager) = (Shim::new(), Manager::new().with_watchdog(watchdog));
    let mut daemon = Daemon::start(kind, "");
    let data_dir = daemon.data_dir();
    assert!(daemon.terminate().success());
    manager.starts(daemon.launch());
    shim.under(daemon.launch(), &data_dir);
    daemon.start_again();
    manager.hear("READY=1");
    (daemon, shim, manager)
}

fn a_slow_disk_is_no_hang(kind: Kind) {
    let watchdog = Duration::from_secs(8);
    let (daemon, shim, manager) = on_a_slow_disk(kind, watchdog);
    let mut client = daemon.login();
    // Longer than the time between two questions.
    shim.delay(watchdog / 4 + Duration::from_millis(500));
    client.send(activate("user.a", "be1!x", ""));
    client.flush().expect("short");
    assert!(shim.await_phase(|phase| phase == Phase::Syncing, DEADLINE));
    let until = Instant::now() + watchdog;
    while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        let heard = manager.hear_within("WATCHDOG=1", watchdog);
        assert!(heard.is_some(), "the daemon was given up:\n{}", daemon.log());
        assert!(left <= watchdog);
    }
}

fn a_writer_that_hangs_says_nothing(kind: Kind) {
    let watchdog = Duration::from_secs(2);
    let (daemon, shim, manager) = on_a_slow_disk(kind, watchdog);
    manager.hear("WATCHDOG=1");
    let mut client = daemon.login();
    shim.delay(DEADLINE * 10);
    client.send(activate("user.a", "be1!x", ""));
    client.flush().expect("short");
    manager.hear("STATUS=the writer does not answer");
    assert_eq!(manager.hear_within("WATCHDOG=1", watchdog * 2), None);
    daemon.wait_for_log("the writer does not answer");
    // Whoever only reads is served all the while.
    let mut reader = daemon.login();
    reader.find("user.a").expect("it serves");
}

fn a_journal_that_does_not_listen_is_done_without(kind: Kind) {
    if Path::new("/run/systemd/journal/socket").exists() {
        println!("SKIPPED: there is a journal here, which `just deb-test` looks into");
        return;
    }
    let daemon = Daemon::start(kind, "log = 'journal'\n");
    daemon.wait_for_log("the journal does not listen at /run/systemd/journal/socket");
    // A stream that is another's is none of the journal's.
    let mut launch = Launch::default();
    launch.environment.push(("JOURNAL_STREAM".into(), "1:1".into()));
    let daemon = Daemon::start_as(kind, "", launch, |_| {});
    assert!(!daemon.log().contains("the journal does not listen"), "{}", daemon.log());
}

fn lines_of_json_have_the_fields(kind: Kind) {
    let daemon = Daemon::start(kind, "log = 'json'\n");
    let mut client = daemon.login();
    let peer = client.stream().local_addr().expect("connected");
    client.activate("user.a", "be1!x", "").expect("it can be written");
    client.activate("user.a", "be2!x", "").expect("it can be taken over");
    let line = daemon.wait_for_log("taken over");
    let said: serde_json::Value = serde_json::from_str(&line).expect("an object a line");
    let (peer, program) = (peer.to_string(), "mupdate_host::writer::round");
    for (name, value) in [
        ("level", "WARN"),
        ("message", "an active mailbox was taken over"),
        ("mailbox", "user.a"),
        ("from", "be1!x"),
        ("to", "be2!x"),
        ("principal", LOGIN.0),
        ("peer", &peer),
        ("target", program),
    ] {
        assert_eq!(said[name], value, "{line}");
    }
    // Every line is one, from the first on.
    for line in daemon.log().lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
}

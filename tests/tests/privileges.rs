//! With how little a daemon makes do that root has started.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use mupdate_tests::{
    client::{Client, Row},
    daemon::{Daemon, Kind, Launch, Signal, add_user, run_to_its_end},
    on_both_daemons,
    player::LOGIN,
};

on_both_daemons!(
    root_is_given_up_for_good,
    what_the_user_cannot_read_is_said,
    nobody_looks_into_it,
    it_reaches_no_further_than_its_files,
    root_stays_root_with_a_warning,
);

/// Somebody whom every system has, and who has no shell, no files and no rights.
const USER: &str = "user = \"nobody\"\n";

/// Started by root; `None` where we are not.
fn start(kind: Kind, toml: &str, listen: &str) -> Option<Daemon> {
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED: only root has anything to give up");
        return None;
    }
    // The folder of the test is root's alone, and on the way to the data.
    let open = |data: &Path| {
        let folder = data.parent().expect("it is in a folder");
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("it is ours");
    };
    let through = ["env", "-u", "LD_PRELOAD"].map(Into::into).to_vec();
    let toml = format!("{toml}listen = [\"{listen}\"]\n");
    Some(Daemon::start_as(kind, &toml, Launch { through, ..Launch::default() }, open))
}

/// What `/proc` says of each thread, without the words before it.
fn of_each_thread(daemon: &Daemon, what: &str) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{}/task", daemon.process())).expect("it runs");
    let statuses = threads.map(|thread| {
        let status = thread.expect("it runs").path().join("status");
        fs::read_to_string(status).unwrap_or_default()
    });
    // A thread may have ended meanwhile.
    let lines = statuses.filter_map(|status| {
        let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':'))?;
        Some(line.split_whitespace().collect::<Vec<_>>().join(" "))
    });
    lines.collect()
}

fn root_is_given_up_for_good(kind: Kind) {
    let Some(mut daemon) = start(kind, USER, "127.0.0.1:0") else { return };
    for _ in 0..2 {
        let mut client = daemon.login();
        let nobody = fs::metadata(daemon.data_dir()).expect("there").uid();
        assert_ne!(nobody, 0, "the data directory has changed hands");
        for (what, all) in [
            ("Uid", format!("{nobody} {nobody} {nobody} {nobody}")),
            ("Groups", of_each_thread(&daemon, "Gid")[0].split(' ').next().expect("a number").to_owned()),
            ("CapEff", "0000000000000000".into()),
            ("CapPrm", "0000000000000000".into()),
            ("CapInh", "0000000000000000".into()),
            ("NoNewPrivs", "1".into()),
        ] {
            let said = of_each_thread(&daemon, what);
            assert!(said.len() > 3 && said.iter().all(|said| *said == all), "{what}: {said:?}, not {all}");
        }
        assert!(of_each_thread(&daemon, "Gid").iter().all(|gid| !gid.split(' ').any(|number| number == "0")));
        let socket = fs::metadata(daemon.socket()).expect("there");
        assert_eq!((socket.uid(), socket.mode() & 0o777), (nobody, 0o660));
        for name in ["users", "data.mdb", "redo.log", "lock.mdb", "mupdated.lock"] {
            let file = fs::metadata(daemon.data_dir().join(name)).expect("there");
            assert_eq!((file.uid(), file.mode() & 0o777), (nobody, 0o600), "{name}");
        }
        client.activate("user.a", "be1!default", "a").expect("it writes");
        Client::login(daemon.connect_unix()).expect("it listens there too");
        // Root adds a user meanwhile.
        add_user(kind, &daemon.data_dir(), "extra", "other secret");
        fs::write(daemon.config_file(), format!("{USER}software = \"reloaded\"\n")).expect("it is ours");
        daemon.signal(Signal::HUP);
        daemon.wait_for_log("reloaded the configuration and the users");
        let (mut client, banner) = Client::greet(daemon.connect()).expect("it serves");
        assert!(format!("{banner:?}").contains("reloaded"), "{banner:?}");
        client.authenticate("extra", "other secret").expect("it was told");
        assert_eq!(
            client.find("user.a").expect("FIND works"),
            Some(Row::mailbox("user.a", "be1!default", "a"))
        );
        assert!(daemon.terminate().success());
        daemon.start_again();
    }
    assert!(daemon.log().contains("gave up root user=\"nobody\""), "{}", daemon.log());
    assert!(!daemon.log().contains(" WARN ") || daemon.log().contains("open files"), "{}", daemon.log());
}

fn what_the_user_cannot_read_is_said(kind: Kind) {
    let Some(mut daemon) = start(kind, USER, "127.0.0.1:0") else { return };
    let config = daemon.config_file();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).expect("it is ours");
    let check = || {
        let data = daemon.data_dir();
        let arguments = ["check-config".as_ref(), "--config".as_ref(), config.as_os_str()];
        let arguments = [&arguments[..], &["--data-dir".as_ref(), data.as_os_str()]].concat();
        run_to_its_end(kind, &arguments)
    };
    assert_eq!(check().0, Some(0));
    daemon.signal(Signal::HUP);
    daemon.wait_for_log("nothing was reloaded: cannot read ");
    daemon.login();
    let key = config.with_file_name("key.pem");
    fs::write(&key, "secret").expect("a folder of ours");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("it is ours");
    fs::write(&config, format!("{USER}tls.certificate = \"/dev/null\"\ntls.key = \"key.pem\"\n"))
        .expect("ours");
    let (code, said) = check();
    assert_eq!(code, Some(77), "{said}");
    assert!(said.contains("key.pem") && said.contains("ermission denied"), "{said}");
    fs::write(&config, USER).expect("it is ours");
    assert!(daemon.terminate().success());
    daemon.start_again();
    daemon.wait_for_log("SIGHUP cannot read ");
}

/// Neither a crash nor a process of the same user gets at what it has in memory.
fn nobody_looks_into_it(kind: Kind) {
    let daemon = Daemon::start(kind, "");
    let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.process())).expect("it runs");
    let cores = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).expect("a limit");
    assert_eq!(cores.split_whitespace().next(), Some("0"));
    assert!(of_each_thread(&daemon, "NoNewPrivs").iter().all(|said| said == "1"));
    if !rustix::process::geteuid().is_root() {
        fs::read_dir(format!("/proc/{}/fd", daemon.process())).expect_err("it is root's");
    }
}

/// What the log says of the sandbox is what the kernel says of each thread, and a certificate out of reach is told of.
fn it_reaches_no_further_than_its_files(kind: Kind) {
    let mut daemon = Daemon::start(kind, "");
    let said = daemon.wait_for_log(" sandbox files=");
    if !said.contains("files=\"confined") || !said.contains("calls=\"confined\"") {
        return println!("SKIPPED: this kernel has no sandbox to offer: {said}");
    }
    assert!(of_each_thread(&daemon, "Seccomp").iter().all(|said| said == "2"));
    let elsewhere = tempfile::tempdir().expect("a temporary directory");
    let pem = elsewhere.path().join("pem").display().to_string();
    fs::write(&pem, "").expect("a folder of ours");
    fs::write(daemon.config_file(), format!("tls.certificate = \"{pem}\"\ntls.key = \"{pem}\"\n"))
        .expect("ours");
    daemon.signal(Signal::HUP);
    daemon.wait_for_log("is out of reach since the start (sandbox); restart instead");
    daemon.login().activate("user.a", "be1!x", "a").expect("it writes");
    fs::write(daemon.config_file(), "sandbox = false\n").expect("ours");
    assert!(daemon.terminate().success());
    daemon.start_again();
    assert!(of_each_thread(&daemon, "Seccomp").iter().all(|said| said == "0"));
}

fn root_stays_root_with_a_warning(kind: Kind) {
    let Some(daemon) = start(kind, "", "127.0.0.1:0") else { return };
    daemon.wait_for_log("running as root, which nothing here needs");
    let (user, password) = LOGIN;
    let (mut client, _) = Client::greet(daemon.connect()).expect("it serves");
    client.authenticate(user, password).expect("it serves");
}

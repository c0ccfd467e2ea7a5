//! What keeps a daemon from starting: one line that says what and what to do, an exit code of sysexits(3), and
//! nothing changed on disk.

use std::{
    ffi::OsStr,
    fs,
    net::TcpListener,
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::Path,
};

use mupdate_tests::{
    client::{Client, ClientError},
    daemon::{Daemon, Kind, Signal, add_user, run_to_its_end},
    on_both_daemons,
};
use tempfile::TempDir;

on_both_daemons!(
    a_second_daemon_on_the_data_directory,
    a_port_that_is_taken,
    a_socket_that_is_taken,
    a_socket_that_was_left_behind,
    a_wrong_configuration,
    no_such_configuration,
    a_wrong_command_line,
    a_data_directory_that_cannot_be,
    a_database_of_somebody_else,
    a_wrong_users_file,
    the_first_start_makes_a_user,
    users_are_added_listed_and_removed,
);

/// Runs a daemon on a folder's `data`, with a folder's `conf` if that is there.
fn start(kind: Kind, folder: &Path, listen: &str) -> (Option<i32>, String) {
    let data = folder.join("data");
    let mut arguments =
        [OsStr::new("--data-dir"), data.as_os_str(), OsStr::new("--listen"), OsStr::new(listen)].to_vec();
    let config = folder.join("conf");
    if config.exists() {
        arguments.extend([OsStr::new("--config"), config.as_os_str()]);
    }
    run_to_its_end(kind, &arguments)
}

/// The exit code, and what stands in the last line.
#[track_caller]
fn refused(kind: Kind, (code, said): (Option<i32>, String), expected: i32, words: &[&str]) {
    assert_eq!(code, Some(expected), "{said}");
    let last = said.lines().last().unwrap_or_default();
    assert!(last.starts_with(&format!("{}: ", kind.program())), "{said}");
    for word in words {
        assert!(last.contains(word), "no {word} in {said}");
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// Everything below a folder, with what is in it.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).expect("a folder of ours") {
            let path = entry.expect("a folder of ours").path();
            let name = path.display().to_string();
            if path.is_dir() {
                found.push((name, Vec::new()));
                folders.push(path);
            } else {
                found.push((name, fs::read(path).unwrap_or_default()));
            }
        }
    }
    found.sort();
    found
}

fn a_second_daemon_on_the_data_directory(kind: Kind) {
    let mut first = Daemon::start(kind, "");
    for second in Kind::ALL {
        let data = first.data_dir();
        let arguments =
            ["--data-dir".as_ref(), data.as_os_str(), "--listen".as_ref(), "127.0.0.1:0".as_ref()];
        let answer = run_to_its_end(second, &arguments);
        refused(second, answer, 69, &[&data.display().to_string()]);
    }
    assert!(first.is_running());
    first.login().activate("user.a", "be1!x", "").expect("and writes");
    assert!(first.terminate().success());
    first.start_again();
}

fn a_port_that_is_taken(kind: Kind) {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    let folder = folder();
    refused(kind, start(kind, folder.path(), &address), 69, &[&address, "--listen"]);
    assert!(contents(folder.path()).is_empty(), "nothing was made");
}

fn a_socket_that_is_taken(kind: Kind) {
    let folder = folder();
    let path = folder.path().join("socket");
    let _taken = UnixListener::bind(&path).expect("a free path");
    refused(kind, start(kind, folder.path(), &path.display().to_string()), 69, &["socket"]);
    assert_eq!(contents(folder.path()).len(), 1, "nothing was made, and the socket is there still");
    let file = folder.path().join("mail");
    fs::write(&file, "precious").expect("a folder of ours");
    let (code, said) = start(kind, folder.path(), &file.display().to_string());
    assert_ne!(code, Some(0), "{said}");
    assert_eq!(fs::read(&file).expect("still there"), b"precious");
}

/// The socket of a daemon that was killed does not keep the next one from starting.
fn a_socket_that_was_left_behind(kind: Kind) {
    let mut daemon = Daemon::start(kind, "");
    daemon.kill();
    assert!(daemon.socket().exists(), "nobody was there to remove it");
    daemon.start_again();
    Client::login(daemon.connect_unix()).expect("it listens there");
    assert!(daemon.terminate().success());
    assert!(!daemon.socket().exists(), "removed at the end");
}

fn a_wrong_configuration(kind: Kind) {
    for (text, words) in [
        ("polcy = \"strict\"\n", ["line 1", "policy"]),
        ("policy = \"strict\"\n[limits]\nline = 10\n", ["line 3", "1KiB"]),
        ("policy = \"lenient\"\n", ["line 1", "standard"]),
        ("authority = \"etcd\"\n", ["line 1", "not available"]),
        ("policy = \n", ["line 1", "conf"]),
    ] {
        let folder = folder();
        fs::write(folder.path().join("conf"), text).expect("a folder of ours");
        refused(kind, start(kind, folder.path(), "127.0.0.1:0"), 78, &words);
        assert_eq!(contents(folder.path()).len(), 1, "nothing was made");
    }
}

fn no_such_configuration(kind: Kind) {
    let answer = run_to_its_end(kind, &["--config".as_ref(), "/nowhere/mupdated.toml".as_ref()]);
    refused(kind, answer, 66, &["/nowhere/mupdated.toml"]);
}

fn a_wrong_command_line(kind: Kind) {
    refused(kind, run_to_its_end(kind, &["--lisen".as_ref(), "x".as_ref()]), 64, &["--lisen", "--listen"]);
    refused(kind, run_to_its_end(kind, &["--listen".as_ref(), "*:3905".as_ref()]), 64, &["*:3905"]);
    refused(kind, run_to_its_end(kind, &["--log".as_ref(), "loud".as_ref()]), 64, &["loud"]);
}

/// Root may write anywhere, so here no directory can be: its parent is a file, or does not take any.
fn a_data_directory_that_cannot_be(kind: Kind) {
    let folder = folder();
    fs::write(folder.path().join("data"), "precious").expect("a folder of ours");
    let (code, said) = start(kind, folder.path(), "127.0.0.1:0");
    assert!(matches!(code, Some(73 | 74 | 77)), "{code:?} {said}");
    assert!(said.lines().last().is_some_and(|last| last.contains("data")), "{said}");
    assert_eq!(contents(folder.path()).len(), 1, "nothing was made");

    let arguments =
        ["--data-dir".as_ref(), "/proc/mupdate".as_ref(), "--listen".as_ref(), "127.0.0.1:0".as_ref()];
    let (code, said) = run_to_its_end(kind, &arguments);
    assert!(matches!(code, Some(73 | 74 | 77)), "{code:?} {said}");
    assert!(said.lines().last().is_some_and(|last| last.contains("/proc/mupdate")), "{said}");

    if !rustix::process::geteuid().is_root() {
        let closed = tempfile::tempdir().expect("a temporary directory");
        fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o500)).expect("a folder of ours");
        refused(kind, start(kind, closed.path(), "127.0.0.1:0"), 73, &["data", "writable"]);
    }
}

fn a_database_of_somebody_else(kind: Kind) {
    for foreign in [&b"precious"[..], &[0x5a; 65536]] {
        let folder = folder();
        let data = folder.path().join("data");
        fs::create_dir(&data).expect("a folder of ours");
        fs::write(data.join("data.mdb"), foreign).expect("a folder of ours");
        let before = contents(folder.path());
        let (code, said) = start(kind, folder.path(), "127.0.0.1:0");
        assert_eq!(code, Some(65), "{said}");
        assert!(said.lines().last().is_some_and(|last| last.contains("data")), "{said}");
        assert_eq!(contents(folder.path()), before, "nothing was made or changed");
    }
}

fn a_wrong_users_file(kind: Kind) {
    let folder = folder();
    let data = folder.path().join("data");
    fs::create_dir(&data).expect("a folder of ours");
    fs::write(data.join("users"), "murder:secret\n").expect("a folder of ours");
    let (code, said) = start(kind, folder.path(), "127.0.0.1:0");
    assert!(matches!(code, Some(65 | 78)), "{code:?} {said}");
    assert!(said.contains("users"), "{said}");
    assert!(!said.contains("secret"), "the log is no place for passwords: {said}");
    assert_eq!(fs::read(data.join("users")).expect("still there"), b"murder:secret\n");
}

fn the_first_start_makes_a_user(kind: Kind) {
    let mut daemon = Daemon::start_on(kind, "", |data| {
        fs::remove_file(data.join("users")).expect("it was made for us");
    });
    let line = daemon.wait_for_log("murder");
    let secret = contents(&daemon.data_dir())
        .into_iter()
        .find(|(path, _)| path.contains("password"))
        .unwrap_or_else(|| panic!("no password is kept; the log says {line}"));
    let mode = fs::metadata(&secret.0).expect("there").permissions().mode();
    assert_eq!(mode & 0o077, 0, "only its owner reads it");
    let password = String::from_utf8(secret.1).expect("text");
    let (mut client, _) = Client::greet(daemon.connect()).expect("it serves");
    client.authenticate("murder", password.trim()).expect("that is the password");
    assert!(daemon.terminate().success());
    daemon.start_again();
    let (mut client, _) = Client::greet(daemon.connect()).expect("it serves");
    client.authenticate("murder", password.trim()).expect("it is the password still");
}

fn users_are_added_listed_and_removed(kind: Kind) {
    let daemon = Daemon::start(kind, "");
    add_user(kind, &daemon.data_dir(), "extra", "other secret");
    let (mut client, _) = Client::greet(daemon.connect()).expect("it serves");
    let early = client.authenticate("extra", "other secret");
    assert!(matches!(early, Err(ClientError::Refused { .. })), "the daemon was not told yet");
    daemon.signal(Signal::HUP);
    daemon.wait_for_log("reloaded");
    client.authenticate("extra", "other secret").expect("it was told");
    let data = daemon.data_dir();
    let user = |verb: &[&str]| {
        let mut arguments: Vec<&OsStr> = vec!["user".as_ref()];
        arguments.extend(verb.iter().map(OsStr::new));
        arguments.extend([OsStr::new("--data-dir"), data.as_os_str()]);
        run_to_its_end(kind, &arguments)
    };
    assert_eq!(user(&["list"]).0, Some(0));
    assert_eq!(user(&["remove", "extra"]).0, Some(0));
    assert_eq!(user(&["remove", "extra"]).0, Some(65));
    daemon.signal(Signal::HUP);
    daemon.wait_for_log("users=1");
    let (mut client, _) = Client::greet(daemon.connect()).expect("it serves");
    assert!(matches!(client.authenticate("extra", "other secret"), Err(ClientError::Refused { .. })));
    client.authenticate("murder", "secret").expect("others stay");
}

//! `mupdatectl`, the real one, against both daemons: what it finds over the wire, how it logs in, and how it says no.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::Stdio,
};

use mupdate_host::{
    scram::Hash,
    tls::harness::SERVER,
    users::{NewKeys, add, add_without_password},
};
use mupdate_tests::{
    daemon::{Daemon, Kind},
    on_both_daemons,
    player::LOGIN,
    tls::{self, Authority, SETTINGS},
    tool::{Said, ctl, run, snapshot},
};
use serde_json::Value;

on_both_daemons!(
    what_is_where_is_found_over_the_wire,
    changes_are_seen_as_they_happen,
    logins_take_the_best_that_there_is,
    passwords_are_not_sent_in_the_clear
);

/// With the password of the user of [`LOGIN`], and these words.
fn ask(daemon: &Daemon, words: &[&str]) -> Said {
    let server = daemon.address().to_string();
    let mut command = ctl(&daemon.data_dir());
    run(command.args(words).args(["--server", &server]).env("MUPDATE_PASSWORD", LOGIN.1))
}

fn fill(daemon: &Daemon) {
    let mut client = daemon.login();
    for (name, location) in [
        ("user.alice", "be1.example.org!default"),
        ("user.alice.Sent", "be1.example.org!default"),
        ("user.bob", "be2.example.org!ssd"),
        ("user.m\u{fc}ller.\u{1b}[31m", "be2.example.org!"),
        ("example.org!user.carol", "be1.example.org!ssd"),
    ] {
        client.activate(name, location, "alice\tlrswipkxtecdan\tanyone\tp\t").expect("it serves");
    }
    client.reserve("user.dora", "be2.example.org!default").expect("it serves");
}

fn what_is_where_is_found_over_the_wire(kind: Kind) {
    let daemon = Daemon::start(kind, "");
    fill(&daemon);
    let shown = |name: &str, words: &[&str], code: i32| {
        let said = ask(&daemon, words);
        assert_eq!((said.code, &said.err[..]), (Some(code), ""), "{words:?}: {}", said.out);
        assert!(!said.out.contains('\x1b'), "nothing raw, and no colours: {}", said.out);
        snapshot(name, &said.out);
    };
    shown("find", &["find", "user.alice", "user.dora"], 0);
    shown("find-missing", &["find", "user.alice", "user.nobody"], 1);
    shown("list", &["list"], 0);
    shown(
        "list-filtered",
        &["list", "--host", "be2.example.org", "--state", "active", "--glob", "user.*", "--acl"],
        0,
    );
    shown("hosts", &["hosts", "--partitions"], 0);
    shown("tree", &["tree", "--depth", "3"], 0);
    shown("tree-below", &["tree", "user.alice"], 0);
    shown("json", &["list", "--json", "--limit", "2"], 0);

    let found = ask(&daemon, &["find", "--json", "user.alice", "user.nobody"]);
    let lines: Vec<Value> = found.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((found.code, lines.len()), (Some(1), 2));
    assert_eq!(
        (&lines[0]["location"], &lines[1]["state"]),
        (&"be1.example.org!default".into(), &"missing".into())
    );
    let hosts: Value = serde_json::from_str(&ask(&daemon, &["hosts", "--json"]).out).expect("JSON");
    assert_eq!(hosts[0]["partitions"][1]["partition"], "ssd");

    // The socket, too; and a reader that has seen enough is no failure.
    let mut command = ctl(&daemon.data_dir());
    command.args(["--server", &daemon.socket().display().to_string(), "find", "user.bob"]);
    assert_eq!(run(command.env("MUPDATE_PASSWORD", LOGIN.1)).code, Some(0));
    let mut listing = ctl(&daemon.data_dir());
    listing.args(["list", "--server", &daemon.address().to_string()]).env("MUPDATE_PASSWORD", LOGIN.1);
    let mut child = listing.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it can be started");
    drop(child.stdout.take());
    let mut err = String::new();
    child.stderr.take().expect("it is piped").read_to_string(&mut err).expect("text");
    assert_eq!((child.wait().expect("it ends").code(), &err[..]), (Some(0), ""));
}

fn changes_are_seen_as_they_happen(kind: Kind) {
    let daemon = Daemon::start(kind, "log = 'debug'\n");
    fill(&daemon);
    let mut command = ctl(&daemon.data_dir());
    command.args(["watch", "--json", "--host", "be2.example.org", "--server", &daemon.address().to_string()]);
    command.env("MUPDATE_PASSWORD", LOGIN.1).stdout(Stdio::piped());
    let mut child = command.spawn().expect("it can be started");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut next =
        || -> Value { serde_json::from_str(&lines.next().expect("a line").expect("text")).expect("JSON") };
    daemon.wait_for_log("mechanism=\"SCRAM-SHA-256\"");
    let mut client = daemon.login();
    // Changes until one is seen: nothing tells when the tool has begun to watch.
    let changing = std::thread::spawn(move || {
        for number in 0.. {
            let acl = format!("alice\t{number}\t");
            if client.activate("user.bob", "be2.example.org!ssd", &acl).is_err() {
                break;
            }
        }
    });
    // At first the server tells again of names that a frontend can have lost.
    let changed =
        std::iter::repeat_with(&mut next).find(|line| line["mailbox"] == "user.bob").expect("it changes");
    assert_eq!((&changed["state"], &changed["location"]), (&"active".into(), &"be2.example.org!ssd".into()));
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    drop(daemon);
    changing.join().expect("it does not panic");
}

/// A daemon with TLS, whose user has keys of every hash.
fn served(kind: Kind, toml: &str) -> (Daemon, Authority, String) {
    let authority = Authority::new("authority");
    let toml = format!(
        "log = 'debug'\nlisten_tls = ['127.0.0.1:0']\n{toml}{SETTINGS}client_ca = 'clients.pem'\nclient_certificates = 'optional'\n"
    );
    let daemon = Daemon::start_on(kind, &toml, |data: &Path| {
        let folder = data.parent().expect("the data has a folder");
        tls::install(&authority.server(90), &authority, folder).expect("the folder is ours");
    });
    let new = NewKeys { hashes: Hash::ALL.to_vec(), iterations: 4096 };
    add(&daemon.data_dir(), LOGIN.0, LOGIN.1.as_bytes(), &new).expect("the folder is ours");
    daemon.reload();
    let ca = daemon.config_file().with_file_name("clients.pem").display().to_string();
    (daemon, authority, ca)
}

fn logins_take_the_best_that_there_is(kind: Kind) {
    let (daemon, authority, ca) =
        served(kind, "auth.channel_binding = true\nauth.external = 'common_name'\n");
    let name = ["--tls-name", SERVER];
    let (plain, tls) = (daemon.address().to_string(), format!("{}/tls", daemon.tls_address()));
    let login = |words: &[&str], password: &str| {
        let mut command = ctl(&daemon.data_dir());
        run(command.args(["hosts"]).args(words).env("MUPDATE_PASSWORD", password))
    };
    for (mechanism, words) in [
        ("SCRAM-SHA-512", &["--server", &plain][..]),
        ("SCRAM-SHA-256", &["--server", &plain, "--mechanism", "scram-sha-256"]),
        ("PLAIN", &["--server", &plain, "--mechanism", "PLAIN"]),
        ("SCRAM-SHA-512-PLUS", &["--server", &plain, "--tls", "require", "--ca", &ca, name[0], name[1]]),
        ("SCRAM-SHA-512-PLUS", &["--server", &tls, "--ca", &ca, name[0], name[1]]),
    ] {
        let before = daemon.log().matches(&format!("mechanism=\"{mechanism}\"")).count();
        let said = login(words, LOGIN.1);
        assert_eq!((said.code, &said.err[..]), (Some(0), ""), "{words:?}");
        daemon.wait_for_logs(&format!("mechanism=\"{mechanism}\""), before + 1);
    }
    let refused = login(&["--server", &plain], "wrong");
    assert_eq!(refused.code, Some(77));
    assert!(
        refused.err.contains("cannot log in as murder: ") && refused.err.contains("--password-file"),
        "{}",
        refused.err
    );

    add_without_password(&daemon.data_dir(), "operator").expect("the folder is ours");
    daemon.reload();
    let folder = daemon.data_dir().join("mine");
    std::fs::create_dir(&folder).expect("the folder is ours");
    authority.client("operator", &[], 9).write(&folder).expect("the folder is ours");
    let mut command = ctl(&daemon.data_dir());
    command.args(["hosts", "--server", &tls, "--ca", &ca, name[0], name[1]]);
    command.args(["--certificate", "mine/certificate.pem", "--key", "mine/key.pem"]);
    let said = run(&mut command);
    assert_eq!((said.code, &said.err[..]), (Some(0), ""));
    daemon.wait_for_log("mechanism=\"EXTERNAL\"");

    for (words, text) in [
        (&["--server", &tls, "--ca", &ca][..], "--tls-name"),
        (&["--server", &tls, name[0], name[1]], "--ca"),
        (&["--server", &tls, "--ca", "nothing.pem"], "nothing.pem: "),
    ] {
        let said = login(words, LOGIN.1);
        assert!(matches!(said.code, Some(66 | 69)) && said.err.contains(text), "{words:?}: {}", said.err);
        assert_eq!(said.err.lines().count(), 1);
    }
    assert!(!daemon.log().contains(LOGIN.1));
}

fn passwords_are_not_sent_in_the_clear(kind: Kind) {
    let daemon = Daemon::start(kind, "");
    let home = daemon.data_dir();
    let server = daemon.address().to_string();
    let password = home.join("password");
    std::fs::write(&password, "secret\n").expect("the folder is ours");
    let said = run(ctl(&home).args(["hosts", "--server", &server]));
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("--password-file"), "{}", said.err);
    assert_eq!(
        run(ctl(&home).args(["hosts", "--server", &server, "--password-file", "password"])).code,
        Some(0)
    );
    std::fs::write(home.join("first-password"), "secret\n").expect("the folder is ours");
    assert_eq!(run(ctl(&home).args(["hosts", "--server", &server, "--data-dir", "."])).code, Some(0));

    // The tool's own file: relative paths are seen from it, and a password in it is nobody else's to read.
    let folder = home.join(".config");
    std::fs::create_dir(&folder).expect("the folder is ours");
    let file = folder.join("mupdatectl.toml");
    std::fs::write(&file, format!("server = '{server}'\npassword_file = '../password'\n"))
        .expect("it is ours");
    assert_eq!(run(ctl(&home).args(["hosts"])).code, Some(0));
    std::fs::write(&file, "password = 'secret'\n").expect("it is ours");
    let said = run(ctl(&home).args(["hosts"]));
    assert!(said.code == Some(2) && said.err.contains("chmod 600"), "{}", said.err);
    std::fs::write(&file, "passwrod = 'secret'\n").expect("it is ours");
    let said = run(ctl(&home).args(["hosts"]));
    assert!(said.code == Some(2) && said.err.contains("passwrod"), "{}", said.err);
}

#[test]
fn what_is_not_there_is_said_in_one_line() {
    let home = tempfile::tempdir().expect("a temporary directory");
    for (words, code, text) in [
        (
            &["status"][..],
            69,
            "no admin socket at mupdate-data/admin.sock: is mupdated running, with [admin] on?",
        ),
        (&["status", "--server", "x"], 2, "use the admin interface"),
        (&["find", "x", "--server", "127.0.0.1:1"], 69, "is the server running there?"),
        (&["status", "--admin", "https://127.0.0.1:1"], 69, "is the server running there?"),
        (&["find", "x", "--server", "a:b"], 2, "allowed are host, host:port"),
        (&["list", "--server", "nowhere.sock", "--password-file", "p"], 69, "nowhere.sock: "),
        (&["history", "--user", "be1"], 2, "--by be1"),
        (&["undo", "--to-time", "soon"], 2, "not a time; allowed: "),
        (&["bench", "--tls", "require"], 2, "bench speaks plain MUPDATE"),
    ] {
        std::fs::write(home.path().join("p"), "secret").expect("the folder is ours");
        let said = run(ctl(home.path()).args(words));
        assert_eq!((said.code, &said.out[..]), (Some(code), ""), "{words:?}: {}", said.err);
        assert!(said.err.contains(text) && said.err.lines().count() == 1, "{words:?}: {}", said.err);
    }
}

#[test]
fn users_are_those_of_the_data_directory() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let user = |words: &[&str]| run(ctl(home.path()).arg("user").args(words).args(["--data-dir", "data"]));
    let mut added = ctl(home.path());
    added.args(["user", "add", "be1", "--data-dir", "data"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = added.spawn().expect("it can be started");
    std::io::Write::write_all(&mut child.stdin.take().expect("it is piped"), b"secret\n")
        .expect("it is read");
    let output = child.wait_with_output().expect("it ends");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("SIGHUP"), "{text}");
    assert_eq!(user(&["list"]).out, "be1\n");
    assert_eq!(user(&["list", "--json"]).out, "[\n  \"be1\"\n]\n");
    assert_eq!(user(&["remove", "be1"]).code, Some(0));
    assert_eq!(user(&["remove", "be1"]).code, Some(65));
}

/// Commands whose help is looked at.
const COMMANDS: [&str; 29] = [
    "status",
    "find",
    "list",
    "tree",
    "watch",
    "hosts",
    "host",
    "host drain",
    "clients",
    "kick",
    "reservations",
    "reservations release",
    "release",
    "history",
    "takeovers",
    "undo",
    "pairs",
    "doctor",
    "fuse",
    "fuse release",
    "user",
    "export",
    "import",
    "diff",
    "promote",
    "demote",
    "backup",
    "completions",
    "man",
];

#[test]
fn every_command_has_its_help_its_page_and_its_completion() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let help = |words: &[&str]| {
        let said = run(ctl(home.path()).args(words).arg("--help").env("COLUMNS", "100"));
        assert_eq!(said.code, Some(0), "{words:?}: {}", said.err);
        said.out
    };
    let top = help(&[]);
    // The options that all have are shown once.
    let own = |text: String| text.split("\nWhere:\n").next().unwrap_or_default().trim_end().to_owned();
    let mut all = vec![top[top.find("\nOptions:").expect("it has options")..].to_owned()];
    all.extend(COMMANDS.iter().map(|command| {
        let words: Vec<&str> = command.split(' ').collect();
        assert!(top.contains(&format!("\n  {} ", words[0])), "{command} is in the list");
        format!("=== {command}\n{}", own(help(&words)))
    }));
    snapshot("help", &all.join("\n\n"));

    assert_eq!(run(ctl(home.path()).args(["man", "pages"])).code, Some(0));
    for page in
        ["mupdatectl.1", "mupdatectl-find.1", "mupdatectl-host-drain.1", "mupdated.1", "mupdated-sync.1"]
    {
        assert!(home.path().join("pages").join(page).exists(), "{page}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let said = run(ctl(home.path()).args(["completions", shell]));
        assert!(said.code == Some(0) && said.out.contains("reservations"), "{shell}");
    }
}

//! `mupdatectl`, the real one, at the admin interface of both daemons: what it shows of a directory and of a daemon,
//! what it does about mistakes, and how it says no.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::TcpStream,
    process::{Child, Stdio},
};

use bytes::Bytes;
use mupdate_host::admin::api::{
    Drain, Entry, Finding, Fuse, Host, Mailbox, MailboxState, Pairs, Released, Reservation, Severity, Status,
    Undo,
};
use mupdate_host::tls::harness::SERVER;
use mupdate_proto::{Acl, Location, MailboxName, Verb};
use mupdate_tests::{
    client::{self, Client},
    daemon::{Daemon, Kind},
    on_both_daemons,
    player::LOGIN,
    tls::{self, Authority, SETTINGS},
    tool::{Said, masked, operator, run, snapshot},
};
use rustix::process::{Pid, Signal, kill_process};

on_both_daemons!(
    the_directory_is_shown,
    long_lists_end_when_nobody_reads,
    changes_are_seen_until_the_operator_ends_it,
    mistakes_are_found_and_undone,
    backends_are_drained,
    reservations_are_released,
    fuses_are_released,
    pairs_are_shown,
    what_is_odd_is_told,
    copies_can_be_served,
    logins_over_https,
);

/// Names as they are, one of them no UTF-8, one that would paint a terminal.
const NAMES: [(&[u8], &str); 6] = [
    (b"user.alice", "be1.example.org!default"),
    (b"user.alice.Sent", "be1.example.org!default"),
    (b"user.bob", "be2.example.org!ssd"),
    (b"user.m\xc3\xbcller.\x1b[31m", "be2.example.org!"),
    (b"user.latin\xfc", "be2.example.org!ssd"),
    (b"example.org!user.carol", "be1.example.org!ssd"),
];

fn fill(daemon: &Daemon) -> Client<TcpStream> {
    let mut client = daemon.login();
    for (name, location) in NAMES {
        let activate = Verb::Activate {
            mailbox: MailboxName::new(Bytes::from_static(name)).expect("a legal name"),
            location: Location::new(location.to_owned()).expect("a legal location"),
            acl: Acl::new("alice\tlrswipkxtecdan\tanyone\tp\t".to_owned()),
        };
        client.call(activate).expect("nobody has it");
    }
    client.reserve("user.dora", "be2.example.org!default").expect("nobody has it");
    client
}

/// At the daemon's admin socket.
fn ask(daemon: &Daemon, words: &[&str]) -> Said {
    run(&mut operator(daemon, words))
}

/// What is shown, and with this exit code; nothing is said beside it.
fn shown(daemon: &Daemon, words: &[&str], code: i32) -> String {
    let said = ask(daemon, words);
    assert_eq!((said.code, &said.err[..]), (Some(code), ""), "{words:?}: {}", said.out);
    assert!(!said.out.contains('\x1b'), "nothing raw, and no colours: {}", said.out);
    masked(&said.out)
}

/// The same as JSON.
fn json(daemon: &Daemon, words: &[&str], code: i32) -> Said {
    let said = ask(daemon, &[words, &["--json"]].concat());
    assert_eq!((said.code, &said.err[..]), (Some(code), ""), "{words:?}: {}", said.out);
    said
}

/// Several commands and what they show, as one snapshot.
struct Session<'a>(&'a Daemon, String);

impl Session<'_> {
    fn show(&mut self, words: &[&str], code: i32) {
        let text = shown(self.0, words, code);
        self.1.push_str(&format!("$ mupdatectl {}\n{text}\n", words.join(" ")));
    }

    /// A command that cannot be carried out, and the line that says why.
    fn refused(&mut self, words: &[&str], code: i32) {
        let said = ask(self.0, words);
        assert_eq!((said.code, said.err.lines().count()), (Some(code), 1), "{words:?}: {said:?}");
        self.1.push_str(&format!("$ mupdatectl {}\n{}{}\n", words.join(" "), masked(&said.out), said.err));
    }
}

fn the_directory_is_shown(kind: Kind) {
    let daemon = Daemon::start(kind, "");
    assert_eq!(shown(&daemon, &["list"], 0), "no mailbox fits\n");
    assert_eq!(json(&daemon, &["list"], 0).out, "");
    assert_eq!(shown(&daemon, &["hosts"], 0), "no server has a name yet\n");
    fill(&daemon);
    let mut session = Session(&daemon, String::new());
    session.show(&["find", "user.alice", "user.dora"], 0);
    session.show(&["find", "user.alice", "user.nobody"], 1);
    session.show(&["list"], 0);
    session.show(&["list", "--host", "be2.example.org", "--state", "active", "--glob", "user.*", "--acl"], 0);
    session.show(&["list", "--host", "be9.example.org"], 0);
    session.show(&["hosts", "--partitions"], 0);
    session.show(&["tree", "--depth", "3"], 0);
    session.show(&["tree", "user.alice"], 0);
    snapshot("admin-directory", &session.1);

    let names: Vec<Mailbox> = json(&daemon, &["list"], 0).json_lines();
    assert_eq!(names.len(), NAMES.len() + 1);
    assert!(names.iter().any(|mailbox| mailbox.mailbox.as_bytes() == b"user.latin\xfc"));
    let found: Vec<Mailbox> = json(&daemon, &["find", "user.bob"], 0).json_lines();
    assert_eq!((found[0].state, found[0].revision), (MailboxState::Active, Some(3)));
    let hosts: Vec<Host> = json(&daemon, &["hosts"], 0).json();
    assert_eq!((hosts.len(), hosts[1].active, hosts[1].reserved), (2, 3, 1));
    let status: Status = json(&daemon, &["status"], 0).json();
    assert_eq!((&status.program[..], status.active, status.reserved), (kind.program(), 6, 1));
    assert!(shown(&daemon, &["status"], 0).contains("mailboxes  6 active, 1 reserved, at 2 servers\n"));
}

fn long_lists_end_when_nobody_reads(kind: Kind) {
    let daemon = Daemon::start(kind, "");
    let mut client = daemon.login();
    for number in 0..10_000 {
        client.send(client::activate(&format!("user.{number}"), "be1!p", "x"));
    }
    client.flush().expect("it serves");
    for _ in 0..10_000 {
        client.answer().expect("nobody has them");
    }
    for json in [&[][..], &["--json"]] {
        let mut child = start(&daemon, &[&["list"], json].concat());
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        assert!(lines.next().is_some_and(|line| line.is_ok()));
        drop(lines);
        let mut err = String::new();
        child.stderr.take().expect("it is piped").read_to_string(&mut err).expect("text");
        assert_eq!((child.wait().expect("it ends").code(), &err[..]), (Some(0), ""));
    }
    assert_eq!(json(&daemon, &["list"], 0).out.lines().count(), 10_000);
    assert_eq!(json(&daemon, &["list", "--limit", "7"], 0).out.lines().count(), 7);
    let history: Vec<Entry> = json(&daemon, &["history", "--limit", "0"], 0).json_lines();
    assert_eq!((history.len(), history[0].revision), (10_000, 10_000));
}

fn start(daemon: &Daemon, words: &[&str]) -> Child {
    let mut command = operator(daemon, words);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it can be started")
}

fn changes_are_seen_until_the_operator_ends_it(kind: Kind) {
    let daemon = Daemon::start(kind, "");
    let mut client = fill(&daemon);
    let mut child = start(&daemon, &["watch", "--json", "--host", "be2.example.org"]);
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut next =
        || -> Mailbox { serde_json::from_str(&lines.next().expect("a line").expect("text")).expect("JSON") };
    // Changes until one is seen: nothing tells when the tool has begun to watch.
    let (seen, changing) = std::sync::mpsc::channel::<()>();
    let changes = std::thread::spawn(move || {
        let mut number = 0;
        while changing.try_recv().is_err() {
            number += 1;
            client.activate("user.bob", "be2.example.org!ssd", &format!("bob\t{number}\t")).expect("it may");
        }
        client
    });
    assert_eq!(next().mailbox.as_bytes(), b"user.bob");
    seen.send(()).expect("it changes names");
    let mut client = changes.join().expect("it does not panic");
    client.delete("user.bob").expect("it may");
    let gone = std::iter::repeat_with(&mut next).find(|mailbox| mailbox.state == MailboxState::Deleted);
    assert_eq!(gone.expect("it is told").mailbox.as_bytes(), b"user.bob");

    // As Ctrl-C does; it says nothing.
    kill_process(Pid::from_child(&child), Signal::INT).expect("it runs");
    let mut err = String::new();
    child.stderr.take().expect("it is piped").read_to_string(&mut err).expect("text");
    let end = child.wait().expect("it ends");
    assert_eq!(
        (std::os::unix::process::ExitStatusExt::signal(&end), &err[..]),
        (Some(Signal::INT.as_raw()), "")
    );
}

fn mistakes_are_found_and_undone(kind: Kind) {
    let daemon = Daemon::start(kind, "roles.murder = 'admin'\nroles.script = 'admin'\n");
    assert_eq!(shown(&daemon, &["history"], 0), "the journal has no such change\n");
    let mut client = fill(&daemon);
    let mut script = daemon.login_as("script");
    let before = client.list(None).expect("readable");
    script.activate("user.alice", "be2.example.org!ssd", "x").expect("it may");
    script.activate("user.bob", "be2.example.org!ssd", "x").expect("it may");
    script.delete("user.alice.Sent").expect("it may");
    script.reserve("user.new", "be1.example.org!ssd").expect("nobody has it");
    script.delete("example.org!user.carol").expect("it may");
    client.activate("example.org!user.carol", "be1.example.org!ssd", "new").expect("nobody has it");

    let mut session = Session(&daemon, String::new());
    session.show(&["takeovers"], 0);
    session.show(&["history", "--by", "script", "--limit", "3"], 0);
    session.show(&["history", "user.alice", "--acl"], 0);
    session.show(&["history", "--deed", "undo"], 0);
    session.show(&["undo", "--to-revision", "7", "--by", "script", "--dry-run"], 0);
    session.refused(&["undo", "--to-revision", "7", "--by", "script"], 2);
    session.refused(&["undo", "--to-revision", "99"], 1);
    session.show(&["undo", "--to-revision", "7", "--by", "script", "--yes"], 0);
    session.show(&["undo", "--to-revision", "7", "--by", "script", "--yes"], 0);
    session.show(&["history", "--deed", "undo"], 0);
    snapshot("admin-undo", &session.1);

    let plan: Undo = json(&daemon, &["undo", "--to-revision", "7"], 0).json();
    assert_eq!((plan.done, plan.changes.len()), (false, 1), "{plan:?}");
    let done: Undo = json(&daemon, &["undo", "--to-revision", "7", "example.org!user.carol", "-y"], 0).json();
    assert!(done.done);
    assert_eq!(client.list(None).expect("readable"), before);
    let taken: Vec<Entry> = json(&daemon, &["takeovers"], 0).json_lines();
    assert!(taken.iter().all(|entry| entry.takeover));
    let plan: Undo = json(&daemon, &["undo", "--to-time", "1h", "--by", "nobody"], 0).json();
    assert!(plan.changes.is_empty());
}

fn backends_are_drained(kind: Kind) {
    let daemon = Daemon::start(kind, "");
    let mut client = fill(&daemon);
    let mut session = Session(&daemon, String::new());
    session.show(&["host", "drain", "be2.example.org"], 0);
    session.show(&["hosts"], 0);
    session.show(&["host", "drain", "be9.example.org"], 0);
    session.refused(&["host", "drain", "be2.example.org!ssd"], 1);
    assert!(client.reserve("user.new", "be2.example.org!ssd").is_err());
    assert!(shown(&daemon, &["status"], 0).contains("  draining  be2.example.org, be9.example.org\n"));
    session.show(&["host", "undrain", "be2.example.org"], 0);
    snapshot("admin-drain", &session.1);
    client.reserve("user.new", "be2.example.org!ssd").expect("it takes names again");
    let drain: Drain = json(&daemon, &["host", "drain", "be1.example.org"], 0).json();
    assert!(drain.draining);
    let hosts: Vec<Host> = json(&daemon, &["hosts"], 0).json();
    assert_eq!((hosts[0].draining, hosts[1].draining), (true, false));
}

fn reservations_are_released(kind: Kind) {
    let daemon = Daemon::start(kind, "");
    let mut client = daemon.login();
    for name in ["user.a", "user.b", "user.c"] {
        client.reserve(name, "be1!p").expect("nobody has it");
    }
    let found: Vec<Reservation> = json(&daemon, &["reservations"], 0).json();
    assert_eq!((found.len(), found[0].user.as_deref()), (3, Some(LOGIN.0)));
    let mut session = Session(&daemon, String::new());
    session.show(&["reservations"], 0);
    session.show(&["reservations", "--older-than", "1h"], 0);
    session.refused(&["release", "user.a", "user.z", "--yes"], 1);
    session.refused(&["release", "user.a"], 2);
    session.show(&["release", "user.a", "--yes"], 0);
    session.show(&["release", "--older-than", "1h", "--yes"], 0);
    snapshot("admin-release", &session.1);
    let done: Released = json(&daemon, &["reservations", "release", "user.b", "-y"], 0).json();
    assert_eq!((done.released.len(), done.left.len()), (1, 0));
    assert_eq!(client.list(None).expect("readable").len(), 1);
}

fn fuses_are_released(kind: Kind) {
    let daemon = Daemon::start(kind, "fuse.takeovers = 1\n");
    let mut client = fill(&daemon);
    let mut session = Session(&daemon, String::new());
    session.show(&["fuse", "list"], 0);
    client.activate("user.alice", "be2.example.org!ssd", "x").expect("one is allowed");
    assert!(client.activate("user.alice.Sent", "be2.example.org!ssd", "x").is_err());
    let fuses: Vec<Fuse> = json(&daemon, &["fuse", "list"], 0).json();
    assert_eq!((&fuses[0].user[..], &fuses[0].holds[..]), (LOGIN.0, &["takeovers".to_owned()][..]));
    session.show(&["fuse", "list"], 0);
    session.show(&["doctor"], 3);
    session.refused(&["fuse", "release", "be7"], 1);
    session.show(&["fuse", "release", LOGIN.0], 0);
    session.show(&["fuse", "list"], 0);
    snapshot("admin-fuse", &session.1);
    client.activate("user.alice.Sent", "be2.example.org!ssd", "x").expect("it may go on");
}

fn pairs_are_shown(kind: Kind) {
    let roles = "[pairs]\necho_seconds = 1\nbackenda = [\"one\", \"two\"]\n[roles]\nmurder = \"admin\"\n\
        one = { role = \"backend\", servers = [\"backenda\"] }\n\
        two = { role = \"backend\", servers = [\"backenda\"] }\n";
    let bare = Daemon::start(kind, "");
    let nothing = shown(&bare, &["pairs"], 0);
    bare.login().activate("user.a", "be1!p", "x").expect("nobody has it");
    assert_eq!(shown(&bare, &["pairs"], 0), nothing);
    assert!(nothing.contains("--all"), "{nothing}");
    let all = json(&bare, &["pairs", "--all"], 0).json::<Pairs>().pairs;
    assert_eq!((all.len(), all[0].speakers.len(), all[0].declared), (1, 1, false));

    let daemon = Daemon::start(kind, roles);
    let (mut one, mut two) = (daemon.login_as("one"), daemon.login_as("two"));
    for name in ["user.a", "user.b"] {
        for member in [&mut one, &mut two] {
            member.reserve(name, "backenda!p").expect("it may");
            member.activate(name, "backenda!p", "a\tlrs\t").expect("it may");
        }
    }
    one.activate("user.late", "backenda!p", "a\tlrs\t").expect("it may");
    two.reserve("user.new", "backenda!p").expect("it may");
    two.activate("user.new", "backenda!p", "a\tlrs\t").expect("it may");
    daemon.wait_for_log("another member of a pair leads now");
    let Pairs { revision, pairs } = json(&daemon, &["pairs"], 0).json();
    assert!(revision > 0);
    assert_eq!((&pairs[0].speakers[0].user[..], pairs[0].left, pairs[0].declared), ("two", 1, true));
    let mut session = Session(&daemon, String::new());
    session.show(&["pairs"], 0);
    snapshot("admin-pairs", &session.1);
}

fn what_is_odd_is_told(kind: Kind) {
    let daemon = Daemon::start(kind, "");
    assert_eq!(shown(&daemon, &["doctor"], 0), "nothing was found\n");
    let mut client = daemon.login();
    for number in 0..8 {
        client.activate(&format!("user.{number}"), "be1!p", "lrs").expect("nobody has it");
    }
    let found = json(&daemon, &["doctor"], 1).json::<Vec<Finding>>();
    assert_eq!((found[0].severity, &found[0].check[..]), (Severity::Warning, "acls"));
    let mut session = Session(&daemon, String::new());
    session.show(&["doctor"], 1);
    snapshot("admin-doctor", &session.1);
}

fn copies_can_be_served(kind: Kind) {
    let daemon = Daemon::start(kind, "");
    let before = fill(&daemon).list(None).expect("readable");
    let said = ask(&daemon, &["backup", "copy.mdb"]);
    assert!(said.code == Some(0) && said.err.is_empty() && said.out.starts_with("copy.mdb: "), "{said:?}");
    let again = ask(&daemon, &["backup", "copy.mdb"]);
    assert!(again.code == Some(2) && again.err.contains("--force"), "{again:?}");
    let copy = daemon.data_dir().join("copy.mdb");
    let octets = json(&daemon, &["backup", "copy.mdb", "--force"], 0).json::<serde_json::Value>();
    assert_eq!(octets["octets"].as_u64(), fs::metadata(&copy).ok().map(|file| file.len()));
    let nowhere = ask(&daemon, &["backup", "nowhere/copy.mdb"]);
    assert!(nowhere.code == Some(74) && nowhere.err.lines().count() == 1, "{nowhere:?}");
    let served = Daemon::start_on(kind, "", |data| {
        fs::copy(&copy, data.join("data.mdb")).expect("the folder is ours");
    });
    assert_eq!(served.login().list(None).expect("readable"), before);
}

fn logins_over_https(kind: Kind) {
    let authority = Authority::new("authority");
    let toml = format!(
        "admin.listen = '127.0.0.1:0'\nroles.{} = 'admin'\nroles.fe1 = 'frontend'\n{SETTINGS}",
        LOGIN.0
    );
    let daemon = Daemon::start_on(kind, &toml, |data| {
        let folder = data.parent().expect("the data has a folder");
        tls::install(&authority.server(90), &authority, folder).expect("the folder is ours");
    });
    let line = daemon.wait_for_log("the admin interface is there");
    let address = line.split(['"', ' ']).find_map(|word| word.parse::<std::net::SocketAddr>().ok());
    let url = format!("https://{}", address.expect("an address"));
    let ca = daemon.config_file().with_file_name("clients.pem").display().to_string();
    let say = |words: &[&str], user: &str, password: &str| {
        let mut command = operator(&daemon, &["status"]);
        command.args(["--admin", &url, "--user", user]).args(words).env("MUPDATE_PASSWORD", password);
        run(&mut command)
    };
    let trust = ["--ca", &ca[..], "--tls-name", SERVER];
    let said = say(&trust, LOGIN.0, LOGIN.1);
    assert!(said.code == Some(0) && said.err.is_empty() && said.out.contains("ready"), "{said:?}");
    for (words, user, password, code, text) in [
        (&trust[..], LOGIN.0, "wrong", 77, "--password-file"),
        (&trust, "fe1", LOGIN.1, 77, "role"),
        (&trust[..2], LOGIN.0, LOGIN.1, 69, "--tls-name"),
        (&trust[2..], LOGIN.0, LOGIN.1, 69, "--ca"),
    ] {
        let said = say(words, user, password);
        assert_eq!((said.code, &said.out[..], said.err.lines().count()), (Some(code), "", 1), "{said:?}");
        assert!(said.err.contains(text) && !said.err.contains(LOGIN.1), "{said:?}");
    }
    assert!(!daemon.log().contains(LOGIN.1));
}

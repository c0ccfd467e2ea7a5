//! `mupdatectl export`, `import`, `diff`, `promote` and `demote`, the real ones, against both daemons.

use std::{fs, net::TcpListener, path::Path};

use mupdate_tests::{
    client::{Client, ClientError},
    daemon::{Daemon, Kind},
    on_both_daemons,
    player::LOGIN,
    tool::{Said, ctl, run},
};
use serde_json::Value;

on_both_daemons!(
    lists_are_written_and_compared,
    names_that_a_form_cannot_have_are_an_error,
    lists_are_imported_whole_or_not_at_all,
    wrong_lists_are_told_by_their_lines,
    a_master_and_its_replica_change_places,
);

/// The forms of lists, as `export` and `diff` name them.
const FORMS: [&[&str]; 4] = [
    &["--format", "jsonl"],
    &["--format", "cyrus-text"],
    &["--format", "cyrus-text", "VERSION", "3.5"],
    &["--format", "cyrus-json"],
];

/// Asks the admin interface.
fn ask(daemon: &Daemon, words: &[&str]) -> Said {
    run(ctl(&daemon.data_dir()).args(words).args(["--data-dir", "."]).env("MUPDATE_PASSWORD", LOGIN.1))
}

/// The same, of what has to go well.
fn must(daemon: &Daemon, words: &[&str]) -> String {
    let said = ask(daemon, words);
    assert_eq!((said.code, &said.err[..]), (Some(0), ""), "{words:?}: {}", said.out);
    said.out
}

fn fill(daemon: &Daemon) -> Client<std::net::TcpStream> {
    let mut client = daemon.login();
    for (name, location) in
        [("user.alice", "be1!default"), ("user.bob", "be2!ssd"), ("user.m&APw-ller.\u{fc} x", "be2!default")]
    {
        client.activate(name, location, "alice\tlrswipkxtecdan\tanyone\tp\t").expect("it serves");
    }
    client.activate("shared", "be1!default", "").expect("it serves");
    client.reserve("user.dora", "be2!default").expect("it serves");
    client
}

fn lists_are_written_and_compared(kind: Kind) {
    let (daemon, other) = (Daemon::start(kind, ""), Daemon::start(kind, ""));
    let mut client = fill(&daemon);
    fill(&other);
    let address = other.address().to_string();
    assert_eq!(must(&daemon, &["diff", "--with", &address]), "the same: 5 names\n");
    let form = |form: &[&'static str], version: &'static str| -> Vec<&'static str> {
        form.iter().map(|word| if *word == "VERSION" { version } else { word }).collect()
    };
    let home = daemon.data_dir();
    for (number, words) in FORMS.into_iter().enumerate() {
        let (to, from) = (form(words, "--to-version"), form(words, "--from-version"));
        let list = must(&daemon, &[&["export"], &to[..]].concat());
        // Another server says the same over the wire, but for its own order.
        let mut wire = ctl(&home);
        wire.arg("export").args(&to).args(["--server", &address]).env("MUPDATE_PASSWORD", LOGIN.1);
        let by_wire = run(&mut wire);
        assert_eq!((by_wire.code, &by_wire.err[..]), (Some(0), ""));
        for (list, name) in [(list, "mine"), (by_wire.out, "other")] {
            let file = format!("{name}.{number}");
            fs::write(home.join(&file), list).expect("the folder is ours");
            let same = must(&daemon, &[&["diff", "--dump", &file], &from[..]].concat());
            assert_eq!(same, "the same: 5 names\n", "{words:?}");
        }
    }
    let some = must(&daemon, &["export", "--host", "be1", "--format", "cyrus-text"]);
    assert_eq!(
        some,
        "shared\t1 be1!default \nuser.alice\t1 be1!default alice\tlrswipkxtecdan\tanyone\tp\t\n"
    );

    client.delete("user.alice").expect("it is there");
    client.activate("user.bob", "be2!ssd", "bob\tlrs\t").expect("it is there");
    client.reserve("user.new", "be2!x").expect("the name is free");
    let expected = [
        "user.alice\n  here:  nowhere\n  there: active at be1!default, alice\\tlrswipkxtecdan\\tanyone\\tp\\t\n",
        "user.bob\n  here:  active at be2!ssd, bob\\tlrs\\t\n  there: active at be2!ssd, alice\\tlrsw",
        "user.new\n  here:  reserved at be2!x\n  there: nowhere\n",
    ];
    for words in [&["diff", "--with", &address][..], &["diff", "--dump", "mine.0"]] {
        let said = ask(&daemon, words);
        assert_eq!((said.code, &said.err[..]), (Some(1), "mupdatectl: 3 of 6 differ\n"), "{words:?}");
        assert!(expected.iter().all(|text| said.out.contains(text)), "{}", said.out);
    }
    let said = ask(&daemon, &["diff", "--json", "--with", &address]);
    let mut lines: Vec<Value> =
        said.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    lines.sort_by_key(|line| line["mailbox"].to_string());
    assert_eq!((said.code, lines.len(), &lines[0]["here"]), (Some(1), 3, &Value::Null));
    assert_eq!(lines[2]["here"], "reserved at be2!x");

    fs::write(home.join("wrong"), "{}\n").expect("the folder is ours");
    for (words, code, text) in [
        (&["diff", "--dump", "wrong"][..], 76, "wrong: line 1: "),
        (&["diff", "--dump", "nothing"], 66, "cannot read nothing: "),
        (&["diff", "--with", "127.0.0.1:1"], 69, "127.0.0.1:1: "),
        (&["export", "--to-version", "4"], 2, "a release of Cyrus"),
    ] {
        let said = ask(&daemon, words);
        assert!(said.code == Some(code) && said.err.contains(text), "{words:?}: {said:?}");
    }
}

fn names_that_a_form_cannot_have_are_an_error(kind: Kind) {
    let daemon = Daemon::start(kind, "");
    daemon.login().activate("user.a", "be1!default", "no users and rights").expect("it serves");
    let said = ask(&daemon, &["export", "--format", "cyrus-json"]);
    assert_eq!(said.code, Some(76));
    assert!(said.err.contains("the ACL of user.a is not of users and rights"), "{}", said.err);
    assert!(must(&daemon, &["export"]).contains("no users and rights"));
}

fn lists_are_imported_whole_or_not_at_all(kind: Kind) {
    let (daemon, other) = (Daemon::start(kind, ""), Daemon::start(kind, ""));
    let mut client = fill(&daemon);
    for (number, words) in FORMS.into_iter().enumerate() {
        let as_version = |name: &'static str| {
            words.iter().map(move |word| if *word == "VERSION" { name } else { word }).collect::<Vec<_>>()
        };
        let list = must(&daemon, &[&["export"], &as_version("--to-version")[..]].concat());
        let file = other.data_dir().join("list");
        fs::write(&file, list).expect("the folder is ours");
        let import = [&["import", "list"], &as_version("--from-version")[..]].concat();
        let (said, told) = match number {
            0 => {
                let tried = must(&other, &[&import[..], &["--dry-run"]].concat());
                assert_eq!(tried, "would be added: 5, changed: 0, removed: 0; the same: 0\n");
                assert_eq!(other.login().list(None).expect("LIST works"), []);
                let mut stream = other.login();
                assert_eq!(stream.update(&[]).expect("UPDATE works").len(), 0);
                let said = must(&other, &import);
                (said, (0..5).map(|_| stream.streamed().expect("it is told")).count())
            }
            _ => (must(&other, &import), 0),
        };
        let expected = if number == 0 { (5, 0, 5) } else { (0, 5, 0) };
        let text = format!("added: {}, changed: 0, removed: 0; the same: {}\n", expected.0, expected.1);
        assert_eq!((said, told), (text, expected.2), "{words:?}");
    }
    let address = other.address().to_string();
    assert_eq!(must(&daemon, &["diff", "--with", &address]), "the same: 5 names\n");

    client.delete("user.alice").expect("it is there");
    client.activate("user.bob", "be2!ssd", "bob\tlrs\t").expect("it is there");
    client.reserve("user.new", "be2!x").expect("the name is free");
    fs::write(other.data_dir().join("list"), must(&daemon, &["export"])).expect("the folder is ours");
    assert_eq!(must(&other, &["import", "list"]), "added: 1, changed: 1, removed: 0; the same: 3\n");
    let unasked = ask(&other, &["import", "list", "--replace"]);
    assert!(unasked.code == Some(2) && unasked.err.contains("Remove 1 names"), "{unasked:?}");
    let replaced = must(&other, &["import", "list", "--replace", "--yes", "--json"]);
    let replaced: Value = serde_json::from_str(&replaced).expect("JSON");
    assert_eq!(
        (&replaced["done"], &replaced["removed"], &replaced["same"]),
        (&true.into(), &1.into(), &5.into())
    );
    assert_eq!(must(&daemon, &["diff", "--with", &address]), "the same: 5 names\n");
    let history = must(&other, &["history", "user.alice", "--json"]);
    assert!(history.lines().next().expect("an entry").contains("\"import\""), "{history}");
    assert!(
        fs::read_dir(other.data_dir())
            .expect("readable")
            .flatten()
            .all(|file| file.file_name() != "import.part")
    );
}

fn wrong_lists_are_told_by_their_lines(kind: Kind) {
    let daemon = Daemon::start(kind, "");
    fill(&daemon);
    let before = must(&daemon, &["export"]);
    let file = daemon.data_dir().join("list");
    let wrong = format!("{before}\n{}user.x\t1 be1!default \n", "nonsense\n".repeat(30));
    fs::write(&file, wrong).expect("the folder is ours");
    let said = ask(&daemon, &["import", "list", "--replace", "--yes"]);
    assert_eq!((said.code, said.err.lines().count()), (Some(76), 21), "{}", said.err);
    assert!(said.err.starts_with("list: line 7: ") && said.err.contains("31 rows are wrong"), "{}", said.err);

    // What only the server sees, and what it says to others than the tool.
    // Empty lines count, as an editor counts them; so does the brace of Cyrus's JSON.
    fs::write(&file, [&before[..], &before].join("\n\n")).expect("the folder is ours");
    let said = ask(&daemon, &["import", "list"]);
    assert!(said.code == Some(1) && said.err.contains("5 of 10 rows are wrong: line 8: "), "{said:?}");
    let json = must(&daemon, &["export", "--format", "cyrus-json"]).replacen("user.bob\"", "user.alice\"", 2);
    fs::write(&file, json).expect("the folder is ours");
    let said = ask(&daemon, &["import", "list", "--format", "cyrus-json"]);
    let text = "1 of 5 rows are wrong: line 4: user.alice is there twice";
    assert!(said.code == Some(1) && said.err.contains(text), "{said:?}");
    fs::write(&file, "").expect("the folder is ours");
    let said = ask(&daemon, &["import", "list", "--replace", "--yes"]);
    assert!(said.code == Some(1) && said.err.contains("the list is empty"), "{said:?}");
    let mut http = daemon.admin();
    let refused = http.post("/v1/import?replace=true", &format!("{before}{}", "{}\n".repeat(30)));
    let text = refused.json()["error"].as_str().expect("a reason").to_owned();
    assert_eq!((refused.status, text.matches("is no mailbox").count()), (422, 20), "{text}");
    assert!(text.contains("line 6: is no mailbox") && text.ends_with("; and 10 more"), "{text}");
    assert_eq!(must(&daemon, &["export"]), before, "nothing was changed");

    let told = ask(&daemon, &["import", "nothing"]);
    assert_eq!(told.code, Some(66), "{}", told.err);
}

/// An address that is free now: each of two daemons has to know the other's.
fn somewhere() -> String {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").to_string()
}

fn a_master_and_its_replica_change_places(kind: Kind) {
    let (here, there) = (somewhere(), somewhere());
    let start = |authority: &str, at: &str, other: &str| {
        let toml = format!(
            "authority = \"{authority}\"\n[upstream]\nhost = \"{other}\"\nuser = \"{}\"\npassword_file = \"password\"\n\
             noop_ms = 50\nretry_ms = 50\nretry_max_ms = 200\n",
            LOGIN.0
        );
        Daemon::start_at_on(kind, &toml, at, |data: &Path| {
            let folder = data.parent().expect("it is in a folder");
            fs::write(folder.join("password"), LOGIN.1).expect("the folder is ours");
        })
    };
    let master = start("local", &here, &there);
    fill(&master);
    let replica = start("upstream", &there, &here);
    replica.wait_for_log("in sync with the master");
    assert_eq!(must(&replica, &["diff", "--with", &here]), "the same: 5 names\n");

    for (daemon, words, code, text) in [
        (&replica, &["promote"][..], 1, "force the promotion"),
        (&replica, &["promote", "--force"], 2, "say --yes"),
        (&master, &["demote"], 2, "say --yes"),
        (&master, &["promote"], 1, "this is the master already"),
        (&replica, &["demote", "--yes"], 1, "this is a replica already"),
    ] {
        let said = ask(daemon, words);
        assert!(said.code == Some(code) && said.err.contains(text), "{words:?}: {said:?}");
    }

    assert_eq!(
        must(&master, &["demote", "--yes"]),
        "this takes no changes any more; promote the other now\n"
    );
    let refused = master.login().delete("user.alice");
    assert!(matches!(refused, Err(ClientError::Refused { .. })), "{refused:?}");
    let said = must(&replica, &["promote"]);
    assert!(said.starts_with("this is the master now"), "{said}");
    let mut stream = master.login();
    stream.update(&[]).expect("a replica streams");
    replica.login().activate("user.after", "be1!default", "").expect("it decides");
    master.wait_for_log("in sync with the master");
    // It may have been in sync before that.
    while stream.streamed().expect("it is sent").name() != "user.after" {}
    let said = ask(&replica, &["diff", "--with", &here]);
    assert_eq!((said.code, &said.out[..]), (Some(0), "the same: 6 names\n"), "{}", said.err);
}

//! `user import` on databases that the real `saslpasswd2` has made, through the real tools that read them.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use mupdate_tests::{
    client::Client,
    cyrus_sasl::{self, has, said},
    daemon::{Daemon, Kind, binary},
    on_both_daemons,
};
use tempfile::TempDir;

on_both_daemons!(
    passwords_of_a_database_log_in,
    nothing_is_half_done,
    a_list_says_who_needs_a_password,
    the_database_itself_is_told
);

/// What the users of the database have as passwords. One has all that a dump has to write differently.
const PASSWORDS: [(&str, &str); 3] =
    [("murder", "other secret"), ("mailproxy", "p\u{e4}\u{df}:w\\ord \\5c"), ("be1", "x")];

const REALM: &str = "mupdate.example.org";

/// A database, if the programs for it are here.
fn database(dump: &str) -> Option<TempDir> {
    if !has(&["saslpasswd2", "sasldblistusers2", dump], "sasl2-bin db-util") {
        return None;
    }
    let folder = tempfile::tempdir().expect("a temporary directory");
    for (user, password) in PASSWORDS {
        cyrus_sasl::add_user(&folder.path().join("sasldb2"), REALM, user, password);
    }
    Some(folder)
}

struct Outcome {
    code: Option<i32>,
    out: String,
    err: String,
}

/// `user import` into this data directory.
fn import(kind: Kind, data: &Path, options: &[&str], text: &[u8]) -> Outcome {
    let mut child = Command::new(binary(kind))
        .args(["user", "import", "--data-dir"])
        .arg(data)
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the daemon was built");
    // It may have ended without reading.
    let _ = child.stdin.take().expect("it is piped").write_all(text);
    let done = child.wait_with_output().expect("a child can be waited for");
    let text = |octets| String::from_utf8(octets).expect("it says text");
    let outcome = Outcome { code: done.status.code(), out: text(done.stdout), err: text(done.stderr) };
    for (_, password) in PASSWORDS.iter().filter(|(_, password)| password.len() > 1) {
        assert!(!(outcome.out.contains(password) || outcome.err.contains(password)), "{}", outcome.err);
    }
    outcome
}

fn passwords_of_a_database_log_in(kind: Kind) {
    let Some(folder) = database("db_dump") else { return };
    let database = folder.path().join("sasldb2");
    cyrus_sasl::add_user(&database, "elsewhere", "murder", "not this one");
    for form in [&["-p"][..], &[]] {
        let dump = said("db_dump", form, &database);
        let daemon = Daemon::start_on(kind, "", |data| {
            let outcome = import(kind, data, &["--realm", REALM, "--replace"], &dump);
            assert_eq!(outcome.code, Some(0), "{}", outcome.err);
            let start = "2 user(s) added, 1 with a new password, 1 line(s) left in ";
            assert!(outcome.out.starts_with(start), "{}", outcome.out);
            let line =
                ": murder@elsewhere: another realm\nstandard input: not taken over: 1 of another realm\n";
            assert!(outcome.err.ends_with(line), "{}", outcome.err);
        });
        for (user, password) in PASSWORDS {
            let (mut client, _) = Client::greet(daemon.connect()).expect("it serves");
            client.authenticate(user, password).unwrap_or_else(|error| panic!("{user}: {error}"));
        }
        let (mut client, _) = Client::greet(daemon.connect()).expect("it serves");
        assert!(client.authenticate("murder", "not this one").is_err());
    }
}

fn nothing_is_half_done(kind: Kind) {
    let Some(folder) = database("db_dump") else { return };
    let database = folder.path().join("sasldb2");
    let data = folder.path().join("data");
    let dump = said("db_dump", &["-p"], &database);
    let refused = |options: &[&str], text: &[u8], word: &str| {
        let before = fs::read(data.join("users")).ok();
        let outcome = import(kind, &data, options, text);
        assert_eq!((outcome.code, outcome.out.as_str()), (Some(65), ""), "{}", outcome.err);
        assert!(outcome.err.contains(word), "{word}: {}", outcome.err);
        assert_eq!(fs::read(data.join("users")).ok(), before, "something was changed");
    };
    refused(&["--realm", "nowhere"], &dump, "with passwords by realm: mupdate.example.org (3); choose one");
    let cut = dump.len() - "DATA=END\n".len();
    refused(&["--realm", REALM], &dump[..cut], "the dump is not whole: DATA=END is missing");
    cyrus_sasl::add_user(&database, REALM, "be:2", "secret");
    let worse = said("db_dump", &["-p"], &database);
    refused(&["--realm", REALM], &worse, "be:2@mupdate.example.org: the user's name has a colon or a space");

    assert_eq!(import(kind, &data, &["--realm", REALM, "-"], &dump).code, Some(0));
    refused(&["--realm", REALM], &dump, "there already: be1, mailproxy, murder; --replace gives them");

    // Nobody has chosen, and the server is called as one of the two realms.
    let config = folder.path().join("m.toml");
    fs::write(&config, format!("server_name = '{REALM}'\n")).expect("the folder is ours");
    let config = config.to_str().expect("a path of text");
    assert_eq!(import(kind, &data, &["--config", config, "--replace"], &dump).code, Some(0));
    cyrus_sasl::add_user(&database, "elsewhere", "murder", "secret");
    let doubtful = said("db_dump", &["-p"], &database);
    let doubt = "murder@elsewhere: the same user is in two realms; choose one with --realm\n";
    refused(&["--config", config, "--replace"], &doubtful, doubt);
}

fn a_list_says_who_needs_a_password(kind: Kind) {
    let Some(folder) = database("db_dump") else { return };
    let list = said("sasldblistusers2", &["-f"], &folder.path().join("sasldb2"));
    let data = folder.path().join("data");
    let outcome = import(kind, &data, &["--realm", REALM], &list);
    assert_eq!((outcome.code, outcome.out.as_str()), (Some(65), ""), "{}", outcome.err);
    for (user, _) in PASSWORDS {
        let line = format!(": {user}@{REALM}: a list says no passwords\n");
        assert!(outcome.err.contains(&line), "{user}: {}", outcome.err);
    }
    let advice =
        format!("give the 3 user(s) of realm {REALM} passwords with `{} user add NAME`\n", kind.program());
    assert!(outcome.err.ends_with(&advice), "{}", outcome.err);
    assert!(!data.exists());
}

fn the_database_itself_is_told(kind: Kind) {
    let Some(folder) = database("db_dump") else { return };
    let database = fs::read(folder.path().join("sasldb2")).expect("it was made");
    let outcome = import(kind, &folder.path().join("data"), &["--realm", REALM], &database);
    assert_eq!(outcome.code, Some(65));
    assert!(outcome.err.contains("this is the database itself; give what `db_dump -p`"), "{}", outcome.err);
}

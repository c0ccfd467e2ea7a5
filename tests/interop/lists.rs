//! Lists of Cyrus's in the hands of an operator: what `ctl_mboxlist -d` writes is read, and what `mupdatectl export` writes is
//! taken by `ctl_mboxlist -u`, with nothing lost on the way.

use std::fs;

use mupdate_tests::{
    client::Client,
    daemon::{DEADLINE, Daemon, Kind},
    player::LOGIN,
    tool::{Said, ctl, run},
};

use super::{
    cyrus::Cyrus,
    murder::{Murder, address, eventually},
    release::Release,
    replica::{ask, cyrus_has},
    sandbox::REMOTE,
};

/// Names of users that come out of Cyrus otherwise than they went in, children, and what is in nobody's alphabet.
const NAMES: [&str; 8] = [
    "user/alice",
    "user/alice/a",
    "user/bob.x",
    "user/bob.x/a b",
    "user/bob.x/&AOk-",
    "user/d-e",
    "news",
    "news/x.y",
];

/// What our replica of Cyrus's master has is, in every way that it can be written down, what Cyrus has written down.
pub fn of_cyrus(kind: Kind, release: &'static Release) {
    let murder = Murder::replica(kind, release);
    let mut master = Cyrus::mupdate_master(murder.site(), "cyrusmaster", address("mupdate.test"));
    master.start();
    let backend = murder.backend("backend1");
    let mut admin = backend.imap("cyrus");
    for name in NAMES {
        admin.ok(format!("CREATE \"{name}\""));
    }
    // A sequence in an ACL that no alphabet has, and rights that are taken away.
    for acl in ["zoe lrs", "bob lrswipkxtecda", "anyone p", "-bob x"] {
        admin.ok(format!("SETACL \"user/bob.x/a b\" {acl}"));
    }
    // What has lost its place on its way: a name that is only reserved, and one at no partition.
    let stream = std::net::TcpStream::connect((address("mupdate.test"), 3905)).expect("it listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("not zero");
    let mut client = Client::login(stream).expect("the same user");
    client.reserve("user.held", "backend2.test!default").expect("the name is free");
    client.activate("user.bare", "backend2.test!", "bare\tlrs\t").expect("the name is free");
    murder.daemon.wait_for_log("in sync with the master");
    eventually("the replica has what Cyrus has", || murder.entries() == cyrus_has());
    let names = murder.entries().len();
    assert_eq!(names, NAMES.len() + 2);

    // A frontend that follows the replica: of all installations it is the one that has everything of everybody.
    let mut frontend = murder.make_frontend("frontend1");
    frontend.option("mupdate_server", REMOTE);
    murder.start_and_sync(&mut frontend);

    let same = |what: &str, list: Vec<u8>| {
        let said = compare(&murder, release, list, &[]);
        let expected = format!("the same: {names} names\n");
        assert_eq!((said.code, &said.out[..]), (Some(0), &expected[..]), "{what}: {}", said.err);
    };
    same("the master's list", master.list());
    same("the frontend's list", frontend.list());
    let said = compare(&murder, release, backend.list(), &["--local", "backend1.test"]);
    let more = said.out.lines().filter(|line| line.starts_with("  there:"));
    assert!(said.code == Some(1) && more.clone().count() == 2, "two are at another backend: {said:?}");
    assert!(more.into_iter().all(|line| line.ends_with("nowhere")), "{said:?}");

    // A frontend that is given the list, and writes it again.
    let exported = ask(&murder, &[&["export"], release.writing].concat());
    assert_eq!(exported.code, Some(0), "{}", exported.err);
    let given = murder.make_frontend("frontend2");
    given.load(&exported.out);
    // Its text has no way to say that a partition is not known.
    let said = compare(&murder, release, given.list(), &[]);
    let bare = "user.bare\n  here:  active at backend2.test!, bare\\tlrs\\t\n  \
                there: active at backend2.test!default, bare\\tlrs\\t\n";
    assert_eq!(said.out, if release.old { bare.to_owned() } else { format!("the same: {names} names\n") });

    // And a server of ours that is given what Cyrus's master has written.
    let empty = Daemon::start(kind, "");
    fs::write(empty.data_dir().join("list"), master.list()).expect("the folder is ours");
    let import = |more: &[&str]| {
        let words = [&["import", "list", "--data-dir", "."], release.reading, more].concat();
        run(ctl(&empty.data_dir()).args(words).env("MUPDATE_PASSWORD", LOGIN.1))
    };
    let said = import(&["--dry-run"]);
    assert!(said.out.starts_with(&format!("would be added: {names},")), "{said:?}");
    let said = import(&[]);
    assert!(said.out.starts_with(&format!("added: {names},")), "{said:?}");
    let mut given = Client::login(empty.connect()).expect("it serves");
    let rows = given.list(None).expect("LIST works");
    let rows = rows.into_iter().map(|row| (row.name().to_owned(), row)).collect();
    assert_eq!(murder.entries(), rows, "what was imported is what is followed");
}

/// `mupdatectl diff` of the replica with a list.
fn compare(murder: &Murder, release: &Release, list: Vec<u8>, more: &[&str]) -> Said {
    fs::write(murder.daemon.data_dir().join("list"), list).expect("the folder is ours");
    ask(murder, &[&["diff", "--dump", "list"], release.reading, more].concat())
}

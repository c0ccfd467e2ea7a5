//! Cyrus's own master, our replica of it, and the day on which that takes its place.

use std::{collections::BTreeMap, fs};

use mupdate_tests::{
    client::{Client, ClientError, Row},
    daemon::{DEADLINE, Kind},
    player::LOGIN,
    tool::{Said, ctl, run},
};

use super::{
    cyrus::Cyrus,
    murder::{Murder, address, eventually},
    release::Release,
    sandbox::REMOTE,
};

/// What Cyrus's master has, in any order.
pub fn cyrus_has() -> BTreeMap<String, Row> {
    let stream = std::net::TcpStream::connect((address("mupdate.test"), 3905)).expect("it listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("not zero");
    let rows = Client::login(stream).expect("the same user").list(None).expect("LIST works");
    rows.into_iter().map(|row| (row.name().to_owned(), row)).collect()
}

/// Our replica gets what backends tell Cyrus's master, a frontend of Cyrus follows the replica, and after a restart of
/// either everything is as it should be.
pub fn of_cyrus(kind: Kind, release: &'static Release) {
    let mut murder = Murder::replica(kind, release);
    let mut master = Cyrus::mupdate_master(murder.site(), "cyrusmaster", address("mupdate.test"));
    master.start();
    let backend = murder.backend("backend1");
    let mut admin = backend.imap("cyrus");
    for name in ["alice", "alice/a", "alice/a/b", "alice/a-b", "bob", "bob/x y"] {
        admin.ok(format!("CREATE \"user/{name}\""));
    }
    murder.daemon.wait_for_log("in sync with the master");
    eventually("the replica has what Cyrus has", || murder.entries() == cyrus_has());

    // A frontend that follows the replica.
    let mut frontend = murder.make_frontend("frontend1");
    frontend.option("mupdate_server", REMOTE);
    murder.start_and_sync(&mut frontend);
    murder.same_on(&frontend);
    admin.ok("CREATE user/alice/new");
    admin.ok("SETACL user/alice/new bob lrs");
    admin.ok("RENAME user/alice/a-b user/alice/z");
    eventually("the replica has what Cyrus has", || murder.entries() == cyrus_has());
    murder.same_on(&frontend);
    let refused = murder.client().delete("user.alice");
    assert!(
        matches!(&refused, Err(ClientError::Refused { text, .. }) if text == "read-only session"),
        "{refused:?}"
    );

    // While the replica is down, names come and go.
    assert_eq!(murder.daemon.terminate().code(), Some(0));
    admin.ok("SETACL user/bob cyrus lrswipkxtecda");
    admin.ok("RENAME user/bob user/robert");
    admin.ok("CREATE user/alice/later");
    murder.daemon.start_again();
    murder.daemon.wait_for_log("in sync with the master");
    eventually("the replica has what Cyrus has", || murder.entries() == cyrus_has());

    // While Cyrus's master is down, the replica serves what it has.
    let before = murder.entries();
    master.kill();
    murder.daemon.wait_for_log("the master is not followed");
    assert_eq!(murder.entries(), before);
    master.start();
    admin.ok("CREATE user/alice/again");
    eventually("the replica has what Cyrus has", || murder.entries() == cyrus_has());
}

/// The steps of docs/migrate.md, and the way back.
pub fn migrates(kind: Kind, release: &'static Release) {
    // Where everything begins: a murder around Cyrus's own master.
    let mut murder = Murder::replica(kind, release);
    let mut master = Cyrus::mupdate_master(murder.site(), "cyrusmaster", address("mupdate.test"));
    master.start();
    let backend = murder.backend("backend1");
    let mut frontend = murder.make_frontend("frontend1");
    murder.start_and_sync(&mut frontend);
    let mut admin = backend.imap("cyrus");
    for name in ["alice", "alice/a", "alice/a/b", "alice/a-b", "bob"] {
        admin.ok(format!("CREATE user/{name}"));
    }

    // 1 and 2: follow, and have the same.
    murder.daemon.wait_for_log("in sync with the master");
    eventually("the replica has what Cyrus has", || murder.entries() == cyrus_has());
    let with = format!("{}:3905", address("mupdate.test"));
    let said = ask(&murder, &["diff", "--with", &with]);
    assert_eq!((said.code, &said.out[..]), (Some(0), "the same: 5 names\n"), "{}", said.err);
    murder.same_on(&frontend);
    let said = ask(&murder, &["promote"]);
    assert!(
        said.code == Some(1) && said.err.contains("force the promotion"),
        "the old one decides: {said:?}"
    );

    // 3: stop Cyrus's master. Users are served meanwhile, and changes refused.
    let before = murder.entries();
    master.kill();
    murder.daemon.wait_for_log("the master is not followed");
    frontend.imap("alice").ok("SELECT INBOX/a/b");
    assert!(!backend.imap("cyrus").tries("CREATE user/alice/while-down"), "there is nobody to allow it");
    fs::write(murder.daemon.data_dir().join("list"), backend.list()).expect("the folder is ours");
    let dump = [&["diff", "--dump", "list", "--local", "backend1.test"][..], release.reading].concat();
    let said = ask(&murder, &dump);
    assert_eq!((said.code, &said.out[..]), (Some(0), "the same: 5 names\n"), "{}", said.err);

    // 4: become the master, for all restarts to come.
    let said = ask(&murder, &["promote"]);
    assert!(said.code == Some(0) && said.out.starts_with("this is the master now"), "{said:?}");
    assert_eq!(murder.daemon.terminate().code(), Some(0));
    murder.daemon.start_again();
    assert_eq!(murder.entries(), before);

    // The way back from there, and on again.
    let said = ask(&murder, &["demote", "--yes"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    master.start();
    murder.daemon.wait_for_log("in sync with the master");
    admin.ok("CREATE user/alice/back");
    eventually("the replica has what Cyrus has", || murder.entries() == cyrus_has());
    master.kill();
    murder.daemon.wait_for_log("the master is not followed");
    assert_eq!(ask(&murder, &["promote"]).code, Some(0));

    // 5: move the name.
    let syncs = murder.syncs(&frontend);
    let hosts = Hosts::read();
    hosts.write(&hosts.0.replace(address("mupdate.test"), address(REMOTE)));
    admin.ok("CREATE user/alice/after");
    murder.wait_for_sync(&frontend, syncs);
    murder.same_on(&frontend);
    frontend.imap("alice").ok("SELECT INBOX/a/b");

    // 6: nothing is left to catch up with.
    let said = backend.must("ctl_mboxlist", &["-m", "-w"]);
    assert!(!said.contains("Force Activate") && !said.contains("Remove"), "{said}");

    // The way back: Cyrus's master has what it had, and backends tell it the rest.
    assert_eq!(murder.daemon.terminate().code(), Some(0));
    drop(hosts);
    master.start();
    backend.must("ctl_mboxlist", &["-m"]);
    assert!(cyrus_has().contains_key("user.alice.after"), "the backend told it");
}

/// `/etc/hosts`, which is the sandbox's, and becomes again what it was.
struct Hosts(String);

impl Hosts {
    fn read() -> Self {
        Self(fs::read_to_string("/etc/hosts").expect("readable"))
    }

    fn write(&self, text: &str) {
        fs::write("/etc/hosts", text).expect("it is the sandbox's");
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        self.write(&self.0);
    }
}

/// `mupdatectl`, on the host of our daemon.
pub fn ask(murder: &Murder, words: &[&str]) -> Said {
    let mut tool = ctl(&murder.daemon.data_dir());
    run(tool.args(words).args(["--data-dir", "."]).env("MUPDATE_PASSWORD", LOGIN.1))
}

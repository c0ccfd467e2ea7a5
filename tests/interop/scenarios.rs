//! Backends and a frontend.

use std::collections::BTreeSet;

use mupdate_tests::client::Row;

use super::{
    cyrus::Cyrus,
    imap::Imap,
    murder::{DELETED, Logins, Murder, TAKEOVERS},
};

/// Everything that a backend does over IMAP arrives at the server, and shows on the frontend.
pub fn backend_and_frontend(murder: &mut Murder) {
    let (backend, frontend) = (murder.backend("backend1"), murder.frontend("frontend1"));
    let mut admin = backend.imap("cyrus");

    admin.ok("CREATE user/alice");
    assert_eq!(murder.entry("user.alice").0, "backend1.test!default");
    admin.ok("CREATE user/alice/deep/er/est");
    murder.same_on(&frontend);
    assert!(murder.active().contains("user.alice.deep.er"), "every level is announced");

    let (mut alice, mut bob) = (frontend.imap("alice"), frontend.imap("bob"));
    alice.ok("SELECT INBOX");
    alice.ok("CREATE INBOX/mine");
    assert!(alice.names().contains("INBOX.mine"), "what was made through the frontend shows there at once");
    assert!(!bob.names().contains("user.alice.mine"));
    admin.ok("SETACL user/alice/mine bob lrs");
    assert!(murder.entry("user.alice.mine").1.contains("bob\tlrs\t"));
    shows(&mut bob, "user.alice.mine", true);
    admin.ok("DELETEACL user/alice/mine bob");
    shows(&mut bob, "user.alice.mine", false);

    admin.ok("RENAME user/alice/mine user/alice/yours");
    assert!(!murder.active().contains("user.alice.mine"));
    murder.same_on(&frontend);
    alice.ok("SELECT INBOX/yours");

    admin.ok("SETACL user/alice/yours cyrus lrswipkxtecda");
    admin.ok("DELETE user/alice/yours");
    let active = murder.active();
    assert!(!active.contains("user.alice.yours"));
    assert!(active.iter().any(|name| name.starts_with("DELETED.user.alice.yours.")), "{active:?}");
    backend.must("cyr_expire", &["-E", "0", "-D", "0"]);
    assert!(!murder.active().iter().any(|name| name.starts_with("DELETED.")));
    murder.same_on(&frontend);
}

/// A name that one backend has is refused to another, which does not keep it either.
pub fn one_name_on_two_backends(murder: &mut Murder) {
    let (one, two) = (murder.backend("backend1"), murder.backend("backend2"));
    let (mut first, mut second) = (one.imap("cyrus"), two.imap("cyrus"));
    first.ok("CREATE user/alice");
    let answer = second.command("CREATE user/alice");
    assert!(!answer.ok, "{answer:?}");
    assert_eq!(murder.entry("user.alice").0, "backend1.test!default");
    assert_eq!(second.names(), BTreeSet::new());
    second.ok("CREATE user/bob");
    assert_eq!(murder.entry("user.bob").0, "backend2.test!default");
}

/// XFER moves a user to another backend, and all frontends see it there. (The command goes to the backend: given to a
/// frontend of 3.6.1 it moves nothing, whatever the server, and says OK.)
pub fn a_user_moves(murder: &mut Murder) {
    let (one, two) = (murder.backend("backend1"), murder.backend("backend2"));
    let frontends = [murder.frontend("frontend1"), murder.frontend("frontend2")];
    let mut admin = one.imap("cyrus");
    for name in ["user/alice", "user/alice/sub", "user/alice/sub/x", "user/bob"] {
        admin.ok(format!("CREATE {name}"));
    }
    admin.ok("SETACL user/alice cyrus lrswipkxtecda");
    let names = murder.active();
    admin.ok("XFER user/alice backend2.test");

    assert_eq!(murder.active(), names, "all are active, and nothing was added");
    for name in &names {
        let place = if name == "user.bob" { "backend1.test!default" } else { "backend2.test!default" };
        assert_eq!(murder.entry(name).0, place, "{name}");
    }
    assert_eq!(local(&one), BTreeSet::from(["user.bob".to_owned()]));
    assert_eq!(local(&two).len(), 3);
    for frontend in &frontends {
        murder.same_on(frontend);
        frontend.imap("alice").ok("SELECT INBOX/sub/x");
    }
    for backend in [&one, &two] {
        backend.must("ctl_mboxlist", &["-m"]);
    }
    assert_eq!((murder.active(), local(&two).len()), (names, 3), "nothing was wiped");
}

/// `ctl_mboxlist -m` brings a backend's mailboxes to a server that knows nothing; the second time it finds nothing to
/// do, and the third it repairs.
pub fn push(murder: &mut Murder) {
    let backend = murder.backend("backend1");
    let mut admin = backend.imap("cyrus");
    // Names that sort differently with and without their dots.
    for name in ["a", "a-b", "a/b", "a/b/c", "a/b-c", "a b", "a0", "A", "a.b", "a/b.c"] {
        admin.ok(format!("CREATE \"user/{name}\""));
    }
    let (before, local) = (murder.entries(), admin.names());
    assert_eq!(before.len(), local.len());
    let mut client = murder.client();
    for name in before.keys() {
        client.delete(name).expect("DELETE works");
    }

    backend.must("ctl_mboxlist", &["-m"]);
    assert_eq!(murder.entries(), before, "everything is there again");
    let mut stream = murder.client();
    stream.update(&[]).expect("UPDATE works");
    backend.must("ctl_mboxlist", &["-m"]);
    assert_eq!(
        changes(stream.noop().expect("NOOP works"), &before),
        BTreeSet::new(),
        "there was nothing to do"
    );

    client.delete("user.a.b").expect("DELETE works");
    client.activate("user.bogus", "backend1.test!default", "x\tlrs\t").expect("ACTIVATE works");
    client.activate("user.a0", "backend1.test!default", "nobody\tl\t").expect("ACTIVATE works");
    backend.must("ctl_mboxlist", &["-m"]);
    assert_eq!(murder.entries(), before, "what was wrong is repaired");
    assert_eq!(admin.names(), local, "and nothing was wiped");
}

/// A backend whose server name was changed, and that is told to have its way, takes its mailboxes from the old name: the
/// fuse stops it, or its role does.
pub fn a_changed_server_name(murder: &mut Murder) {
    let mut backend = murder.backend("backend1");
    let mut admin = backend.imap("cyrus");
    for name in ["alice", "bob", "carol", "dave"] {
        admin.ok(format!("CREATE user/{name}"));
    }
    let (before, there) = (murder.entries(), admin.names());
    backend.kill();
    backend.option("servername", "backend2.test");
    backend.start();
    // It tells of each that was held, and goes on.
    backend.must("ctl_mboxlist", &["-m", "-a"]);
    let (reason, takeovers) = match murder.logins {
        Logins::Alike => ("A FUSE HAS BLOWN: too many takeovers", TAKEOVERS),
        Logins::Roles => ("location is backend2.test!default, which principal backend1 may not speak for", 0),
    };
    murder.daemon.wait_for_log(reason);
    let taken =
        murder.entries().into_iter().filter(|(_, row)| row.location() == Some("backend2.test!default"));
    assert_eq!(taken.count(), takeovers);
    assert_eq!(murder.active(), there, "nothing has vanished");

    backend.kill();
    backend.option("servername", "backend1.test");
    backend.start();
    assert_eq!(local(&backend), there, "and nothing was wiped");
    let (code, said) = murder.daemon.tell(&["fuse", "release", "--all"]);
    assert_eq!(code, Some(0), "{said}");
    murder.daemon.reload();
    backend.must("ctl_mboxlist", &["-m", "-a"]);
    assert_eq!(murder.entries(), before, "all is as it was");
}

/// A backend that has lost its list of mailboxes and tells the server so: the fuse stops it half-way.
pub fn a_lost_list_of_mailboxes(murder: &mut Murder) {
    const MAILBOXES: usize = 50;
    let mut backend = murder.backend("backend1");
    let mut admin = backend.imap("cyrus");
    for number in 0..MAILBOXES {
        admin.ok(format!("CREATE user/m{number}"));
    }
    let before = murder.entries();
    backend.kill();
    backend.hide_mailboxes(true);
    let output = backend.tool("ctl_mboxlist", &["-m"]);
    assert!(!output.status.success(), "it gives up: {output:?}");
    murder.daemon.wait_for_log("A FUSE HAS BLOWN: too many deletions");
    assert_eq!(murder.active().len(), MAILBOXES - MAILBOXES * DELETED / 100);

    backend.hide_mailboxes(false);
    backend.start();
    backend.must("ctl_mboxlist", &["-m"]);
    assert_eq!(murder.entries(), before, "what comes back is not held, and all is as it was");
}

/// The frontend restarts, and the server: all are in sync again, and nothing is lost.
pub fn restarts(murder: &mut Murder) {
    let (backend, mut frontend) = (murder.backend("backend1"), murder.frontend("frontend1"));
    let mut admin = backend.imap("cyrus");
    for name in ["alice", "alice/a", "alice/a/b", "alice/a-b", "alice/a0", "alice/c"] {
        admin.ok(format!("CREATE user/{name}"));
    }
    murder.same_on(&frontend);

    frontend.kill();
    admin.ok("CREATE user/alice/new");
    remove(&mut admin, "user/alice/a/b");
    admin.ok("SETACL user/alice/c bob lrs");
    murder.start_and_sync(&mut frontend);
    murder.same_on(&frontend);
    assert!(frontend.imap("bob").names().contains("user.alice.c"), "the ACL arrived");

    let (before, syncs) = (murder.entries(), murder.syncs(&frontend));
    murder.daemon.kill();
    let refused = admin.command("CREATE user/alice/while-down");
    assert!(!refused.ok, "{refused:?}");
    frontend.imap("alice").ok("SELECT INBOX/c");
    murder.daemon.start_again();
    assert_eq!(murder.entries(), before, "what was there is there");
    murder.wait_for_sync(&frontend, syncs);
    murder.same_on(&frontend);
    admin.ok("CREATE user/alice/after");
    murder.same_on(&frontend);
    frontend.imap("alice").ok("SELECT INBOX/after");
    backend.must("ctl_mboxlist", &["-m"]);
}

/// Backends and frontends that are told to compress do so, and nothing else changes.
pub fn compressed(murder: &mut Murder) {
    let mut backend = murder.make_backend("backend1");
    let mut frontend = murder.make_frontend("frontend1");
    for cyrus in [&mut backend, &mut frontend] {
        cyrus.option("proxy_compress", "yes");
    }
    backend.start();
    murder.start_and_sync(&mut frontend);
    let mut admin = backend.imap("cyrus");
    for name in ["alice", "alice/a", "alice/a/b"] {
        admin.ok(format!("CREATE user/{name}"));
    }
    admin.ok("RENAME user/alice/a user/alice/z");
    murder.same_on(&frontend);
    backend.must("ctl_mboxlist", &["-m"]);
    frontend.imap("alice").ok("SELECT INBOX/z/b");
}

/// Waits until a user's LIST shows a mailbox, or no longer does.
#[track_caller]
pub fn shows(imap: &mut Imap, name: &str, wanted: bool) {
    super::murder::eventually(&format!("{name} shows: {wanted}"), || imap.names().contains(name) == wanted);
}

/// DELETE as the administrator, who must give himself the right to it first.
pub fn remove(admin: &mut Imap, name: &str) {
    admin.ok(format!("SETACL {name} cyrus lrswipkxtecda"));
    admin.ok(format!("DELETE {name}"));
}

/// The streamed lines that say something new. What deletions put at risk is announced again as it was.
pub fn changes(rows: Vec<Row>, before: &std::collections::BTreeMap<String, Row>) -> BTreeSet<Row> {
    rows.into_iter().filter(|row| before.get(row.name()) != Some(row)).collect()
}

/// The mailboxes that a backend has.
pub fn local(backend: &Cyrus) -> BTreeSet<String> {
    backend.imap("cyrus").names()
}

//! Cyrus over TLS, to a server that takes no password in the clear.

use std::{
    fs,
    path::{Path, PathBuf},
};

use mupdate_tests::{
    daemon::{Kind, Signal},
    tls::Authority,
};

use super::{
    cyrus::Cyrus,
    murder::{Murder, eventually},
    sandbox::REMOTE,
};

/// What a server says that has turned to TLS with a peer.
const ENCRYPTED: &str = "encrypted";

/// The authority's certificate, where Cyrus can read it.
pub fn authority_file(murder: &Murder, authority: &Authority) -> PathBuf {
    let file = murder.folder().join("authority.pem");
    fs::write(&file, authority.pem()).expect("the folder is ours");
    file
}

/// Points an installation to the server, with what it needs for TLS.
pub fn point(cyrus: &mut Cyrus, server: &str, authority: &Path) {
    cyrus.option("mupdate_server", server);
    cyrus.option("tls_client_ca_file", &authority.display().to_string());
    // It turns to TLS only where it could not log in without, and SCRAM goes without.
    cyrus.option("mupdate-remote_mechs", "PLAIN");
}

/// With a mechanism that is offered only then, Cyrus turns to TLS by itself.
pub fn starttls(kind: Kind) {
    life(kind, &format!("{REMOTE}:3905"));
}

/// `mupdate_server: host:port/tls`
pub fn from_the_start(kind: Kind) {
    life(kind, &format!("{REMOTE}:3906/tls"));
}

/// A backend and a frontend live their lives: changes, `ctl_mboxlist -m`, a server that restarts, and one that has another
/// certificate after a reload.
fn life(kind: Kind, server: &str) {
    let authority = Authority::new("authority");
    let mut murder = Murder::encrypted(kind, &authority);
    let file = authority_file(&murder, &authority);
    let (mut backend, mut frontend) = (murder.make_backend("backend1"), murder.make_frontend("frontend1"));
    point(&mut backend, server, &file);
    point(&mut frontend, server, &file);
    backend.start();
    murder.start_and_sync(&mut frontend);

    let mut admin = backend.imap("cyrus");
    for name in ["alice", "alice/a", "alice/a/b", "alice/a-b"] {
        admin.ok(format!("CREATE user/{name}"));
    }
    admin.ok("SETACL user/alice/a bob lrs");
    admin.ok("RENAME user/alice/a-b user/alice/z");
    assert_eq!(murder.entry("user.alice.z").0, "backend1.test!");
    murder.same_on(&frontend);
    frontend.imap("alice").ok("SELECT INBOX/a/b");
    backend.must("ctl_mboxlist", &["-m"]);
    let encrypted = murder.daemon.log().matches(ENCRYPTED).count();
    assert!(encrypted >= 8, "a connection for each operation: {encrypted}");

    let (before, syncs) = (murder.entries(), murder.syncs(&frontend));
    murder.daemon.kill();
    let refused = admin.command("CREATE user/alice/while-down");
    assert!(!refused.ok, "{refused:?}");
    murder.daemon.start_again();
    assert_eq!(murder.entries(), before, "what was there is there");
    murder.wait_for_sync(&frontend, syncs);
    admin.ok("CREATE user/alice/after");
    murder.same_on(&frontend);

    let data = murder.daemon.data_dir();
    authority.server(60).write(data.parent().expect("a folder")).expect("the folder is ours");
    murder.daemon.signal(Signal::HUP);
    murder.daemon.wait_for_log("reloaded");
    admin.ok("CREATE user/alice/reloaded");
    murder.same_on(&frontend);
    // The frontend lists what is no more than reserved; whoever looks right then is told that there is no such mailbox.
    let mut alice = frontend.imap("alice");
    eventually("the frontend has the whole of it", || alice.command("SELECT INBOX/reloaded").ok);
    backend.must("ctl_mboxlist", &["-m"]);
}

/// A server that wants certificates of its clients gets them from who has one, and refuses who has none.
pub fn shows_certificates(kind: Kind) {
    let authority = Authority::new("authority");
    let murder = Murder::encrypted_asking(kind, &authority);
    let file = authority_file(&murder, &authority);
    let mut backend = murder.make_backend("backend1");
    let server = format!("{REMOTE}:3905");
    point(&mut backend, &server, &file);
    let shown = murder.folder().join("shown");
    fs::create_dir(&shown).expect("the folder is ours");
    authority.client("backend1.test", &[], 9).write(&shown).expect("the folder is ours");
    let owned = std::process::Command::new("chown").args(["-R", "cyrus"]).arg(&shown).status();
    assert!(owned.expect("chown is there").success());
    backend.start();
    let refused = backend.imap("cyrus").command("CREATE user/alice");
    assert!(!refused.ok, "{refused:?}");

    backend.kill();
    for (option, name) in [("tls_client_cert", "certificate.pem"), ("tls_client_key", "key.pem")] {
        backend.option(option, &shown.join(name).display().to_string());
    }
    backend.start();
    backend.imap("cyrus").ok("CREATE user/alice");
    assert_eq!(murder.entry("user.alice").0, "backend1.test!default");
    backend.must("ctl_mboxlist", &["-m"]);
}
